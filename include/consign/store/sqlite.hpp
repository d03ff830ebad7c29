#pragma once
#include "consign/store/database.hpp"

namespace consign::store {

struct SqliteOptions {
    std::size_t readers = 2;
    std::size_t max_batch = 256;    ///< closures per commit
    std::size_t max_queue = 20'000; ///< beyond it write() answers rate_limited
    /// FULL: what was answered is on disk. Logs and the like may choose false (NORMAL: a power cut may lose
    /// the last commits, never the consistency).
    bool durable = true;
};

/// Opens or creates the SQLite database at `path` (WAL), applies the missing `migrations` in one transaction
/// each. A database that is newer than the last migration is refused (unsupported), naming both versions; an
/// upgrade first copies the file to `<path>.v<old>.backup`. Closing drains the queue, commits and
/// checkpoints.
Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path,
                                              std::span<const Migration> migrations,
                                              SqliteOptions options = {});

} // namespace consign::store
