#pragma once
// One run: agents, a server, the network between them, and people who do things, on one clock and one queue of
// events. Everything that happens follows from the seed.
#include "agent.hpp"
#include "server.hpp"
#include <queue>

namespace simulation {

class World final : public Surroundings {
  public:
    World(std::uint64_t seed, const std::filesystem::path& scratch);
    /// `steps` events with faults, then calm until all has ended. Throws Violation.
    void run(int steps);
    /// What happened last, newest at the end.
    const std::deque<std::string>& trace() const { return trace_; }
    int steps() const { return steps_; }

  private:
    struct Event {
        Time at;
        std::uint64_t order;
        std::function<void()> what;
        bool operator<(const Event& other) const {
            return std::pair(other.at, other.order) < std::pair(at, order);
        }
    };
    struct Install {
        InstallId id;
        std::string name;
    };

    Time now() const override { return clock_.now(); }
    Random& random() override { return random_; }
    void send(Request request) override;
    void after(int process, Millis delay, std::function<void()> then) override;
    void lines_stored(const JobId& job, std::int64_t epoch, int count) override {
        checker_.lines_stored(job, epoch, count);
    }

    void at(Millis delay, std::function<void()> what);
    bool step();
    void seed_store();
    void deliver(Request request);
    void flush();
    void tick();
    // What people and the world do.
    void act();
    void deploy();
    void build();
    void cancel_something();
    void decide();
    void drain_something();
    void run_now();
    void crash_server();
    void crash_agent();
    void cut_off_agent();
    void calm_down();
    bool all_deploys_ended();
    void approve_all();
    std::vector<DeployId> deploys_in(std::string_view state);
    void note(std::string what);

    Random random_;
    ManualClock clock_;
    Checker checker_;
    Server server_;
    std::priority_queue<Event> events_;
    std::uint64_t order_ = 0;
    int steps_ = 0;
    bool faulty_ = true;
    std::vector<Install> installs_;
    std::deque<Process> processes_;
    std::vector<Time> cut_until_; ///< per process: its network is gone
    std::vector<DeployId> deploys_;
    std::vector<JobId> jobs_;
    std::deque<std::string> trace_;
};

} // namespace simulation
