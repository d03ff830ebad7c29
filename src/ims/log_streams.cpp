#include "log_streams.hpp"
#include <format>

namespace consign::ims::log_streams {
namespace {

constexpr std::int64_t kStreamLimitBytes = 1ll << 30;

constexpr store::Migration kMigrations[] = {{
    1,
#include "embedded/ims/log_migrations/0001_logs.sql.inc"
}};

struct Stream {
    std::int64_t epoch = 0, size = 0;
};
Result<Stream> stream(store::Connection& c, const JobId& job) {
    CONSIGN_TRY(found, c.query_one("SELECT epoch, size FROM log_streams WHERE job=$1", {job},
                                   [](const store::Row& row) {
                                       return Stream{row.integer(0), row.integer(1)};
                                   }));
    return found.value_or(Stream{});
}

} // namespace

std::span<const store::Migration> migrations() { return kMigrations; }

Result<std::int64_t> fence(store::Transaction& tx, const JobId& job, std::int64_t epoch) {
    CONSIGN_CHECK(tx.execute("INSERT INTO log_streams(job, epoch, size) VALUES ($1,$2,0) ON CONFLICT(job) "
                             "DO UPDATE SET epoch=excluded.epoch WHERE log_streams.epoch < excluded.epoch",
                             {job, epoch}));
    CONSIGN_TRY(now, stream(tx, job));
    return now.size;
}

Result<Appended> append(store::Transaction& tx, const JobId& job, std::int64_t epoch, std::int64_t offset,
                        std::string_view data) {
    CONSIGN_TRY(now, stream(tx, job));
    if (now.epoch == 0 && epoch == kFirstEpoch) { // the first lease needs no fence: there was none before
        CONSIGN_TRY(size, fence(tx, job, epoch));
        now = {epoch, size};
    }
    if (now.epoch != epoch)
        return fail(Code::lease_lost, std::format("the log of job {} belongs to epoch {}, not {}", job.str(),
                                                  now.epoch, epoch));
    if (offset != now.size) return Appended{false, now.size};
    const auto size = now.size + static_cast<std::int64_t>(data.size());
    if (size > kStreamLimitBytes)
        return fail(Code::too_large,
                    std::format("the log of job {} has reached its limit of 1 GiB", job.str()));
    if (data.empty()) return Appended{true, size};
    CONSIGN_CHECK(tx.execute("INSERT INTO log_pieces(job, start, data) VALUES ($1,$2,$3)",
                             {job, offset, as_bytes(data)}));
    CONSIGN_CHECK(tx.execute("UPDATE log_streams SET size=$2 WHERE job=$1", {job, size}));
    return Appended{true, size};
}

Result<Page> read(store::Connection& c, const JobId& job, std::int64_t offset, std::size_t limit_bytes) {
    Page page{.data = {}, .next = offset};
    // The piece that holds `offset` may begin before it.
    CONSIGN_CHECK(c.query(
        "SELECT start, data FROM log_pieces WHERE job=$1 AND start >= "
        "COALESCE((SELECT MAX(start) FROM log_pieces WHERE job=$1 AND start <= $2), 0) ORDER BY start",
        {job, offset}, [&](const store::Row& row) {
            auto piece = as_text(row.blob(1));
            const auto start = row.integer(0);
            if (start < page.next) {
                const auto skip = static_cast<std::size_t>(page.next - start);
                if (skip >= piece.size()) return true;
                piece.remove_prefix(skip);
            }
            piece = piece.substr(0, limit_bytes - page.data.size());
            page.data += piece;
            page.next += static_cast<std::int64_t>(piece.size());
            return page.data.size() < limit_bytes;
        }));
    return page;
}

} // namespace consign::ims::log_streams
