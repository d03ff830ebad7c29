#pragma once
// A job's log as the store keeps it: one stream of bytes, appended in order by whoever holds the newest lease.
#include "consign/base/id.hpp"
#include "consign/store/database.hpp"
#include <span>

namespace consign::ims::log_streams {

std::span<const store::Migration> migrations();

/// The first lease of a job opens its stream with its first piece, every later one with a fence.
inline constexpr std::int64_t kFirstEpoch = 1;

/// From now on only pieces of `epoch` (or a later one) are taken; the stream's size.
Result<std::int64_t> fence(store::Transaction& tx, const JobId& job, std::int64_t epoch);

struct Appended {
    bool accepted = false;
    std::int64_t size = 0; ///< where the next piece must start
};
/// Appends if `offset` is the stream's size. lease_lost for an old epoch; too_large past 1 GiB.
Result<Appended> append(store::Transaction& tx, const JobId& job, std::int64_t epoch, std::int64_t offset,
                        std::string_view data);

struct Page {
    std::string data;
    std::int64_t next = 0;
};
Result<Page> read(store::Connection& c, const JobId& job, std::int64_t offset, std::size_t limit_bytes);

} // namespace consign::ims::log_streams
