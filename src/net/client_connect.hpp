#pragma once
#include "consign/net/client.hpp"
#include "net/client_pool.hpp"

namespace consign::net {

/// Resolves, connects (each address in turn), and for https shakes hands, all by `deadline`.
/// `tls`: null for http. The error names host and port, the reason, and what to check.
Async<Result<std::unique_ptr<ClientConnection>>> connect_to(Executor executor, Url url, SSL_CTX* tls,
                                                            bool verify, std::span<std::byte> scratch,
                                                            SteadyTime deadline);

} // namespace consign::net
