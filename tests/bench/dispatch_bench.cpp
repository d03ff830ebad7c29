// The job engine over HTTP: durable enqueue → lease → start → complete, synchronous=FULL, 1 KiB payload,
// history kept.
#include "bench.hpp"
#include <format>
#include <iostream>

namespace bench {
namespace {

struct Worker {
    std::unique_ptr<Client> agent; ///< its own connections
    protocol::PollRequest poll{.session = SessionId::make(SystemClock().now()), .slots = 1, .wait_s = 5};
};

/// One cycle: queue a job, then lease, start and end one (its own or another worker's).
net::Async<Result<void>> cycle(Worker& worker, protocol::ApiClient& owner) {
    CONSIGN_CO_CHECK(co_await enqueue(owner));
    auto& api = worker.agent->api();
    for (;;) {
        CONSIGN_CO_TRY(
            work, co_await api.call<protocol::PollResponse>(net::Verb::post, "/v1/agent/poll", worker.poll));
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

struct Tally {
    Clock::time_point end;
    int cycles = 0;
    std::optional<Error> error;
};

net::Async<> work_until_end(Worker& worker, protocol::ApiClient& owner, Tally& tally) {
    while (Clock::now() < tally.end && !tally.error) {
        if (auto done = co_await cycle(worker, owner); !done)
            tally.error = done.error();
        else
            ++tally.cycles;
    }
}

net::Async<Result<double>> rate(net::Executor executor, std::vector<Worker>& workers,
                                protocol::ApiClient& owner, std::chrono::seconds duration) {
    Tally tally{.end = Clock::now() + duration, .error = {}};
    net::TaskGroup group(executor);
    for (auto& worker : workers) group.spawn(work_until_end(worker, owner, tally));
    co_await group.join();
    if (tally.error) co_return std::unexpected(*tally.error);
    co_return tally.cycles / std::chrono::duration<double>(duration).count();
}

double measure(const std::filesystem::path& binary, int count) {
    Server server(binary);
    net::IoThread io;
    Client owner(io, server, server.owner_token());
    need(io.run(apply_load_app(owner.api())), "apply an app");
    std::vector<Worker> workers;
    for (int i = 0; i < count; ++i)
        workers.push_back({.agent = std::make_unique<Client>(
                               io, server, need(io.run(enroll_agent(owner.api())), "enrol"))});
    need(io.run(rate(io.executor(), workers, owner.api(), std::chrono::seconds(1))), "warm up");
    return need(io.run(rate(io.executor(), workers, owner.api(), std::chrono::seconds(3))), "measure");
}

} // namespace

int dispatch(const std::filesystem::path& binary) {
    std::vector<double> one, many;
    for (int round = 0; round < 5; ++round) { // in turn, so that a slow minute of the machine hits both
        one.push_back(measure(binary, 1));
        many.push_back(measure(binary, 64));
    }
    std::cout << std::format("bench dispatch: cycles_per_s_1={:.0f} cycles_per_s_64={:.0f}\n", median(one),
                             median(many));
    return 0;
}

} // namespace bench
