// simulation [--seeds N] [--first SEED] [--steps N] [--threads N] [--expect-violation]
// Runs seeds FIRST, FIRST+1, …; a violation prints its seed and what led to it, and `--first SEED --seeds 1`
// prints it again.
#include "consign/base/log.hpp"
#include "world.hpp"
#include <atomic>
#include <chrono>
#include <iostream>
#include <mutex>
#include <string>
#include <thread>

namespace {

struct Options {
    std::uint64_t seeds = 1000, first = 1;
    int steps = 1000, threads = 2;
    bool expect_violation = false; ///< the engine under test is broken on purpose
};

bool read_options(int argc, char** argv, Options& options) {
    for (int i = 1; i < argc; ++i) {
        const std::string name = argv[i];
        if (name == "--expect-violation") {
            options.expect_violation = true;
            continue;
        }
        if (i + 1 >= argc) return false;
        const auto value = std::stoull(argv[++i]);
        if (name == "--seeds")
            options.seeds = value;
        else if (name == "--first")
            options.first = value;
        else if (name == "--steps")
            options.steps = static_cast<int>(value);
        else if (name == "--threads")
            options.threads = static_cast<int>(value);
        else
            return false;
    }
    return true;
}

struct Tally {
    std::atomic<std::uint64_t> next, steps = 0;
    std::mutex mutex;
    bool violated = false;
};

/// One seed after the other, until there is none left or one was violated.
void run_seeds(const Options& options, Tally& tally) {
    for (;;) {
        const auto seed = tally.next++;
        if (seed >= options.first + options.seeds || tally.violated) return;
        auto scratch = consign::TemporaryDirectory::make("simulation", "/dev/shm");
        if (!scratch) scratch = consign::TemporaryDirectory::make("simulation");
        std::optional<simulation::World> world;
        try {
            world.emplace(seed, scratch->path());
            world->run(options.steps);
            tally.steps += static_cast<std::uint64_t>(world->steps());
        } catch (const simulation::Violation& violation) {
            const std::lock_guard lock(tally.mutex);
            if (std::exchange(tally.violated, true)) return;
            if (world)
                for (const auto& line : world->trace()) std::cout << line << '\n';
            std::cout << "violation with --first " << seed << " --seeds 1 --steps " << options.steps << ": "
                      << violation.what << std::endl;
            return;
        }
    }
}

} // namespace

int main(int argc, char** argv) {
    Options options;
    if (!read_options(argc, argv, options)) {
        std::cerr << "usage: simulation [--seeds N] [--first SEED] [--steps N] [--threads N] "
                     "[--expect-violation]\n";
        return 2;
    }
    const auto start = std::chrono::steady_clock::now();
    Tally tally{.next = options.first, .mutex = {}};
    {
        std::vector<std::jthread> threads;
        for (int i = 0; i < options.threads; ++i) threads.emplace_back([&] { run_seeds(options, tally); });
    }
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    std::cout << (tally.violated ? "violated" : "held") << " after " << tally.steps << " steps of "
              << tally.next - options.first << " seeds, " << took.count() << " s\n";
    return tally.violated == options.expect_violation ? 0 : 1;
}
