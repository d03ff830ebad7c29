#pragma once
// The event log, read.
#include "consign/protocol/user_api.hpp"
#include "consign/store/database.hpp"

namespace consign::ims::events {

/// What one answer or one piece of a stream carries at most.
struct Limit {
    int rows = 500;
    std::size_t bytes = 4u << 20; ///< of details, roughly; at least one event is given
};

/// The events after `after`, oldest first.
Result<std::vector<protocol::EventView>> after(store::Connection& c, std::int64_t after, Limit limit);
/// The number of the newest; 0: there is none.
Result<std::int64_t> newest(store::Connection& c);

} // namespace consign::ims::events
