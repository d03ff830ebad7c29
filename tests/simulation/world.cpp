#include "world.hpp"
#include "consign/base/keys.hpp"
#include "ims/agents.hpp"
#include "ims/apps.hpp"
#include "ims/builds.hpp"
#include "ims/deploys.hpp"
#include "ims/installs.hpp"
#include "ims/schedules.hpp"
#include <format>

namespace simulation {

using namespace std::chrono_literals;
namespace ims = consign::ims;

namespace {
constexpr int kInstalls = 3, kBuilders = 2;
constexpr std::size_t kTraceLength = 60;

/// Ids that are the same in every run: schedules follow from them.
template <class Id>
Id fixed(std::string_view prefix, int number) {
    return *Id::parse(std::format("{}_0000000000000000000000{:04}", prefix, number));
}

template <class T>
T must(Result<T> result) {
    if (!result) throw Violation("the set-up failed: " + to_string(result.error()));
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

const std::string& some_key() { // nobody signs anything here
    static const std::string pem = PrivateKey::generate().public_key().to_pem();
    return pem;
}
} // namespace

World::World(std::uint64_t seed, const std::filesystem::path& scratch)
    : random_(seed), server_(scratch, random_, clock_, checker_) {
    seed_store();
    for (auto& process : processes_) process.start();
    tick();
    at(100ms, [this] { act(); });
}

void World::seed_store() {
    const auto make_agent = [&](ims::Change& c, const InstallId& install, int number) -> Result<void> {
        const auto id = fixed<AgentId>("agt", number);
        CONSIGN_CHECK(c.tx.execute("INSERT INTO agents(id, kind, install, public_key, version, hostname, "
                                   "enrolled_at) VALUES ($1,$2,$3,$4,'','here',$5)",
                                   {id, install ? "install" : "build", install, some_key(), c.now}));
        if (install) CONSIGN_CHECK(c.tx.execute("UPDATE installs SET agent=$2 WHERE id=$1", {install, id}));
        processes_.emplace_back(*this, static_cast<int>(processes_.size()), id,
                                install ? std::vector<std::string>{"apply", "teardown", "health", "drift", "gc"}
                                        : std::vector<std::string>{"build"});
        cut_until_.push_back({});
        return {};
    };
    const auto done = server_.change([&](ims::Change& c) -> Result<void> {
        model::AppConfig config{.app = "shop"};
        for (const auto& [name, needs] : std::vector<std::pair<std::string, std::vector<std::string>>>{
                 {"db", {}}, {"docs", {}}, {"api", {"db"}}, {"web", {"api", "docs"}}}) {
            config.components.push_back({.name = name, .source = {.directory = name}, .depends_on = needs});
            if (name == "api") config.components.back().approval = model::Approval::required;
            config.components.back().timeout_s = name == "db" ? 20 : 600;
        }
        CONSIGN_CHECK(ims::apps::apply(c, config, "", "ann"));
        for (const auto& component : config.components)
            CONSIGN_CHECK(ims::builds::record(
                c,
                {.app = "shop",
                 .component = component.name,
                 .config_version = 1,
                 .result = protocol::BuildResult{.digest = Digest::sha256_of(component.name)}},
                "ci"));
        CONSIGN_CHECK(ims::apps::create_release(c, "shop", ""));
        CONSIGN_CHECK(ims::apps::create_release(c, "shop", ""));
        for (int i = 0; i < kInstalls; ++i) {
            const auto name = std::format("install-{}", i);
            CONSIGN_CHECK(ims::installs::create(c, {.name = name, .app = "shop"}, "ann"));
            const auto id = fixed<InstallId>("ins", i);
            CONSIGN_CHECK(c.tx.execute("UPDATE installs SET id=$2 WHERE name=$1", {name, id}));
            installs_.push_back({id, name});
            CONSIGN_CHECK(make_agent(c, id, i));
            CONSIGN_CHECK(ims::schedules::arrange(c, id, {.health = 10min, .drift = 1h, .gc = 2h}));
        }
        for (int i = 0; i < kBuilders; ++i) CONSIGN_CHECK(make_agent(c, {}, kInstalls + i));
        return {};
    });
    if (!done) throw Violation("the set-up failed");
    must(*done);
    server_.make_fragile(2);
}

void World::note(std::string what) {
    trace_.push_back(std::format("{} {}", to_rfc3339(now()).substr(11, 12), what));
    if (trace_.size() > kTraceLength) trace_.pop_front();
}

void World::at(Millis delay, std::function<void()> what) {
    events_.push({now() + delay, order_++, std::move(what)});
}

void World::after(int process, Millis delay, std::function<void()> then) {
    const int life = processes_[static_cast<std::size_t>(process)].life();
    at(delay, [this, process, life, then = std::move(then)] {
        const auto& who = processes_[static_cast<std::size_t>(process)];
        if (who.up() && who.life() == life) then();
    });
}

/// The network: slow, lossy, given to repeating itself, and sometimes not there.
void World::send(Request request) {
    const auto process = static_cast<std::size_t>(request.process);
    const auto delay = [&] { return Millis(random_.chance(faulty_ ? 5 : 0) ? random_.between(100, 90'000) : random_.between(1, 40)); };
    if (faulty_ && random_.chance(4)) return;
    const int copies = faulty_ && random_.chance(4) ? 2 : 1;
    for (int i = 0; i < copies; ++i)
        at(delay(), [this, process, request] {
            if (cut_until_[process] <= now()) deliver(request);
        });
}

void World::deliver(Request request) {
    if (!server_.up()) {
        // As a refused connection: the agent hears of it.
        Response away{.process = request.process,
                      .request = request,
                      .error = Error{Code::unavailable, "nobody listens"},
                      .poll = {}};
        return processes_[static_cast<std::size_t>(request.process)].receive(away);
    }
    note(std::format("{} #{} {} {}.{}", request.agent.str().substr(26),
                     request.id, static_cast<int>(request.kind), request.job.empty() ? "" : request.job.str(),
                     request.epoch));
    server_.handle(request);
    flush();
}

void World::flush() {
    for (auto& response : server_.take_responses()) {
        const auto process = static_cast<std::size_t>(response.process);
        if (faulty_ && random_.chance(4)) continue;
        const int copies = faulty_ && random_.chance(4) ? 2 : 1;
        for (int i = 0; i < copies; ++i)
            at(Millis(faulty_ && random_.chance(5) ? random_.between(100, 90'000) : random_.between(1, 40)),
               [this, process, response] {
                   if (cut_until_[process] <= now()) processes_[process].receive(response);
               });
    }
    if (!server_.up() && faulty_) {
        note("the server died");
        at(Millis(random_.between(100, 60'000)), [this] {
            if (!server_.up()) server_.start();
            note("the server is back");
        });
    }
}

void World::tick() {
    if (server_.up()) {
        server_.tick();
        flush();
    }
    at(1s, [this] { tick(); });
}

bool World::step() {
    if (events_.empty()) return false;
    auto event = events_.top();
    events_.pop();
    if (event.at > now()) clock_.advance(event.at - now());
    event.what();
    ++steps_;
    if (steps_ % 16 == 0 && server_.up()) server_.check_parked();
    return true;
}

void World::run(int steps) {
    while (steps_ < steps && step()) {}
    const int faulty_steps = steps_;
    calm_down();
    // Longer than every pause, limit and lease together; a job that is not done by then never is.
    const auto until = now() + 6h;
    for (int i = 1; now() < until && step(); ++i) {
        if (i % 64 != 0) continue;
        approve_all();
        if (checker_.all_ended() && all_deploys_ended()) break;
    }
    checker_.settled(server_.store(), [this](const JobId& job) { return server_.log_of(job); });
    if (!all_deploys_ended()) throw Violation("a deploy never ended");
    steps_ = faulty_steps;
}

bool World::all_deploys_ended() {
    for (const auto& id : deploys_) {
        const auto view = ims::deploys::get(server_.store(), id);
        if (!view) throw Violation(id.str() + " was acknowledged and is lost");
        if (view->state == protocol::DeployState::queued || view->state == protocol::DeployState::running)
            return false;
        for (const auto& job : view->jobs) checker_.acknowledged(job.id); // also those planned later
    }
    return true;
}

void World::calm_down() {
    faulty_ = false;
    server_.make_fragile(0);
    if (!server_.up()) server_.start();
    std::ranges::fill(cut_until_, Time{});
    for (auto& process : processes_) {
        process.stay_stuck(false);
        const auto agent = process.agent();
        (void)server_.change([&](ims::Change& c) { return ims::agents::set_draining(c, agent, false, "ann"); });
        if (!process.up()) process.start();
    }
    flush();
    note("calm");
}

void World::act() {
    if (!faulty_) return;
    at(Millis(random_.between(500, 12'000)), [this] { act(); });
    const auto luck = random_.between(1, 100);
    if (luck <= 8) return crash_server();
    if (luck <= 22) return crash_agent();
    if (luck <= 30) return cut_off_agent();
    if (!server_.up()) return;
    if (luck <= 50)
        deploy();
    else if (luck <= 65)
        build();
    else if (luck <= 78)
        cancel_something();
    else if (luck <= 90)
        decide();
    else if (luck <= 95)
        drain_something();
    else
        run_now();
    flush();
}

void World::deploy() {
    protocol::CreateDeployRequest request{.install = random_.pick(installs_).name};
    if (random_.chance(15))
        request.kind = protocol::DeployKind::teardown;
    else
        request.release = random_.chance(50) ? "1" : "2";
    if (random_.chance(20)) request.component = "db";
    request.priority = static_cast<int>(random_.between(-2, 2));
    request.require_approval = random_.chance(15);
    const auto id = server_.change([&](ims::Change& c) { return ims::deploys::create(c, request, "ann"); });
    if (!id || !*id) return;
    note("deploy " + (*id)->str());
    deploys_.push_back(**id);
    const auto view = ims::deploys::get(server_.store(), **id);
    if (!view) throw Violation((*id)->str() + " was made and cannot be read");
    for (const auto& job : view->jobs) {
        jobs_.push_back(job.id);
        checker_.acknowledged(job.id);
    }
}

void World::build() {
    const auto made = server_.change([&](ims::Change& c) {
        return ims::builds::create(c,
                                   {.app = "shop",
                                    .components = {"docs"},
                                    .sources = {{"docs", {"src", Digest::sha256_of("docs")}}},
                                    .priority = static_cast<int>(random_.between(-2, 2))},
                                   "http://here", "ci");
    });
    if (!made || !*made) return;
    for (const auto& view : **made) {
        jobs_.push_back(*view.job);
        checker_.acknowledged(*view.job);
    }
}

void World::cancel_something() {
    if (random_.chance(30) && !deploys_.empty()) {
        const auto id = random_.pick(deploys_);
        (void)server_.change([&](ims::Change& c) { return ims::deploys::cancel(c, id, "ann"); });
    } else if (!jobs_.empty()) {
        const auto id = random_.pick(jobs_);
        (void)server_.change([&](ims::Change& c) { return ims::jobs::cancel(c, id, "ann"); });
    }
}

std::vector<DeployId> World::deploys_in(std::string_view state) {
    const auto found = server_.store().query_all(
        "SELECT DISTINCT deploy FROM jobs WHERE state=$1 AND deploy IS NOT NULL ORDER BY deploy", {state},
        [](const store::Row& row) { return row.id<DeployId>(0); });
    return found ? *found : std::vector<DeployId>{};
}

void World::decide() {
    auto waiting = deploys_in("awaiting_approval");
    if (waiting.empty()) return;
    const auto id = random_.pick(waiting);
    const bool good = random_.chance(75);
    (void)server_.change([&](ims::Change& c) {
        return good ? ims::deploys::approve(c, id, {}, "ann") : ims::deploys::reject(c, id, {}, "ann");
    });
}

void World::approve_all() {
    for (const auto& id : deploys_in("awaiting_approval"))
        (void)server_.change([&](ims::Change& c) { return ims::deploys::approve(c, id, {}, "ann"); });
    flush();
}

void World::drain_something() {
    const auto agent = random_.pick(processes_).agent();
    const bool draining = random_.chance(50);
    (void)server_.change([&](ims::Change& c) { return ims::agents::set_draining(c, agent, draining, "ann"); });
}

void World::run_now() {
    const auto install = random_.pick(installs_).id;
    const auto made = server_.change([&](ims::Change& c) {
        return ims::schedules::run_now(c, install, protocol::JobKind::health);
    });
    if (made && *made) checker_.acknowledged(**made);
}

void World::crash_server() {
    if (!server_.up()) return;
    server_.crash();
    flush();
}

void World::crash_agent() {
    auto& process = random_.pick(processes_);
    process.stay_stuck(random_.chance(20));
    if (!process.up()) return process.start();
    process.crash();
    note("crash of " + process.agent().str());
    // Most come back at once, some within their lease, some after it.
    auto* which = &process;
    at(Millis(random_.chance(60) ? random_.between(100, 5'000) : random_.between(5'000, 120'000)), [which] {
        if (!which->up()) which->start();
    });
}

void World::cut_off_agent() {
    const auto process = static_cast<std::size_t>(random_.between(0, static_cast<std::int64_t>(processes_.size()) - 1));
    cut_until_[process] = now() + Millis(random_.between(1'000, 180'000));
}

} // namespace simulation
