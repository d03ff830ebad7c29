#include "agent/job_run.hpp"
#include "agent/log_shipper.hpp"
#include "agent/run_context.hpp"
#include "agent/wait.hpp"
#include "consign/base/log.hpp"
#include "consign/net/backoff.hpp"
#include <algorithm>

namespace consign::agent {
namespace {

constexpr std::size_t kErrorLimitBytes = 4096;

/// One line for the list of jobs; the log has the rest.
std::string one_line(const Error& error) {
    std::string text = to_string(error);
    std::ranges::replace(text, '\n', ' ');
    if (text.size() > kErrorLimitBytes) text.resize(kErrorLimitBytes);
    return text;
}

} // namespace

JobRun::JobRun(RunEnvironment& environment, protocol::Lease lease)
    : environment_(environment), lease_(std::move(lease)), scratch_(environment.journal.scratch(lease_)),
      outbox_(lease_.log_offset, wake_) {}

JobRun::~JobRun() {
    if (!thread_.joinable()) return;
    lose(); // only when the I/O thread went under us
    thread_.join();
}

void JobRun::lose() {
    lost_ = true;
    outbox_.abandon();
    stop_.request_stop();
    wake_.notify();
}

void JobRun::cancel() {
    cancel_asked_ = true;
    stop_.request_stop();
    wake_.notify();
}

void JobRun::shut_down(net::SteadyTime give_up) {
    shutting_down_ = true;
    give_up_at_ = give_up;
    stop_.request_stop();
    wake_.notify();
}

void JobRun::give_back() {
    overdue_ = true;
    outbox_.abandon();
    wake_.notify();
}

/// The job's thread. Its last act is to close the outbox.
void JobRun::work() {
    RunContext context(*this);
    const auto handler = environment_.handlers.find(lease_.kind);
    if (handler == environment_.handlers.end()) {
        outcome_.error = Error{Code::unsupported,
                               "this agent cannot run " + std::string(json::name_of(lease_.kind)) + " jobs",
                               "update the agent"};
    } else {
        try {
            outcome_ = handler->second(context);
        } catch (const std::exception& e) { // a bug of the handler ends its job, not the agent
            outcome_.error = Error{Code::internal, std::string("the job's code threw: ") + e.what()};
        }
    }
    context.finish(outcome_);
    outbox_.close();
}

net::Async<Result<std::string>> JobRun::insist(Attempt attempt, Ask ask) {
    net::Backoff backoff;
    for (;;) {
        auto seen = wake_.version();
        const auto unwanted = [this, ask] { return ask == Ask::unless_stopped && stop_.stop_requested(); };
        if (lost_) co_return fail(Code::lease_lost, "the lease of " + lease_.job.str() + " was lost");
        if (unwanted()) co_return fail(Code::cancelled, "the job was asked to stop");
        auto answer = co_await attempt();
        if (answer || !may_pass(answer.error().code)) co_return answer;
        const auto again = std::chrono::steady_clock::now() + backoff.next();
        log::debug("a request of a job is tried again",
                   {{"job", lease_.job.str()}, {"error", to_string(answer.error())}});
        while (!lost_ && !unwanted() && std::chrono::steady_clock::now() < again) {
            if (again > give_up_at_) co_return answer;
            co_await wait_past(wake_, seen, again);
            seen = wake_.version();
        }
    }
}

net::Async<Result<std::string>> JobRun::insist(Call call, Ask ask) {
    return insist([this, call = std::move(call)] { return environment_.ims.text(call); }, ask);
}

net::Async<Result<std::string>> JobRun::access_token() {
    return insist([this] { return environment_.ims.credentials().token(); }, Ask::unless_stopped);
}

net::Async<Result<void>> JobRun::begin() {
    auto begun = co_await environment_.io.blocking().run([&journal = environment_.journal, &lease = lease_] {
        return journal.begin(lease, SystemClock().now());
    });
    if (!begun) {
        // This machine cannot, another attempt may: a full disk, say.
        co_await complete({.outcome = protocol::Outcome::given_back, .error = one_line(begun.error())});
        co_return std::unexpected(std::move(begun).error());
    }
    CONSIGN_CO_CHECK(co_await insist({.path = path("start"), .epoch = lease_.epoch}, Ask::unless_stopped));
    co_return Result<void>();
}

/// The server watches the limit too; but it may be out of reach when that comes.
net::Async<void> JobRun::watch_limit() {
    if (lease_.run_limit_s <= 0) co_return;
    co_await net::sleep_for(std::chrono::seconds(lease_.run_limit_s));
    if (co_await net::cancelled()) co_return;
    overran_ = true;
    stop_.request_stop();
    wake_.notify();
}

net::Async<void> JobRun::drive() {
    if (const auto begun = co_await begin(); !begun) {
        log::warn(
            "a job did not start",
            {{"job", lease_.job.str()}, {"attempt", lease_.attempt}, {"error", to_string(begun.error())}});
        if (cancel_asked_ && !lost_) co_await complete({.outcome = protocol::Outcome::cancelled});
    } else {
        log::info(
            "job started",
            {{"job", lease_.job.str()}, {"kind", json::name_of(lease_.kind)}, {"attempt", lease_.attempt}});
        thread_ = std::thread(&JobRun::work, this);
        net::TaskGroup clock(environment_.io.executor());
        clock.spawn(watch_limit());
        if (const auto shipped = co_await ship(environment_.ims, lease_, outbox_, wake_); !shipped) lose();
        const bool given_back = overdue_ && !lost_ && !outbox_.closed();
        if (given_back)
            co_await complete({.outcome = protocol::Outcome::given_back,
                               .error = "the agent was stopped and the work did not end in time"});
        for (auto seen = wake_.version(); !outbox_.closed(); seen = wake_.version())
            co_await wait_past(wake_, seen, kNoDeadline);
        thread_.join(); // its last act was to close the outbox
        clock.stop();
        co_await clock.join();
        if (lost_)
            log::warn("a job's lease was lost; its attempt was stopped", {{"job", lease_.job.str()}});
        else if (!given_back)
            co_await complete(verdict());
    }
    co_await environment_.io.blocking().run([&journal = environment_.journal, &lease = lease_] {
        journal.end(lease);
        return true;
    });
}

/// What ended by a stop counts as what the stop was for; what succeeded all the same, succeeded.
protocol::CompleteRequest JobRun::verdict() const {
    using protocol::Outcome;
    protocol::CompleteRequest request{.outcome = Outcome::succeeded, .error = "", .result = outcome_.result};
    if (!outcome_.error) return request;
    request.error = one_line(*outcome_.error);
    if (overran_) {
        request.outcome = Outcome::timed_out;
        request.error = "it ran for longer than " + humanize(std::chrono::seconds(lease_.run_limit_s)) +
                        ", and was stopped: " + request.error;
        return request;
    }
    if (cancel_asked_ || (outcome_.error->code == Code::cancelled && !shutting_down_))
        request.outcome = Outcome::cancelled;
    else if (shutting_down_)
        request.outcome = Outcome::given_back;
    else if (outcome_.error->code == Code::timed_out)
        request.outcome = Outcome::timed_out;
    else
        request.outcome = Outcome::failed;
    // The other side of something was away: the vendor's registry, the network. What the work itself ran into
    // (failed) comes again.
    request.may_pass = request.outcome == Outcome::failed && (outcome_.error->code == Code::unavailable ||
                                                              outcome_.error->code == Code::rate_limited);
    return request;
}

net::Async<void> JobRun::complete(protocol::CompleteRequest request) {
    auto done = co_await insist(
        {.path = path("complete"), .body = json::to_text(request), .epoch = lease_.epoch}, Ask::to_the_end);
    if (!done && (done.error().code == Code::too_large || done.error().code == Code::invalid_argument)) {
        // The result is at fault, and a job that is never completed would run again and again.
        request = {.outcome = protocol::Outcome::failed,
                   .error = "the IMS refused the result: " + one_line(done.error())};
        done =
            co_await insist({.path = path("complete"), .body = json::to_text(request), .epoch = lease_.epoch},
                            Ask::to_the_end);
    }
    if (done) {
        log::info("job ended", {{"job", lease_.job.str()},
                                {"outcome", json::name_of(request.outcome)},
                                {"error", request.error}});
    } else {
        log::warn("the end of a job was not taken",
                  {{"job", lease_.job.str()}, {"error", to_string(done.error())}});
    }
}

} // namespace consign::agent
