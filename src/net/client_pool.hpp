#pragma once
#include "net/incoming.hpp"
#include <list>
#include <map>

namespace consign::net {

struct ClientConnection {
    ClientConnection(Executor executor, std::span<std::byte> scratch, std::string to)
        : stream(Socket(executor)), incoming(stream, scratch), origin(std::move(to)) {}
    Stream stream;
    Incoming incoming;
    std::string origin;
    SteadyTime idle_since{};
};

/// Idle keep-alive connections by origin, the most recently used first.
class ClientPool final : public Expirable {
  public:
    ClientPool(Executor executor, std::size_t per_origin, std::chrono::milliseconds idle_for);
    /// One that the server has not closed as far as we can tell, or null.
    std::unique_ptr<ClientConnection> take(const std::string& origin);
    void put(std::unique_ptr<ClientConnection> connection);

  private:
    using Idle = std::list<std::unique_ptr<ClientConnection>>;
    void expired() override;
    void arm();

    DeadlineQueue& queue_;
    std::size_t per_origin_;
    std::chrono::milliseconds idle_for_;
    std::map<std::string, Idle> idle_;
    std::optional<Deadline> purge_;
};

} // namespace consign::net
