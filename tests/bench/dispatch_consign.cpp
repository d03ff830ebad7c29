// consign in the bench `dispatch`: HTTP and JSON over loopback, agents with tokens of their own.
#include "dispatch.hpp"

namespace bench {
namespace {

struct Worker {
    std::unique_ptr<Client> user, agent; ///< two connections: it is who queues jobs, and who runs them
    protocol::PollRequest poll{.session = SessionId::make(SystemClock().now()), .slots = 1, .wait_s = 5};
};

class Consign final : public JobSystem {
  public:
    Consign(const std::filesystem::path& binary, const std::filesystem::path& history, net::IoThread& io,
            std::size_t workers)
        : server_(binary, history) {
        Client owner(io, server_, server_.owner_token());
        need(io.run(apply_load_app(owner.api())), "apply an app");
        for (std::size_t i = 0; i < workers; ++i) {
            auto token = need(io.run(enroll_agent(owner.api())), "enrol");
            workers_.push_back({.user = std::make_unique<Client>(io, server_, server_.owner_token()),
                                .agent = std::make_unique<Client>(io, server_, std::move(token))});
        }
    }
    double server_cpu_seconds() const override { return cpu_seconds(server_.pid()); }
    net::Async<Result<void>> cycle(std::size_t index) override {
        auto& worker = workers_[index];
        CONSIGN_CO_CHECK(co_await enqueue(worker.user->api()));
        auto& api = worker.agent->api();
        for (;;) {
            CONSIGN_CO_TRY(work, co_await api.call<protocol::PollResponse>(net::Verb::post, "/v1/agent/poll",
                                                                           worker.poll));
            if (work.leases.empty()) continue;
            const auto& lease = work.leases.front();
            const protocol::CallOptions fenced{.epoch = lease.epoch};
            const auto path = "/v1/jobs/" + lease.job.str();
            CONSIGN_CO_CHECK(
                co_await api.call<protocol::Empty>(net::Verb::post, path + "/start", nullptr, fenced));
            CONSIGN_CO_CHECK(co_await api.call<protocol::Empty>(
                net::Verb::post, path + "/complete",
                protocol::CompleteRequest{.outcome = protocol::Outcome::failed, .error = "bench"}, fenced));
            co_return Result<void>{};
        }
    }
    void stop_server() { server_.stop(); }
    const Server& server() const { return server_; }

  private:
    Server server_;
    std::vector<Worker> workers_;
};

} // namespace

std::unique_ptr<JobSystem> start_consign(const std::filesystem::path& binary,
                                         const std::filesystem::path& history, net::IoThread& io,
                                         std::size_t workers) {
    return std::make_unique<Consign>(binary, history, io, workers);
}

std::filesystem::path run_one_job(const std::filesystem::path& binary,
                                  const std::filesystem::path& directory) {
    net::IoThread io;
    Consign consign(binary, {}, io, 1);
    need(io.run(consign.cycle(0)), "run one job");
    consign.stop_server();
    const auto data = directory / "history";
    std::filesystem::rename(consign.server().data(), data);
    return data;
}

} // namespace bench
