#include "connection.hpp"
#include "consign/base/file.hpp"
#include <array>
#include <charconv>
#include <fcntl.h>

namespace consign::store {

namespace {

constexpr std::size_t kCachedStatements = 256;

class SqliteRow final : public Row {
  public:
    explicit SqliteRow(sqlite3_stmt* statement) : statement_(statement) {}
    bool is_null(int column) const override { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
    std::int64_t integer(int column) const override { return sqlite3_column_int64(statement_, column); }
    double real(int column) const override { return sqlite3_column_double(statement_, column); }
    std::string_view text(int column) const override {
        // The pointer first: asking for it may convert, which changes the length.
        const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
        return data ? std::string_view(data, size(column)) : std::string_view{};
    }
    ByteView blob(int column) const override {
        const auto* data = static_cast<const std::byte*>(sqlite3_column_blob(statement_, column));
        return data ? ByteView(data, size(column)) : ByteView{};
    }

  private:
    std::size_t size(int column) const {
        return static_cast<std::size_t>(sqlite3_column_bytes(statement_, column));
    }
    sqlite3_stmt* statement_;
};

struct Binder {
    sqlite3_stmt* statement;
    int index;
    int operator()(std::monostate) const { return sqlite3_bind_null(statement, index); }
    int operator()(std::int64_t value) const { return sqlite3_bind_int64(statement, index, value); }
    int operator()(double value) const { return sqlite3_bind_double(statement, index, value); }
    int operator()(std::string_view value) const {
        // A null pointer would bind NULL, and an empty view may have one.
        return sqlite3_bind_text64(statement, index, value.data() ? value.data() : "", value.size(),
                                   SQLITE_STATIC, SQLITE_UTF8);
    }
    int operator()(ByteView value) const {
        if (value.empty()) return sqlite3_bind_zeroblob(statement, index, 0);
        return sqlite3_bind_blob64(statement, index, value.data(), value.size(), SQLITE_STATIC);
    }
};

// How the memory of an idle server stays small: 2 MiB of pages for the writer, 1 MiB for each reader.
// The writer checkpoints by itself (writer.cpp), so the automatic one is off.
constexpr const char* kWriterPragmas = "PRAGMA journal_mode = WAL; PRAGMA cache_size = -2048;"
                                       "PRAGMA journal_size_limit = 16777216; PRAGMA foreign_keys = ON;";
constexpr const char* kReaderPragmas = "PRAGMA cache_size = -1024; PRAGMA query_only = ON;";
constexpr const char* kCommonPragmas = "PRAGMA temp_store = MEMORY; PRAGMA wal_autocheckpoint = 0;"
                                       "PRAGMA trusted_schema = OFF;";
constexpr int kBusyTimeoutMs = 5000; // another process (a backup tool) may hold the lock for a moment

/// By default every connection takes 20 page buffers when it opens, and every allocation is counted under one
/// lock. Must come before the first connection.
void configure_sqlite() {
    static const bool done = [] {
        sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
        sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
        return true;
    }();
    (void)done;
}

} // namespace

/// A statement taken from the cache, given back reset; or one of its own, when the cached one is in use
/// further up the stack (a query inside the callback of the same query).
struct SqliteConnection::Lease {
    Cached* cached = nullptr;
    StatementHandle owned;

