// Ten thousand agents whose polls are parked, and how fast one wakes when there is a job.
#include "bench.hpp"
#include <format>
#include <iostream>
#include <thread>

namespace bench {
namespace {

constexpr int kAgents = 10'000;
constexpr int kEnrollAtOnce = 64;
constexpr int kJobs = 1'000;
constexpr std::chrono::microseconds kJobEvery{3'333}; // 300 a second

struct Fleet {
    std::vector<std::string> tokens;
    int parked = 0;
    Clock::time_point enqueued; ///< when the last enqueue was answered
    std::vector<double> wake_ms;
    bool ending = false;
    std::optional<Error> error;
};

net::Async<> enroll_some(Client& owner, Fleet& fleet, int count) {
    for (int i = 0; i < count && !fleet.error; ++i) {
        auto token = co_await enroll_agent(owner.api());
        if (!token)
            fleet.error = token.error();
        else
            fleet.tokens.push_back(std::move(*token));
    }
}

net::Async<Result<void>> enroll_all(net::Executor executor, Client& owner, Fleet& fleet) {
    net::TaskGroup group(executor);
    for (int i = 0; i < kEnrollAtOnce; ++i)
        group.spawn(enroll_some(owner, fleet, kAgents / kEnrollAtOnce + (i < kAgents % kEnrollAtOnce)));
    co_await group.join();
    if (fleet.error) co_return std::unexpected(*fleet.error);
    co_return Result<void>{};
}

/// One agent: polls, and when it gets a job notes the time and ends it.
net::Async<> attend(net::Client& http, net::Url base, std::string token, Fleet& fleet) {
    protocol::PollRequest poll{.session = SessionId::make(SystemClock().now()), .slots = 1};
    net::ClientRequest request{.verb = net::Verb::post, .url = base};
    request.headers.set("Authorization", "Bearer " + token);
    request.response_deadline = std::chrono::minutes(2);
    while (!fleet.ending) {
        auto again = request;
        again.url.target = "/v1/agent/poll";
        again.body = json::to_text(poll);
        ++fleet.parked;
        auto text = co_await http.fetch_text(std::move(again));
        const auto now = Clock::now();
        --fleet.parked;
        if (!text) {
            if (!fleet.ending && !fleet.error) fleet.error = text.error();
            co_return;
        }
        if (text->empty()) continue;
        auto work = json::decode_text<protocol::PollResponse>(*text);
        if (!work || work->leases.empty()) continue;
        fleet.wake_ms.push_back(std::chrono::duration<double, std::milli>(now - fleet.enqueued).count());
        const auto& lease = work->leases.front();
        auto end = request;
        end.url.target = "/v1/jobs/" + lease.job.str() + "/complete";
        end.headers.set(protocol::kLeaseHeader, std::to_string(lease.epoch));
        end.body =
            json::to_text(protocol::CompleteRequest{.outcome = protocol::Outcome::failed, .error = "bench"});
        (void)co_await http.fetch_text(std::move(end));
    }
}

/// Enqueues at a steady rate. The agent may hear of a job before its enqueue was answered: that counts as 0.
net::Async<Result<void>> feed(Client& owner, Fleet& fleet) {
    auto next = Clock::now();
    for (int i = 0; i < kJobs && !fleet.error; ++i) {
        next += kJobEvery;
        co_await net::sleep_until(next);
        const auto before = fleet.wake_ms.size();
        CONSIGN_CO_CHECK(co_await enqueue(owner.api()));
        fleet.enqueued = Clock::now();
        if (fleet.wake_ms.size() > before) fleet.wake_ms.back() = 0;
    }
    co_await net::sleep_for(std::chrono::seconds(1));
    if (fleet.error) co_return std::unexpected(*fleet.error);
    co_return Result<void>{};
}

net::Async<Result<void>> park_all(net::TaskGroup& group, net::Client& http, net::Url url, Fleet& fleet) {
    for (std::size_t i = 0; i < fleet.tokens.size(); ++i) {
        group.spawn(attend(http, url, fleet.tokens[i], fleet));
        if (i % 64 == 63) co_await net::sleep_for(std::chrono::milliseconds(5)); // within the listen backlog
    }
    co_await net::sleep_for(std::chrono::seconds(2));
    if (fleet.error) co_return std::unexpected(*fleet.error);
    co_return Result<void>{};
}

net::Async<Result<void>> stop_all(net::TaskGroup& group, Fleet& fleet) {
    fleet.ending = true;
    group.stop();
    co_await group.join();
    co_return Result<void>{};
}

struct Sample {
    double parked, bytes, p50, p99;
};

/// A server of its own for each round: memory that was used once is not given back, so a second fleet would
/// seem to cost nothing.
Sample one_round(const std::filesystem::path& binary) {
    Server server(binary);
    net::IoThread io;
    Client owner(io, server, server.owner_token());
    need(io.run(apply_load_app(owner.api())), "apply an app");
    Fleet fleet;
    need(io.run(enroll_all(io.executor(), owner, fleet)), "enrol the agents");

    std::this_thread::sleep_for(std::chrono::seconds(1));
    const double before = rss_mib(server.pid());
    net::Client http(io.executor(), {.io_deadline = std::chrono::minutes(5)});
    net::TaskGroup group(io.executor());
    need(io.run(park_all(group, http, server.url(), fleet)), "park the polls");
    const double parked = fleet.parked;
    const double bytes = (rss_mib(server.pid()) - before) * (1 << 20) / parked;
    need(io.run(feed(owner, fleet)), "wake the agents");
    need(io.run(stop_all(group, fleet)), "stop");
    return {parked, bytes, quantile(fleet.wake_ms, 0.5), quantile(fleet.wake_ms, 0.99)};
}

} // namespace

int polls(const std::filesystem::path& binary) {
    std::vector<double> parked, bytes, p50, p99;
    for (int round = 0; round < 5; ++round) {
        const auto sample = one_round(binary);
        parked.push_back(sample.parked);
        bytes.push_back(sample.bytes);
        p50.push_back(sample.p50);
        p99.push_back(sample.p99);
    }
    std::cout << std::format(
        "bench polls: parked={:.0f} bytes_per_poll={:.0f} wake_p50_ms={:.2f} wake_p99_ms={:.2f}\n",
        median(parked), median(bytes), median(p50), median(p99));
    return 0;
}

} // namespace bench
