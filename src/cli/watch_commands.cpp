// status, events and audit: what the IMS has seen.
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/interrupt.hpp"
#include "consign/protocol/user_api.hpp"
#include <algorithm>
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

// As for logs: below proxies' 60 s, and 15 s more for the answer to come.
constexpr int kWaitSeconds = 50;
constexpr std::chrono::seconds kAnswerDeadline(kWaitSeconds + 15);

constexpr std::int64_t kNow = -1; ///< as `after`: only what is yet to come

struct EventFlags {
    int after = 0;
    bool follow = false;
};

std::string subject_of(const EventView& event) {
    std::string out = event.app;
    if (!event.component.empty()) out += (out.empty() ? "" : "/") + event.component;
    if (!event.install.empty()) out += (out.empty() ? "@" : " @") + event.install;
    return out;
}

Table table_of(Context& context, const std::vector<AuditView>& entries) {
    Table table({"WHEN", "WHO", "DID", "TO", "DETAIL"});
    for (const auto& entry : entries)
        table.add({ago(entry.at, context.now()), entry.actor, entry.action, entry.subject, entry.detail});
    return table;
}

Result<int> status(Context& context) {
    CONSIGN_TRY(status, context.get<StatusView>("/v1/status"));
    if (context.json()) {
        context.print_json(status);
        return kDone;
    }
    context.print(
        Details()
            .add("IMS", status.ims)
            .add("version", status.version)
            .add("registry", status.registry)
            .add("apps", status.apps)
            .add("installs", status.installs)
            .add("agents", std::format("{} of {} online", status.agents_online, status.agents))
            .add("jobs", std::format("{} running, {} waiting", status.jobs_running, status.jobs_waiting)));
    if (status.refused.empty()) return kDone;
    context.print("\nRefused: pull tokens that were used a second time");
    context.print(table_of(context, status.refused));
    return kDone;
}

void print_event(Context& context, const EventView& event) {
    // One event per line in both forms, because the stream has no end.
    if (context.json())
        context.print(json::dump(json::encode(event)));
    else
        context.print(Details().add(to_rfc3339(event.at), std::format("{:<20} {:<24} {}", event.kind,
                                                                      subject_of(event), event.detail)));
}

Result<int> follow_events(Context& context, std::int64_t after) {
    const Interrupt interrupt;
    if (after == 0) after = kNow;
    for (;;) {
        auto events =
            context.get<List<EventView>>(std::format("/v1/events?after={}&wait={}", after, kWaitSeconds),
                                         {.deadline = kAnswerDeadline}, interrupt.token());
        if (interrupt.requested()) return kDone;
        if (!events) return std::unexpected(std::move(events).error());
        for (const auto& event : events->items) {
            after = std::max(after, event.seq);
            print_event(context, event);
        }
        if (!context.can_print()) return kDone;
    }
}

Result<int> list_events(Context& context, std::int64_t after) {
    List<EventView> all;
    for (;;) { // page by page, until the IMS has no more
        CONSIGN_TRY(page, context.get<List<EventView>>(std::format("/v1/events?after={}&wait=0", after)));
        if (page.items.empty()) break;
        for (auto& event : page.items) {
            after = std::max(after, event.seq);
            all.items.push_back(std::move(event));
        }
    }
    Table table({"SEQ", "WHEN", "WHAT", "OF", "DETAIL"});
    for (const auto& event : all.items)
        table.add({event.seq, ago(event.at, context.now()), event.kind, subject_of(event), event.detail});
    context.print_list(all, table, "no events");
    return kDone;
}

Result<int> audit(Context& context) {
    CONSIGN_TRY(entries, context.get<List<AuditView>>("/v1/audit"));
    context.print_list(entries, table_of(context, entries.items), "nothing yet");
    return kDone;
}

} // namespace

CommandSpec status_command() {
    return {.name = "status",
            .summary = "The server (IMS), its agents and jobs at a glance",
            .examples = {"consign status"},
            .run = [](Context& context) { return status(context); }};
}

CommandSpec events_command() {
    const auto flags = std::make_shared<EventFlags>();
    return {.name = "events",
            .summary = "What has happened, oldest first",
            .examples = {"consign events -f", "consign events --after 120 -o json"},
            .options = {toggle("-f,--follow",
                               "what happens from now on, until Ctrl-C; with -o json one object per line",
                               flags->follow),
                        option("--after", "SEQ", "only events after this number", flags->after, 0,
                               2'147'483'647)},
            .run = [flags](Context& context) {
                return flags->follow ? follow_events(context, flags->after)
                                     : list_events(context, flags->after);
            }};
}

CommandSpec audit_command() {
    return {.name = "audit",
            .summary = "Who did what, newest first",
            .commands = {{.name = "list",
                          .summary = "The audit log",
                          .examples = {"consign audit list -o json"},
                          .run = [](Context& context) { return audit(context); }}}};
}

} // namespace consign::cli
