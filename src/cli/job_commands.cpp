#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/interrupt.hpp"
#include "cli/job_log.hpp"
#include "cli/text.hpp"
#include "cli/views.hpp"
#include <format>

namespace consign::cli {
namespace {

using namespace protocol;

struct JobFlags {
    std::string id, install, state, deploy;
    bool follow = false;
};

std::vector<std::string> state_names() {
    std::vector<std::string> out;
    for (const auto& [state, name] : json::EnumNames<model::JobState>::names) out.emplace_back(name);
    return out;
}

Result<int> list(Context& context, const JobFlags& flags) {
    std::string query;
    const auto filter = [&query](std::string_view name, const std::string& value) {
        if (!value.empty())
            query += std::format("{}{}={}", query.empty() ? '?' : '&', name, net::percent_encode(value));
    };
    filter("install", flags.install);
    filter("state", flags.state);
    filter("deploy", flags.deploy);
    CONSIGN_TRY(jobs, context.get<List<JobView>>("/v1/jobs" + query));
    context.print_list(jobs, table_of_jobs(context, jobs.items), "no such jobs");
    return kDone;
}

Result<int> show(Context& context, const std::string& id) {
    CONSIGN_TRY(job, context.get<JobView>(path_of("/v1/jobs/", id)));
    show_job(context, job);
    return kDone;
}

Result<int> act(Context& context, const std::string& id, std::string_view action) {
    CONSIGN_TRY(job,
                context.call<JobView>(net::Verb::post, path_of("/v1/jobs/", id, "/" + std::string(action))));
    show_job(context, job);
    return kDone;
}

/// Prints pieces of a log. On a terminal they are cleaned, and a character cut in two waits for its other
/// half.
class LogPrinter {
  public:
    explicit LogPrinter(Context& context) : context_(context) {}
    void piece(std::int64_t offset, std::string_view bytes) {
        if (context_.json()) {
            // One object per line: a log that goes on has no end at which an array could be closed.
            context_.print(json::dump({{"offset", offset}, {"text", bytes}}));
        } else if (context_.console().out_terminal) {
            held_ += bytes;
            const auto tail = incomplete_tail(held_);
            write(printable(std::string_view(held_).substr(0, held_.size() - tail), true));
            held_.erase(0, held_.size() - tail);
        } else {
            write(bytes);
        }
    }

  private:
    void write(std::string_view text) { *context_.console().out << text << std::flush; }
    Context& context_;
    std::string held_;
};

Result<int> logs(Context& context, const JobFlags& flags) {
    LogPrinter printer(context);
    const auto print = [&](std::int64_t offset, std::string_view piece) {
        printer.piece(offset, piece);
        return context.can_print();
    };
    if (!flags.follow) {
        CONSIGN_CHECK(read_log(context, flags.id, 0, false, print));
        return kDone;
    }
    const Interrupt interrupt;
    auto read = read_log(context, flags.id, 0, true, print, interrupt.token());
    if (!read && !interrupt.requested()) return std::unexpected(std::move(read).error());
    return kDone;
}

} // namespace

CommandSpec job_command() {
    const auto flags = std::make_shared<JobFlags>();
    const auto id = [flags] { return positional("ID", "the job's id", flags->id); };
    return {.name = "job",
            .summary = "Look into the work of the agents",
            .commands = {
                {.name = "list",
                 .summary = "Jobs, newest first",
                 .examples = {"consign job list --install acme --state failed"},
                 .options = {option("--install", "NAME", "only this install's", flags->install),
                             choice("--state", "S", "only in this state", flags->state, state_names()),
                             option("--deploy", "ID", "only this deploy's", flags->deploy)},
                 .run = [flags](Context& context) { return list(context, *flags); }},
                {.name = "show",
                 .summary = "A job, its steps, and what it waits for",
                 .examples = {"consign job show job_01J…"},
                 .options = {id()},
                 .run = [flags](Context& context) { return show(context, flags->id); }},
                {.name = "cancel",
                 .summary = "Ask a job to end; a running one gets a grace period",
                 .examples = {"consign job cancel job_01J…"},
                 .options = {id()},
                 .run = [flags](Context& context) { return act(context, flags->id, "cancel"); }},
                {.name = "retry",
                 .summary = "Run a job that did not succeed once more",
                 .examples = {"consign job retry job_01J…"},
                 .options = {id()},
                 .run = [flags](Context& context) { return act(context, flags->id, "retry"); }},
            }};
}

CommandSpec logs_command() {
    const auto flags = std::make_shared<JobFlags>();
    return {
        .name = "logs",
        .summary = "Print a job's log",
        .examples = {"consign logs job_01J… -f", "consign logs job_01J… -o json      one object per piece"},
        .options = {positional("JOB", "the job's id", flags->id),
                    toggle("-f,--follow", "go on until the job has ended", flags->follow)},
        .run = [flags](Context& context) { return logs(context, *flags); }};
}

} // namespace consign::cli
