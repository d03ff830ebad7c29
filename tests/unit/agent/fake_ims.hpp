#pragma once
// A small IMS for the agent's tests: one agent, jobs that the test puts in, faults on request. Everything it
// was told is kept for the test to look at.
#include "consign/base/jwt.hpp"
#include "consign/base/random.hpp"
#include "consign/net/server.hpp"
#include "consign/protocol/agent_api.hpp"
#include <algorithm>
#include <condition_variable>
#include <set>

namespace consign::test {

class FakeIms {
  public:
    struct Job {
        protocol::Lease lease;
        std::string log;
        std::map<int, protocol::StepReport> steps;
        int starts = 0;
        std::vector<protocol::CompleteRequest> completions;
        bool lease_lost = false; ///< every write answers 409 lease_lost
        bool cancel = false, lost = false;
        bool held = false; ///< leased, and not completed yet
    };
    /// What the next request whose path ends with `path` gets instead of its answer; `after`: once its work
    /// was done.
    struct Fault {
        std::string path;
        net::Response answer;
        bool after = false;
    };

    FakeIms() {
        server_ = std::move(
            *net::Server::bind({}, [this](net::Request& request) { return handle(this, request); }));
        server_->start();
    }
    ~FakeIms() { server_->drain(std::chrono::seconds(1)); }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