    Lease() = default;
    Lease(Lease&& other) noexcept
        : cached(std::exchange(other.cached, nullptr)), owned(std::move(other.owned)) {}
    Lease& operator=(Lease&&) = delete;
    ~Lease() {
        if (!cached) return;
        sqlite3_reset(cached->statement.get());
        sqlite3_clear_bindings(cached->statement.get());
        cached->busy = false;
    }
    sqlite3_stmt* get() const { return cached ? cached->statement.get() : owned.get(); }
};

Result<std::unique_ptr<SqliteConnection>> SqliteConnection::open(const std::filesystem::path& path, Role role,
                                                                 bool durable) {
    if (role == Role::writer) {
        // SQLite gives the WAL and its index the mode of the database file.
        CONSIGN_TRY(created, open_file(path, O_RDWR | O_CREAT, 0600));
        created.reset();
    }
    configure_sqlite();
    sqlite3* raw = nullptr;
    const int opened =
        sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
    DatabaseHandle handle(raw);
    if (opened != SQLITE_OK)
        return std::unexpected(with_context(sqlite_error(raw, opened, {}), "cannot open " + path.string()));
    sqlite3_extended_result_codes(raw, 1);
    sqlite3_busy_timeout(raw, kBusyTimeoutMs);

    std::unique_ptr<SqliteConnection> out(new SqliteConnection(std::move(handle)));
    std::string pragmas = role == Role::writer ? kWriterPragmas : kReaderPragmas;
    pragmas += kCommonPragmas;
    pragmas += durable ? "PRAGMA synchronous = FULL;" : "PRAGMA synchronous = NORMAL;";
    if (auto set = out->run_script(pragmas); !set)
        return std::unexpected(with_context(std::move(set).error(), "cannot open " + path.string()));
    return out;
}

Result<StatementHandle> SqliteConnection::compile(std::string_view sql) const {
    sqlite3_stmt* raw = nullptr;
    const char* tail = nullptr;
    const int prepared = sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                                            SQLITE_PREPARE_PERSISTENT, &raw, &tail);
    StatementHandle statement(raw);
    if (prepared != SQLITE_OK) return std::unexpected(sqlite_error(handle_.get(), prepared, sql));
    const auto rest = sql.substr(static_cast<std::size_t>(tail - sql.data()));
    if (!statement || rest.find_first_not_of(" \t\r\n;") != std::string_view::npos)
        return fail(Code::internal,
                    "database: exactly one statement is expected (in " + std::string(sql) + ")");
    return statement;
}

Result<SqliteConnection::Lease> SqliteConnection::prepare(std::string_view sql) {
    Lease lease;
    const auto found = by_text_.find(sql);
    if (found != by_text_.end() && found->second->busy) {
        CONSIGN_TRY(statement, compile(sql));
        lease.owned = std::move(statement);
        return lease;
    }
    if (found == by_text_.end()) {
        CONSIGN_TRY(statement, compile(sql));
        cache_.push_front({std::string(sql), std::move(statement)});
        by_text_.emplace(cache_.front().sql, cache_.begin());
        if (cache_.size() > kCachedStatements && !cache_.back().busy) {
            by_text_.erase(cache_.back().sql);
            cache_.pop_back();
        }
    } else {
        cache_.splice(cache_.begin(), cache_, found->second);
    }
    lease.cached = &cache_.front();
    lease.cached->busy = true;
    return lease;
}

Result<void> SqliteConnection::bind(sqlite3_stmt* statement, std::string_view sql,
                                    std::initializer_list<Value> parameters) const {
    if (sqlite3_bind_parameter_count(statement) != static_cast<int>(parameters.size()))
        return fail(Code::internal,
                    std::format("database: {} parameters given, {} expected (in {})", parameters.size(),
                                sqlite3_bind_parameter_count(statement), sql));
    int number = 0;
    for (const auto& parameter : parameters) {
        // SQLite numbers "$2" by where it first stands in the text, not by its name.
        std::array<char, 16> name{'$'};
        std::to_chars(name.data() + 1, name.data() + name.size() - 1, ++number);
        const int index = sqlite3_bind_parameter_index(statement, name.data());
        if (index == 0)
            return fail(Code::internal, std::format("database: no parameter {} (in {})", name.data(), sql));
        if (const int bound = std::visit(Binder{statement, index}, parameter.data()); bound != SQLITE_OK)
            return std::unexpected(sqlite_error(handle_.get(), bound, sql));
    }
    return {};
}

Result<void> SqliteConnection::query(std::string_view sql, std::initializer_list<Value> parameters,
                                     const std::function<bool(const Row&)>& each) {
    CONSIGN_TRY(lease, prepare(sql));
    CONSIGN_CHECK(bind(lease.get(), sql, parameters));
    const SqliteRow row(lease.get());
    int stepped = SQLITE_ROW;
    while ((stepped = sqlite3_step(lease.get())) == SQLITE_ROW)
        if (!each(row)) return {};
    if (stepped != SQLITE_DONE) return std::unexpected(sqlite_error(handle_.get(), stepped, sql));
    return {};
}

Result<std::int64_t> SqliteConnection::execute(std::string_view sql,
                                               std::initializer_list<Value> parameters) {
    CONSIGN_CHECK(query(sql, parameters, [](const Row&) { return true; }));
    return sqlite3_changes64(handle_.get());
}

Result<void> SqliteConnection::run(std::string_view sql) {
    return query(sql, {}, [](const Row&) { return true; });
}

Result<void> SqliteConnection::run_script(std::string_view sql) {
    const std::string text(sql);
    if (const int done = sqlite3_exec(handle_.get(), text.c_str(), nullptr, nullptr, nullptr);
        done != SQLITE_OK)
        return std::unexpected(sqlite_error(handle_.get(), done, sql));
    return {};
}

bool SqliteConnection::has_unresolved_foreign_keys() const {
    int current = 0, highest = 0;
    sqlite3_db_status(handle_.get(), SQLITE_DBSTATUS_DEFERRED_FKS, &current, &highest, 0);
    return current != 0;
}

} // namespace consign::store
