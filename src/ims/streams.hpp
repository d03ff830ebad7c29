#pragma once
// What the blocking queries answer piece by piece, as server-sent events. A stream ends in order when its
// token is revoked or runs out; whoever comes back then is refused.
#include "auth.hpp"
#include "consign/net/sse.hpp"

namespace consign::ims {

/// The events after `after`, one each: id is the seq, data the EventView. Never over by itself.
std::shared_ptr<net::EventFeed> event_feed(Core& core, Caller caller, std::int64_t after);

/// The job's log from `offset` on, as text: id is the offset after the piece. When the job has ended and all
/// was sent, one event `end` whose data is the job's state.
std::shared_ptr<net::EventFeed> log_feed(Core& core, Caller caller, JobId job, std::int64_t offset);

} // namespace consign::ims
