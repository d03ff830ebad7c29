#pragma once
#include "consign/store/database.hpp"
#include "handles.hpp"
#include <list>
#include <string>
#include <unordered_map>

namespace consign::store {

/// One SQLite connection with its prepared statements. Used by one thread at a time.
class SqliteConnection final : public Transaction {
  public:
    enum class Role { writer, reader };

    /// The file is created with mode 0600 when it is not there (writer only).
    static Result<std::unique_ptr<SqliteConnection>> open(const std::filesystem::path& path, Role role,
                                                          bool durable);

    Result<void> query(std::string_view sql, std::initializer_list<Value> parameters,
                       const std::function<bool(const Row&)>& each) override;
    Result<std::int64_t> execute(std::string_view sql, std::initializer_list<Value> parameters = {}) override;

    Result<void> run(std::string_view sql);        ///< one statement, no parameters, no rows
    Result<void> run_script(std::string_view sql); ///< any number of statements, not cached
    /// SQLite itself rolls back everything after some failures (disk full, I/O error): false then.
    bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
    /// Deferred foreign keys that would make COMMIT fail, and with it everybody else in the batch.
    bool has_unresolved_foreign_keys() const;
    sqlite3* raw() const { return handle_.get(); }

  private:
    struct Cached {
        std::string sql;
        StatementHandle statement;
        bool busy = false;
    };
    struct Lease;
    explicit SqliteConnection(DatabaseHandle handle) : handle_(std::move(handle)) {}
    Result<Lease> prepare(std::string_view sql);
    Result<StatementHandle> compile(std::string_view sql) const;
    Result<void> bind(sqlite3_stmt* statement, std::string_view sql,
                      std::initializer_list<Value> parameters) const;

    DatabaseHandle handle_;   // outlives the statements below
    std::list<Cached> cache_; // most recently used first
    std::unordered_map<std::string_view, std::list<Cached>::iterator> by_text_; // keys point into cache_
};

} // namespace consign::store
