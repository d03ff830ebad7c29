#include "install/supervisor.hpp"
#include <algorithm>
#include <poll.h>
#include <sys/eventfd.h>

namespace consign::install {
namespace {

using namespace std::chrono_literals;

int poll_timeout(Steady::time_point until, Steady::time_point now) {
    if (until == Steady::time_point::max()) return -1;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now);
    return static_cast<int>(std::clamp<std::chrono::milliseconds>(left, 0ms, 1h).count());
}

} // namespace

Result<std::unique_ptr<Supervisor>> Supervisor::start(std::filesystem::path components,
                                                      SupervisorOptions options) {
    Fd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) return fail_errno("cannot watch services", errno);
    std::unique_ptr<Supervisor> supervisor(new Supervisor(std::move(components), options, std::move(wake)));
    supervisor->thread_ = std::thread(&Supervisor::watch, supervisor.get());
    return supervisor;
}

Supervisor::Supervisor(std::filesystem::path components, SupervisorOptions options, Fd wake)
    : components_(std::move(components)), options_(options), wake_(std::move(wake)) {}

Supervisor::~Supervisor() {
    {
        const std::lock_guard hold(mutex_);
        ending_ = true;
    }
    wake();
    if (thread_.joinable()) thread_.join();
}

void Supervisor::wake() { ::eventfd_write(wake_.get(), 1); }

Result<void> Supervisor::run(const std::string& component, ServiceSpec spec) {
    return carry_out(component, std::move(spec));
}

Result<void> Supervisor::stop(const std::string& component) { return carry_out(component, std::nullopt); }

Result<void> Supervisor::carry_out(const std::string& component, std::optional<ServiceSpec> spec) {
    std::unique_lock hold(mutex_);
    const bool wanted = spec.has_value();
    auto& service =
        services_.try_emplace(component, component, ComponentPaths{components_ / component}, options_)
            .first->second;
    service.want(std::move(spec));
    wake();
    // SIGTERM, the grace, SIGKILL, and then the kernel needs a moment. What is not gone after that hangs in
    // the kernel.
    if (!stepped_.wait_for(hold, options_.grace + 15s, [&] { return service.settled() || ending_; }))
        return fail(
            Code::failed, "the running service of '" + component + "' does not end, not even by SIGKILL",
            "look for processes in state D (ps axo pid,stat,cmd), free what they wait for, then try again");
    if (!service.settled()) return fail(Code::cancelled, "the agent is shutting down");
    if (wanted && service.start_error()) return std::unexpected(*service.start_error());
    return {};
}

ServiceStatus Supervisor::status(const std::string& component) {
    const std::lock_guard hold(mutex_);
    const auto found = services_.find(component);
    return found == services_.end() ? ServiceStatus{} : found->second.status();
}

void Supervisor::watch() {
    std::unique_lock hold(mutex_);
    while (!ending_) {
        const auto now = Steady::now();
        auto next = Steady::time_point::max();
        std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
        for (auto& [name, service] : services_) {
            next = std::min(next, service.step(now));
            if (service.watch_fd() >= 0) fds.push_back({service.watch_fd(), POLLIN, 0});
        }
        stepped_.notify_all();
        hold.unlock();
        ::poll(fds.data(), fds.size(), poll_timeout(next, Steady::now()));
        eventfd_t ignored = 0;
        ::eventfd_read(wake_.get(), &ignored);
        hold.lock();
    }
    stepped_.notify_all();
}

} // namespace consign::install
