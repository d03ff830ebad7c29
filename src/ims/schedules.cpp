#include "schedules.hpp"
#include "installs.hpp"
#include <format>

namespace consign::ims::schedules {
namespace {

using protocol::JobKind;
using std::chrono::seconds;

struct Schedule {
    InstallId install;
    JobKind kind = JobKind::health;
    seconds every{0};
};

/// Predicates and order as in the partial indexes of the live jobs, and no EXISTS, which would ignore the order.
Result<bool> has_live(store::Connection& c, const InstallId& install, JobKind kind) {
    const auto some = [](const store::Row&) { return true; };
    CONSIGN_TRY(queued, c.query_one("SELECT 1 FROM jobs WHERE state = 'queued' AND install = $1 AND install IS "
                                    "NOT NULL AND kind = $2 ORDER BY priority DESC, id LIMIT 1",
                                    {install, json::name_of(kind)}, some));
    if (queued) return true;
    CONSIGN_TRY(held, c.query_one("SELECT 1 FROM jobs WHERE state IN ('leased', 'running') AND install = $1 AND "
                                  "install IS NOT NULL AND kind = $2 LIMIT 1",
                                  {install, json::name_of(kind)}, some));
    return held.has_value();
}

Result<bool> has_components(store::Connection& c, const InstallId& install) {
    CONSIGN_TRY(some, c.query_one(
                          "SELECT 1 FROM install_components WHERE install=$1 AND state <> 'absent' LIMIT 1",
                          {install}, [](const store::Row&) { return true; }));
    return some.has_value();
}

Result<JobId> make_job(Change& change, const InstallId& id, JobKind kind) {
    CONSIGN_TRY(install, installs::by_id(change.tx, id));
    const auto job = JobId::make(change.now);
    CONSIGN_CHECK(jobs::enqueue(
        change, Job{.id = job,
                    .kind = kind,
                    .app = install.app,
                    .install = id,
                    .spec = json::to_text(
                        protocol::InstallSpec{.install = id, .install_name = install.name})}));
    return job;
}

Result<void> set_finding(Change& change, const Job& job, const std::string& component,
                         const protocol::Finding& finding) {
    const bool health = job.kind == JobKind::health;
    const auto column = health ? "health" : "drift";
    const std::string said = finding.good ? (health ? "healthy" : "none") : finding.detail;
    CONSIGN_TRY(changed, change.tx.execute(std::format("UPDATE install_components SET {0}=$3 WHERE install=$1 "
                                                       "AND component=$2 AND {0} <> $3",
                                                       column),
                                           {job.install, component, said}));
    if (changed == 0) return {};
    const auto kind = health ? (finding.good ? "install.healthy" : "install.unhealthy")
                             : (finding.good ? "install.no_drift" : "install.drift");
    return change.event({.kind = kind,
                         .app = job.app,
                         .install = job.install.str(),
                         .component = component,
                         .job = job.id,
                         .detail = finding.detail});
}

} // namespace

Time next_slot(const InstallId& install, JobKind kind, seconds every, Time now) {
    const auto spread = std::stoull(
        sha256_hex(std::format("{}/{}", install.str(), json::name_of(kind))).substr(0, 12), nullptr, 16);
    const auto period = std::chrono::milliseconds(every).count();
    const auto phase = static_cast<std::int64_t>(spread % static_cast<std::uint64_t>(period));
    const auto since = to_millis(now) - phase;
    return from_millis(phase + (since / period + 1) * period);
}

Result<void> arrange(Change& change, const InstallId& install, const ScheduleOptions& options) {
    for (const auto& [kind, every] : {std::pair(JobKind::health, options.health),
                                      std::pair(JobKind::drift, options.drift),
                                      std::pair(JobKind::gc, options.gc)}) {
        if (every.count() <= 0) {
            CONSIGN_CHECK(change.tx.execute("DELETE FROM schedules WHERE install=$1 AND kind=$2",
                                            {install, json::name_of(kind)}));
            continue;
        }
        CONSIGN_CHECK(change.tx.execute(
            "INSERT INTO schedules(install, kind, every_s, next_at) VALUES ($1,$2,$3,$4) ON "
            "CONFLICT(install, kind) DO UPDATE SET every_s=excluded.every_s, next_at=excluded.next_at WHERE "
            "schedules.every_s <> excluded.every_s",
            {install, json::name_of(kind), every.count(), next_slot(install, kind, every, change.now)}));
    }
    return {};
}

Result<void> arrange_all(Change& change, const ScheduleOptions& options) {
    CONSIGN_TRY(all, change.tx.query_all("SELECT id FROM installs WHERE agent IS NOT NULL", {},
                                         [](const store::Row& row) { return row.id<InstallId>(0); }));
    for (const auto& install : all) CONSIGN_CHECK(arrange(change, install, options));
    return {};
}

Result<bool> anything_due(store::Connection& c, Time now) {
    CONSIGN_TRY(due, c.query_one("SELECT 1 FROM schedules WHERE next_at <= $1 LIMIT 1", {now},
                                 [](const store::Row&) { return true; }));
    return due.has_value();
}

Result<int> tick(Change& change) {
    CONSIGN_TRY(due, change.tx.query_all(
                         "SELECT install, kind, every_s FROM schedules WHERE next_at <= $1 ORDER BY next_at "
                         "LIMIT 100",
                         {change.now}, [](const store::Row& row) {
                             return Schedule{row.id<InstallId>(0),
                                             json::enum_from<JobKind>(row.text(1)).value_or(JobKind::health),
                                             seconds(row.integer(2))};
                         }));
    for (const auto& one : due) {
        CONSIGN_CHECK(change.tx.execute(
            "UPDATE schedules SET next_at=$3 WHERE install=$1 AND kind=$2",
            {one.install, json::name_of(one.kind), next_slot(one.install, one.kind, one.every, change.now)}));
        CONSIGN_TRY(live, has_live(change.tx, one.install, one.kind));
        CONSIGN_TRY(something, has_components(change.tx, one.install));
        if (!live && something) CONSIGN_CHECK(make_job(change, one.install, one.kind));
    }
    return static_cast<int>(due.size());
}

Result<JobId> run_now(Change& change, const InstallId& install, JobKind kind) {
    if (!model::policy_of(kind).scheduled)
        return fail(Code::invalid_argument,
                    std::format("a {} job is not made by hand", json::name_of(kind)),
                    "give health, drift or gc");
    CONSIGN_TRY(live, has_live(change.tx, install, kind));
    if (live)
        return fail(Code::conflict, std::format("a {} job of this install waits or runs already",
                                                json::name_of(kind)),
                    "see: consign job list");
    return make_job(change, install, kind);
}

Result<void> follow(Change& change, const Job& job) {
    if (job.state != model::JobState::succeeded || job.kind == JobKind::gc) return {};
    const auto found = json::decode_text<protocol::FindingsResult>(job.result);
    if (!found) return {}; // an agent that says nothing changes nothing
    for (const auto& [component, finding] : found->components)
        CONSIGN_CHECK(set_finding(change, job, component, finding));
    return {};
}

} // namespace consign::ims::schedules
