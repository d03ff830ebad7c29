// Thousands of agents whose polls are parked: what they cost, how fast one wakes when there is a job, how fast all
// are told at once, and how soon all are back after a crash.
#include "consign/net/backoff.hpp"
#include "fleet.hpp"
#include <csignal>
#include <format>
#include <iostream>
#include <thread>

namespace bench {
namespace {

// In one process 20,000 descriptors are the limit on many machines.
constexpr int kParked = 15'000, kFewer = 10'000; // fewer: for TLS, and for telling all
constexpr int kRounds = 3, kJobs = 1'000;
constexpr std::chrono::microseconds kJobEvery{3'333}; // 300 a second
constexpr std::chrono::seconds kIdleFor{50};          // each poll ends once, and is sent again

struct Fleet {
    std::vector<std::string> tokens;
    int parked = 0;
    Clock::time_point enqueued; ///< when the last enqueue was answered
    std::vector<double> wake_ms;
    std::vector<Clock::time_point> told; ///< when polls were answered without work
    bool ending = false, coming_back = false;
    bool last = false; ///< the next answer without work is the last: the server is stopping
    int back = 0; ///< answered again since the crash
    std::optional<Error> error;
};

net::Async<Result<std::string>> ask(net::Client& http, const net::Url& base, std::string token, std::string path,
                                    std::string body, std::optional<std::int64_t> epoch = {}) {
    net::ClientRequest request{.verb = net::Verb::post, .url = base};
    request.url.target = std::move(path);
    request.headers.set("Authorization", "Bearer " + token);
    if (epoch) request.headers.set(protocol::kLeaseHeader, std::to_string(*epoch));
    request.response_deadline = std::chrono::minutes(2);
    request.body = std::move(body);
    return http.fetch_text(std::move(request));
}

/// One agent: polls, and when it gets a job notes the time and ends it. After a crash it comes back as agents do.
net::Async<> attend(net::Client& http, net::Url base, std::string token, Fleet& fleet) {
    protocol::PollRequest poll{.session = SessionId::make(SystemClock().now()), .slots = 1};
    net::Backoff backoff;
    while (!fleet.ending) {
        poll.wait_s = fleet.coming_back ? 0 : 50; // one that was out of touch asks for an answer at once
        ++fleet.parked;
        auto text = co_await ask(http, base, token, "/v1/agent/poll", json::to_text(poll));
        const auto now = Clock::now();
        --fleet.parked;
        if (!text && fleet.coming_back && !fleet.ending) {
            co_await net::sleep_for(backoff.next());
            continue;
        }
        if (fleet.coming_back) {
            ++fleet.back;
            co_return;
        }
        if (!text) {
            if (!fleet.ending && !fleet.error) fleet.error = text.error();
            co_return;
        }
        if (text->empty()) {
            fleet.told.push_back(now);
            if (fleet.last) co_return;
            continue;
        }
        auto work = json::decode_text<protocol::PollResponse>(*text);
        if (!work || work->leases.empty()) continue;
        fleet.wake_ms.push_back(std::chrono::duration<double, std::milli>(now - fleet.enqueued).count());
        const auto& lease = work->leases.front();
        (void)co_await ask(
            http, base, token, "/v1/jobs/" + lease.job.str() + "/complete",
            json::to_text(protocol::CompleteRequest{.outcome = protocol::Outcome::failed, .error = "bench"}),
            lease.epoch);
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
        if (i % 64 == 63) co_await net::sleep_for(std::chrono::milliseconds(url.tls() ? 60 : 10));
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

net::Async<Result<int>> count(const int& value) { co_return value; }

/// Everything on its own server: memory that was used once is not given back, so a second fleet would seem to
/// cost nothing.
struct Round {
    Round(const std::filesystem::path& binary, const std::filesystem::path& data,
          std::vector<std::string> tokens, const std::optional<Certificate>& tls)
        : server(binary, data, tls), owner(io, server, server.owner_token()),
          http(io.executor(), {.ca_file = tls ? tls->certificate.string() : "",
                               .io_deadline = std::chrono::minutes(5)}),
          group(io.executor()) {
        fleet.tokens = std::move(tokens);
        std::this_thread::sleep_for(std::chrono::seconds(1));
        const double before = rss_mib(server.pid());
        need(io.run(park_all(group, http, server.url(), fleet)), "park the polls");
        parked = need(io.run(count(fleet.parked)), "count");
        bytes = (rss_mib(server.pid()) - before) * (1 << 20) / parked;
    }
    ~Round() { need(io.run(stop_all(group, fleet)), "stop"); }

    /// Of one core, per 10,000 polls.
    double idle_cpu_percent() {
        const auto cpu = cpu_seconds(server.pid());
        std::this_thread::sleep_for(kIdleFor);
        return (cpu_seconds(server.pid()) - cpu) / std::chrono::duration<double>(kIdleFor).count() * 100 *
               10'000 / parked;
    }
    void wake() {
        fleet.wake_ms.clear();
        need(io.run(feed(owner, fleet)), "wake the agents");
    }
    Server server;
    net::IoThread io;
    Client owner;
    Fleet fleet;
    net::Client http;
    net::TaskGroup group;
    double parked = 0, bytes = 0;
};

net::Async<Result<std::vector<double>>> answers_since(Fleet& fleet, Clock::time_point begin) {
    std::vector<double> out;
    for (const auto at : fleet.told) out.push_back(std::chrono::duration<double, std::milli>(at - begin).count());
    co_return out;
}

/// Seconds from the start after a kill until every agent has been answered again.
double come_back(Round& round) {
    round.fleet.coming_back = true;
    round.server.kill();
    round.server.start();
    const auto begin = Clock::now();
    const auto all = static_cast<int>(round.fleet.tokens.size());
    while (need(round.io.run(count(round.fleet.back)), "count") < all) {
        if (seconds_since(begin) > 120)
            give_up("wait for the agents", Error{Code::timed_out, "some never came back"});
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return seconds_since(begin);
}

/// A stop in order answers every parked poll: milliseconds from the signal until each has its answer.
std::vector<double> tell_all(Round& round) {
    const auto begin = Clock::now();
    round.fleet.told.clear();
    round.fleet.last = true;
    ::kill(round.server.pid(), SIGTERM);
    std::this_thread::sleep_for(std::chrono::seconds(2));
    return need(round.io.run(answers_since(round.fleet, begin)), "read the times");
}

} // namespace

int polls(const std::filesystem::path& binary) {
    const auto directory = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    const auto tokens = make_fleet(binary, directory.path() / "fleet", kParked);
    std::vector<double> parked, bytes, p50, p99, all_p99, tls_bytes, back;
    double idle = 0;
    for (int i = 0; i < kRounds; ++i) {
        Round round(binary, directory.path() / "fleet", tokens, {});
        parked.push_back(round.parked);
        bytes.push_back(round.bytes);
        if (i == 0) idle = round.idle_cpu_percent();
        round.wake();
        p50.push_back(quantile(round.fleet.wake_ms, 0.5));
        p99.push_back(quantile(round.fleet.wake_ms, 0.99));
        std::cerr << std::format("plain: {:.0f} bytes, {:.2f} and {:.2f} ms, idle {:.2f} %\n", bytes.back(),
                                 p50.back(), p99.back(), idle);
    }
    const auto tls = make_certificate(directory.path());
    const std::vector<std::string> fewer(tokens.begin(), tokens.begin() + kFewer);
    for (int i = 0; i < kRounds; ++i) {
        Round round(binary, directory.path() / "fleet", fewer, {});
        all_p99.push_back(quantile(tell_all(round), 0.99));
        std::cerr << std::format("all {:.0f} ms\n", all_p99.back());
    }
    for (int i = 0; i < kRounds; ++i) {
        Round round(binary, directory.path() / "fleet", fewer, tls);
        tls_bytes.push_back(round.bytes);
        back.push_back(come_back(round));
        std::cerr << std::format("TLS: {:.0f} bytes, back after {:.1f} s\n", tls_bytes.back(), back.back());
    }
    std::cout << std::format("bench polls: parked={:.0f} bytes_per_poll={:.0f} bytes_per_poll_tls={:.0f} "
                             "idle_cpu_percent={:.2f} wake_p50_ms={:.2f} wake_p99_ms={:.2f} "
                             "wake_all_p99_ms={:.0f} reconnect_s={:.1f}\n",
                             median(parked), median(bytes), median(tls_bytes), idle, median(p50), median(p99),
                             median(all_p99), median(back));
    return 0;
}

} // namespace bench
