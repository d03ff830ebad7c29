#include "wait_watch.hpp"
#include "consign/base/log.hpp"
#include "explain.hpp"
#include "views.hpp"
#include <format>

namespace consign::ims {
namespace {

// Most jobs are taken within milliseconds; one that waits for longer than a restart of its agent is news.
constexpr std::chrono::seconds kPatience{20};

struct Waiting {
    protocol::JobView view;
    InstallId install;
};

Result<std::vector<Waiting>> find_waiting(store::Connection& c, Time now) {
    std::vector<Waiting> out;
    // As the partial indexes of what is queued have it, word and order, or SQLite would read all jobs there are.
    // Jobs that come by schedule wait for their agents quietly.
    for (const auto* queue : {"kind = 'build' AND since < $1 ORDER BY priority DESC, id",
                              "install IS NOT NULL AND since < $1 AND kind IN ('apply', 'teardown') "
                              "ORDER BY install, priority DESC, id"}) {
        CONSIGN_TRY(found, jobs::find(c, std::format("state = 'queued' AND {} LIMIT 250", queue),
                                      {now - kPatience}));
        for (const auto& job : found) {
            CONSIGN_TRY(view, views::job(c, job, views::Detail::summary));
            out.push_back({std::move(view), job.install});
        }
    }
    return out;
}

} // namespace

net::Async<> WaitWatch::look(Core& core) {
    const auto now = core.clock.now();
    auto waiting = co_await core.db->read([now](store::Connection& c) { return find_waiting(c, now); });
    if (!waiting) co_return; // a busy store: the next look is soon
    Explainer explain(core.directory, now);
    std::map<JobId, std::string> known;
    std::vector<protocol::EventView> news;
    for (auto& [job, install] : *waiting) {
        explain(job, install);
        if (!job.waiting_for) continue;
        // By reason, not by word: "last seen 3 min ago" is another text each minute.
        const std::string why(json::name_of(job.waiting_for->reason));
        const auto told = told_.find(job.id);
        if (told == told_.end() || told->second != why)
            news.push_back({.kind = "job.waiting",
                            .app = job.app,
                            .install = install.str(),
                            .component = job.component,
                            .job = job.id,
                            .deploy = job.deploy,
                            .detail = std::format("waits for {}; {}", job.waiting_for->what,
                                                  job.waiting_for->hint)});
        known[job.id] = why;
    }
    told_ = std::move(known);
    if (news.empty()) co_return;
    const auto stored = co_await core.change([news](Change& change) -> Result<void> {
        for (const auto& event : news) CONSIGN_CHECK(change.event(event));
        return {};
    });
    if (!stored) log::warn("cannot tell why jobs wait", {{"error", to_string(stored.error())}});
}

} // namespace consign::ims