    /// Runs `look` under the lock.
    template <class F>
    auto with(F look) {
        const std::scoped_lock lock(mutex_);
        return look();
    }
    /// Waits until `holds`, at most ten seconds.
    template <class F>
    bool wait(F holds) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), holds);
    }
    template <class F>
    void change(F change) {
        with(change);
        changed_.notify_all();
        mailbox_.notify();
    }
    JobId add(protocol::JobKind kind = protocol::JobKind::build, json::Value spec = json::Value::object()) {
        protocol::Lease lease{.job = JobId::make(SystemClock().now()),
                              .epoch = 7,
                              .deadline = SystemClock().now(),
                              .attempt = 1,
                              .kind = kind,
                              .log_offset = 0,
                              .spec = std::move(spec)};
        change([&] {
            jobs[lease.job] = Job{.lease = lease};
            queue.push_back(lease.job);
        });
        return lease.job;
    }
    void fault(std::string path, net::Response answer, bool after = false, int times = 1) {
        with([&] {
            faults.insert(faults.end(), static_cast<std::size_t>(times), Fault{path, answer, after});
        });
    }

    // Under the lock, see with().
    std::string enroll_token = "enroll-me";
    std::optional<PublicKey> key = {};
    protocol::EnrollRequest enrolled_with;
    const AgentId agent = AgentId::make(SystemClock().now());
    int expires_in = 3600, tokens_given = 0;
    std::set<std::string> good_tokens;
    std::vector<json::Value> assertions;
    std::vector<protocol::PollRequest> polls;
    bool superseded = false, down = false;
    protocol::Cadence cadence;
    std::map<JobId, Job> jobs;
    std::vector<JobId> queue;
    std::vector<Fault> faults;

  private:
    static net::Response problem(Code code, std::string message) {
        return net::problem(Error{code, std::move(message)});
    }
    template <class T>
    static net::Response ok(const T& value) {
        return net::Response::json(200, json::to_text(value));
    }

    static net::Async<net::Response> handle(FakeIms* self, net::Request& request) {
        auto body = co_await net::read_all(*request.body, 8u << 20);
        if (!body) co_return problem(Code::internal, body.error().message);
        const std::string path = request.path.substr(0, request.path.find('?'));
        if (auto fault = self->take_fault(path, false)) co_return std::move(*fault);
        auto answer = path == "/v1/agent/poll"
                          ? co_await poll(self, request, *body)
                          : self->with([&] { return self->answer(path, request, *body); });
        self->changed_.notify_all();
        if (auto fault = self->take_fault(path, true)) co_return std::move(*fault);
        co_return answer;
    }

    std::optional<net::Response> take_fault(const std::string& path, bool after) {
        const std::scoped_lock lock(mutex_);
        if (down) return problem(Code::unavailable, "down for maintenance");
        for (auto at = faults.begin(); at != faults.end(); ++at)
            if (path.ends_with(at->path) && at->after == after) {
                auto answer = at->answer;
                faults.erase(at);
                changed_.notify_all();
                return answer;
            }
        return std::nullopt;
    }

    bool authorised(const net::Request& request) const {
        const auto header = request.headers.get("Authorization");
        return header.starts_with("Bearer ") && good_tokens.contains(std::string(header.substr(7)));
    }

    static net::Async<net::Response> poll(FakeIms* self, net::Request& request, std::string body) {
        const auto asked = json::decode_text<protocol::PollRequest>(body, json::Unknown::refuse);
        if (!asked) co_return problem(Code::invalid_argument, asked.error().message);
        self->with([&] {
            self->polls.push_back(*asked);
            self->requeue_unlisted(*asked);
        });
        self->changed_.notify_all();
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(asked->wait_s);
        for (;;) {
            const auto seen = self->mailbox_.version();
            auto now = self->with([&] { return self->look(request, *asked); });
            if (now.status != 204 || std::chrono::steady_clock::now() >= until) co_return now;
            const auto woken = co_await request.parking->wait_past(self->mailbox_, seen, until);
            if (woken == net::Wake::gone || woken == net::Wake::draining) co_return net::Response::empty(204);
        }
    }

    /// What was leased and is not listed never arrived: the poll that carried it was given up.
    void requeue_unlisted(const protocol::PollRequest& asked) {
        for (auto& [id, job] : jobs) {
            const bool listed = std::ranges::contains(asked.running, id, &protocol::RunningJob::job);
            if (!job.held || listed || job.starts > 0) continue;
            job.held = false;
            queue.push_back(id);
        }
    }

    net::Response look(const net::Request& request, const protocol::PollRequest& asked) {
        if (!authorised(request)) return problem(Code::unauthenticated, "no such token");
        if (superseded) return problem(Code::session_superseded, "a newer session took over");
        protocol::PollResponse answer{.leases = {}, .cancel = {}, .lost = {}, .next = cadence};
        for (int slots = asked.slots; slots > 0 && !queue.empty(); --slots) {
            auto& job = jobs.at(queue.front());
            ++job.lease.epoch;
            job.held = true;
            answer.leases.push_back(job.lease);
            queue.erase(queue.begin());
        }
        for (const auto& running : asked.running) {
            auto& job = jobs.at(running.job);
            if (std::exchange(job.cancel, false)) answer.cancel.push_back(running.job);
            if (std::exchange(job.lost, false)) answer.lost.push_back(running.job);
        }
        if (answer.leases.empty() && answer.cancel.empty() && answer.lost.empty())
            return net::Response::empty(204);
        return ok(answer);
    }

    net::Response answer(const std::string& path, const net::Request& request, const std::string& body) {
        if (path == "/v1/agents/enroll") return enroll(body);
        if (path == "/v1/token") return token(body);
        if (!authorised(request)) return problem(Code::unauthenticated, "no such token");
        const auto slash = path.rfind('/');
        const auto id = JobId::parse(path.substr(9, slash - 9));
        if (!path.starts_with("/v1/jobs/") || !id || !jobs.contains(*id))
            return problem(Code::not_found, "no " + path);
        auto& job = jobs.at(*id);
        if (job.lease_lost || request.headers.get(protocol::kLeaseHeader) != std::to_string(job.lease.epoch))
            return problem(Code::lease_lost, "the lease is gone");
        return work(job, path.substr(slash + 1), request, body);
    }

    net::Response work(Job& job, const std::string& what, const net::Request& request,
                       const std::string& body) {
        if (what == "start") {
            ++job.starts;
        } else if (what == "logs") {
            const auto size = static_cast<std::int64_t>(job.log.size());
            if (request.query.get_or("offset", "") != std::to_string(size))
                return net::Response::json(409, json::to_text(protocol::LogPosition{size}));
            job.log += body;
            return ok(protocol::LogPosition{size + static_cast<std::int64_t>(body.size())});
        } else if (what == "steps") {
            const auto steps = json::decode_text<protocol::StepsRequest>(body);
            if (!steps) return problem(Code::invalid_argument, steps.error().message);
            for (const auto& step : steps->steps) job.steps[step.seq] = step;
        } else if (what == "complete") {
            const auto complete = json::decode_text<protocol::CompleteRequest>(body);
            if (!complete) return problem(Code::invalid_argument, complete.error().message);
            job.completions.push_back(*complete);
            job.held = false;
        } else if (what == "pull-token") {
            return net::Response::json(201,
                                       json::to_text(protocol::PullToken{.registry = url(),
                                                                         .repository = "shop/web",
                                                                         .digest = Digest::sha256_of("web"),
                                                                         .username = "pull",
                                                                         .password = "one-time-secret",
                                                                         .expires_at = {}}));
        }
        return net::Response::empty(204);
    }

    net::Response enroll(const std::string& body) {
        const auto request = json::decode_text<protocol::EnrollRequest>(body, json::Unknown::refuse);
        if (!request) return problem(Code::invalid_argument, request.error().message);
        if (request->token != enroll_token)
            return problem(Code::unauthenticated, "the enrolment token is not known, or was used");
        enroll_token.clear();
        enrolled_with = *request;
        key = *PublicKey::from_pem(request->public_key);
        return net::Response::json(201, json::to_text(protocol::EnrollResponse{.agent = agent,
                                                                               .ims = "ims-under-test",
                                                                               .vendor_public_key = "PEM",
                                                                               .install = {},
                                                                               .install_name = "acme"}));
    }

    net::Response token(const std::string& body) {
        const auto form = net::Query::parse(body);
        const auto assertion = form.get_or("client_assertion", "");
        if (!key || form.get_or("grant_type", "") != "client_credentials")
            return problem(Code::unauthenticated, "this agent is not known");
        const auto claims = jwt::verify(assertion, *key, SystemClock().now());
        if (!claims) return net::problem(claims.error());
        assertions.push_back(*claims);
        ++tokens_given;
        const auto given = random_token("at_");
        good_tokens.insert(given);
        return ok(protocol::TokenResponse{.access_token = given, .expires_in = expires_in});
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    net::Mailbox mailbox_;
    std::unique_ptr<net::Server> server_;
};

} // namespace consign::test
