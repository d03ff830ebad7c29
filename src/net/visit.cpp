#include "consign/net/visit.hpp"
#include <thread>

namespace consign::net {

namespace {

/// The context's count. A visitor shares it: the last thing that it touches may outlive the context.
struct Visits : asio::execution_context::service {
    static inline asio::execution_context::id id;
    explicit Visits(asio::execution_context& context) : service(context) {}
    void shutdown() override {}
    const std::shared_ptr<std::atomic<int>> count = std::make_shared<std::atomic<int>>(0);
};

} // namespace

Visit::Visit(const Executor& executor) : count_(asio::use_service<Visits>(executor.context()).count) {
    ++*count_;
}

void await_visits(asio::io_context& context) {
    const auto count = asio::use_service<Visits>(context).count;
    while (count->load() > 0) std::this_thread::yield();
}

} // namespace consign::net
