#include "checker.hpp"
#include <charconv>
#include <format>
#include <sstream>

namespace simulation {

using model::JobState;

void Checker::claimed(const ims::Job& job) {
    auto& lease = newest_[job.id];
    if (job.epoch <= lease.epoch)
        throw Violation(std::format("{} was leased with epoch {} after epoch {}", job.id.str(), job.epoch,
                                    lease.epoch));
    lease = {job.epoch, job.agent};
}

void Checker::accepted(const JobId& job, std::int64_t epoch, const AgentId& agent, std::string_view what) {
    const auto& lease = newest_[job];
    if (epoch != lease.epoch || agent != lease.agent)
        throw Violation(std::format("a {} of {} with epoch {} of {} was accepted; the newest lease is epoch {} "
                                    "of {}",
                                    what, job.str(), epoch, agent.str(), lease.epoch, lease.agent.str()));
    if (const auto end = ended_.find(job); end != ended_.end())
        throw Violation(std::format("a {} of {} was accepted after it had ended ({})", what, job.str(),
                                    json::name_of(end->second)));
}

void Checker::completed(const JobId& job, std::int64_t epoch, const AgentId& agent, const std::string& body) {
    const auto known = completions_.find(job);
    if (known != completions_.end() && known->second == std::pair(epoch, body)) return; // a repeat
    accepted(job, epoch, agent, "completion");
    completions_[job] = {epoch, body};
}

void Checker::ended(const JobId& job, JobState state) {
    if (!model::is_terminal(state))
        throw Violation(std::format("{} was said to have ended, and is {}", job.str(), json::name_of(state)));
    const auto [at, first] = ended_.emplace(job, state);
    if (!first)
        throw Violation(std::format("{} ended as {} after it had ended as {}", job.str(),
                                    json::name_of(state), json::name_of(at->second)));
}

void Checker::lines_stored(const JobId& job, std::int64_t epoch, int count) {
    auto& known = lines_[job][epoch];
    known = std::max(known, count);
}

bool Checker::all_ended() const {
    for (const auto& id : acknowledged_)
        if (!ended_.contains(id)) return false;
    return true;
}

void Checker::settled(store::Connection& c, const std::function<std::string(const JobId&)>& log) {
    for (const auto& id : acknowledged_) {
        const auto job = ims::jobs::get(c, id);
        if (!job) throw Violation(std::format("{} was acknowledged and is lost", id.str()));
        if (!model::is_terminal(job->state))
            throw Violation(std::format("{} ({} of {}) never ended: it is {}, attempt {} of {}, since {}, not "
                                        "before {}",
                                        id.str(), json::name_of(job->kind), job->component,
                                        json::name_of(job->state), job->attempt, job->max_attempts,
                                        to_rfc3339(job->since), to_rfc3339(job->not_before)));
        const auto end = ended_.find(id);
        if (end == ended_.end() || end->second != job->state)
            throw Violation(std::format("{} is {}, and was not said to have ended so", id.str(),
                                        json::name_of(job->state)));
    }
    for (const auto& [id, attempts] : lines_) {
        std::istringstream text(log(id));
        std::map<std::int64_t, int> found;
        std::int64_t last = 0;
        for (std::string line; std::getline(text, line);) {
            std::int64_t epoch = 0;
            int number = 0;
            const auto dot = line.find('.');
            std::from_chars(line.data(), line.data() + dot, epoch);
            std::from_chars(line.data() + dot + 1, line.data() + line.size(), number);
            if (epoch < last || number != found[epoch] + 1)
                throw Violation(std::format("the log of {} has line {} after {} lines of that attempt and one "
                                            "of epoch {}",
                                            id.str(), line, found[epoch], last));
            found[epoch] = number;
            last = epoch;
        }
        for (const auto& [epoch, count] : attempts)
            if (found[epoch] < count)
                throw Violation(std::format("the log of {} has {} lines of epoch {}, and {} were said to be "
                                            "stored",
                                            id.str(), found[epoch], epoch, count));
    }
}

} // namespace simulation
