#pragma once
#include "agent/ims_link.hpp"
#include "agent/outbox.hpp"

namespace consign::agent {

/// Sends what is in the outbox, in order and each byte once, until it is closed and empty, or abandoned.
/// Outages are sat out. lease_lost: the attempt is not ours any more, the rest stays unsent.
net::Async<Result<void>> ship(ImsLink& ims, const protocol::Lease& lease, Outbox& outbox, net::Mailbox& wake);

} // namespace consign::agent
