#include "net/client_pool.hpp"

namespace consign::net {

ClientPool::ClientPool(Executor executor, std::size_t per_origin, std::chrono::milliseconds idle_for)
    : queue_(DeadlineQueue::of(executor)), per_origin_(per_origin), idle_for_(idle_for) {}

std::unique_ptr<ClientConnection> ClientPool::take(const std::string& origin) {
    const auto found = idle_.find(origin);
    if (found == idle_.end()) return nullptr;
    std::unique_ptr<ClientConnection> taken;
    while (!taken && !found->second.empty()) {
        auto candidate = std::move(found->second.front());
        found->second.pop_front();
        const bool fresh = std::chrono::steady_clock::now() - candidate->idle_since < idle_for_;
        if (fresh && candidate->stream.probe() == Stream::Probe::quiet) taken = std::move(candidate);
    }
    if (found->second.empty()) idle_.erase(found);
    return taken;
}

void ClientPool::put(std::unique_ptr<ClientConnection> connection) {
    auto& idle = idle_[connection->origin];
    connection->idle_since = std::chrono::steady_clock::now();
    idle.push_front(std::move(connection));
    if (idle.size() > per_origin_) idle.pop_back();
    if (!purge_) arm();
}

void ClientPool::expired() {
    const auto before = std::chrono::steady_clock::now() - idle_for_;
    for (auto& [origin, idle] : idle_)
        std::erase_if(idle, [before](const auto& connection) { return connection->idle_since <= before; });
    std::erase_if(idle_, [](const auto& entry) { return entry.second.empty(); });
    purge_.reset();
    if (!idle_.empty()) arm();
}

// Half a period late at worst: one deadline for the pool, not one for each connection.
void ClientPool::arm() { purge_.emplace(queue_, std::chrono::steady_clock::now() + idle_for_ / 2, *this); }

} // namespace consign::net
