#pragma once
#include "install/service.hpp"
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

namespace consign::install {

/// Keeps the services of one site running: one thread that sleeps until a service ends, a restart is due or
/// somebody wants something. Services that an earlier supervisor left running are adopted, never started
/// twice. Destruction joins the thread and leaves the services running. Any thread may call.
class Supervisor {
  public:
    /// `components` is DATA/components.
    static Result<std::unique_ptr<Supervisor>> start(std::filesystem::path components,
                                                     SupervisorOptions options = {});
    ~Supervisor();

    /// From now on `spec` is kept running, instead of whatever ran for this component; returns once it is
    /// started or adopted. After an error (it cannot be started) it is tried again and again all the same:
    /// stop() ends that.
    Result<void> run(const std::string& component, ServiceSpec spec);
    /// Returns when no process of the service is left: SIGTERM, then after the grace SIGKILL. Also for a
    /// service that only an earlier agent knew of. failed: something cannot be killed.
    Result<void> stop(const std::string& component);
    ServiceStatus status(const std::string& component);

  private:
    Supervisor(std::filesystem::path components, SupervisorOptions options, Fd wake);
    Result<void> carry_out(const std::string& component, std::optional<ServiceSpec> spec);
    void watch();
    void wake();

    const std::filesystem::path components_;
    const SupervisorOptions options_;
    const Fd wake_; ///< eventfd
    std::mutex mutex_;
    std::condition_variable stepped_;
    std::map<std::string, Service> services_;
    bool ending_ = false;
    std::thread thread_;
};

} // namespace consign::install
