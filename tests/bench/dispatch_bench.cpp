// The job engine against three others, side by side: durable enqueue → lease → start → end, 1 KiB payload,
// each answer on disk before it is given. Each system starts anew for each round, alone on the machine. And
// what a million ended jobs in the store cost.
#include "dispatch.hpp"
#include <algorithm>
#include <format>
#include <iostream>

namespace bench {
namespace {

constexpr int kRounds = 5, kHistory = 1'000'000;
constexpr std::size_t kWorkers = 64;
constexpr std::chrono::seconds kWarmUp{1}, kMeasured{3};

struct Tally {
    Clock::time_point end;
    int cycles = 0;
    std::optional<Error> error;
};

net::Async<> work_until_end(JobSystem& system, std::size_t worker, Tally& tally) {
    while (Clock::now() < tally.end && !tally.error) {
        if (auto done = co_await system.cycle(worker); !done)
            tally.error = done.error();
        else
            ++tally.cycles;
    }
}

net::Async<Result<int>> work(net::Executor executor, JobSystem& system, std::size_t workers,
                             std::chrono::seconds duration) {
    Tally tally{.end = Clock::now() + duration, .error = {}};
    net::TaskGroup group(executor);
    for (std::size_t i = 0; i < workers; ++i) group.spawn(work_until_end(system, i, tally));
    co_await group.join();
    if (tally.error) co_return std::unexpected(*tally.error);
    co_return tally.cycles;
}

struct Contestant {
    std::string name;
    std::size_t workers;
    std::function<std::unique_ptr<JobSystem>(net::IoThread&, std::size_t workers)> start;
    std::vector<double> rates = {}, cpu_us = {};

    void one_round() {
        net::IoThread io;
        const auto system = start(io, workers);
        need(io.run(work(io.executor(), *system, workers, kWarmUp)), "warm up " + name);
        const auto cpu = system->server_cpu_seconds();
        const auto begin = Clock::now();
        const double cycles = need(io.run(work(io.executor(), *system, workers, kMeasured)), name);
        // The last cycles end a little after the time is up.
        rates.push_back(cycles / seconds_since(begin));
        cpu_us.push_back((system->server_cpu_seconds() - cpu) * 1e6 / cycles);
        std::cerr << std::format("{}: {:.0f} cycles/s\n", name, rates.back());
    }
};

/// The median over the rounds: the two were measured within seconds of each other.
double ratio(const Contestant& ours, const Contestant& theirs) {
    std::vector<double> ratios;
    for (std::size_t i = 0; i < ours.rates.size(); ++i) ratios.push_back(ours.rates[i] / theirs.rates[i]);
    return median(std::move(ratios));
}

} // namespace

int dispatch_alone(const std::filesystem::path& binary) {
    Contestant one{"consign, 1 worker", 1,
                   [&](net::IoThread& io, std::size_t workers) { return start_consign(binary, {}, io, workers); }};
    Contestant many{"consign", kWorkers, one.start};
    for (int round = 0; round < kRounds; ++round)
        for (auto* ours : {&one, &many}) ours->one_round();
    std::cout << std::format("bench dispatch-alone: cycles_per_s_1={:.0f} cycles_per_s_64={:.0f} "
                             "cpu_us_per_cycle={:.0f}\n",
                             median(one.rates), median(many.rates), median(many.cpu_us));
    return 0;
}

int dispatch(const std::filesystem::path& binary) {
    const auto directory = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    const auto history = make_history(binary, directory.path(), kHistory);
    const auto with = [&](std::filesystem::path data) {
        return [&binary, data](net::IoThread& io, std::size_t workers) {
            return start_consign(binary, data, io, workers);
        };
    };
    Contestant one{"consign, 1 worker", 1, with({})}, many{"consign", kWorkers, with({})},
        old{"consign with history", kWorkers, with(history)};

    const auto start_cluster = [&](net::IoThread& io, std::size_t workers) {
        return start_postgres(directory.path() / "postgres", io, workers);
    };
    std::vector<std::pair<std::string, Contestant>> others; // by the key of the figure
    const auto enter = [&](std::string key, Contestant contestant, const std::string& why_not) {
        if (why_not.empty())
            others.emplace_back(std::move(key), std::move(contestant));
        else
            std::cerr << std::format("bench dispatch: {} is left out: {}\n", contestant.name, why_not);
    };
    const auto why_not = [](std::string_view program) -> std::string {
        return find_program(program).empty() ? "it is not installed" : "";
    };
    enter("vs_postgres", {"PostgreSQL", kWorkers, start_cluster}, why_no_postgres());
    enter("vs_beanstalkd", {"beanstalkd", kWorkers, start_beanstalkd}, why_not("beanstalkd"));
    enter("vs_redis_streams", {"Redis streams", kWorkers, start_redis_streams}, why_not("redis-server"));
    enter("vs_postgres_1", {"PostgreSQL, 1 worker", 1, start_cluster}, why_no_postgres());

    for (int round = 0; round < kRounds; ++round) { // in turn, so that a slow minute of the machine hits all
        for (auto* ours : {&one, &many, &old}) ours->one_round();
        for (auto& [key, other] : others) other.one_round();
    }

    std::string line = std::format("bench dispatch: cycles_per_s_1={:.0f} cycles_per_s_64={:.0f}",
                                   median(one.rates), median(many.rates));
    for (const auto& [key, other] : others)
        line += std::format(" {}={:.2f}", key, ratio(other.workers == 1 ? one : many, other));
    std::cout << std::format("{} cpu_us_per_cycle={:.0f} with_1m_history={:.2f}\n", line, median(many.cpu_us),
                             ratio(old, many));
    return 0;
}

} // namespace bench
