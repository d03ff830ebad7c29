#pragma once
#include "agent/ims_link.hpp"
#include <filesystem>

namespace consign::agent {

/// Whether an earlier process made a new key and did not get to use it. Blocks.
bool rotation_is_unfinished(const std::filesystem::path& data);

/// Makes a new key (DATA/agent.key.next), offers it to the IMS, and signs with it from then on
/// (DATA/agent.key). The IMS takes both until the new one is used, so whatever ends this in the middle is mended
/// by doing it again. On the I/O thread of `io`.
net::Async<Result<void>> rotate_key(net::IoThread& io, ImsLink& ims, std::filesystem::path data);

} // namespace consign::agent
