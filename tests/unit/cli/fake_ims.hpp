#pragma once
// A small IMS that answers what a test tells it to, and remembers what it was asked; and a way to run
// commands against it as a user would, without a process.
#include "cli/commands.hpp"
#include "cli/exit_code.hpp"
#include "cli/parser.hpp"
#include "consign/net/server.hpp"
#include "consign/protocol/user_api.hpp"
#include <catch2/catch.hpp>
#include <deque>
#include <mutex>
#include <sstream>

namespace consign::cli::test {

using namespace protocol;

class FakeIms {
  public:
    FakeIms() {
        auto bound = net::Server::bind({}, [this](net::Request& request) { return answer(this, &request); });
        REQUIRE(bound);
        server_ = std::move(*bound);
        server_->start();
    }
    ~FakeIms() { server_->drain(std::chrono::seconds(2)); }

    /// The next answers to "GET /v1/apps" (without the query), in turn; the last one repeats.
    void on(const std::string& call, net::Response response) {
        const std::lock_guard lock(mutex_);
        answers_[call].push_back(std::move(response));
    }
    template <class T>
    void on(const std::string& call, const T& value) {
        on(call, net::Response::json(200, json::to_text(value)));
    }
    /// "POST /v1/deploys {…}", with queries, in order.
    std::vector<std::string> calls() const {
        const std::lock_guard lock(mutex_);
        return calls_;
    }
    bool was_called(const std::string& beginning) const {
        return std::ranges::any_of(calls(),
                                   [&](const std::string& call) { return call.starts_with(beginning); });
    }
    std::string url() const { return "http://127.0.0.1:" + std::to_string(server_->port()); }

  private:
    static net::Async<net::Response> answer(FakeIms* self, net::Request* request) {
        auto body = co_await net::read_all(*request->body, 1u << 20);
        const auto call = std::string(net::name_of(request->verb)) + " " + request->path;
        std::string query;
        for (const auto& [name, value] : request->query.items())
            query += (query.empty() ? "?" : "&") + name + "=" + value;
        const std::lock_guard lock(self->mutex_);
        self->calls_.push_back(call + query + (body && !body->empty() ? " " + *body : ""));
        const auto found = self->answers_.find(call);
        if (request->headers.get("Authorization") != "Bearer secret-token")
            co_return net::problem({Code::unauthenticated, "unknown token", ""});
        if (found == self->answers_.end())
            co_return net::problem({Code::not_found, "no " + request->path, ""});
        auto response = found->second.front();
        if (found->second.size() > 1) found->second.pop_front();
        co_return response;
    }
    mutable std::mutex mutex_;
    std::map<std::string, std::deque<net::Response>> answers_;
    std::vector<std::string> calls_;
    std::unique_ptr<net::Server> server_;
};

struct Ran {
    int code = -1;
    std::string out, err;
};

/// Runs "app list" and the like: parse, command, exit code; everything but the process.
inline Ran run_words(std::vector<std::string> words, std::map<std::string, std::string> environment = {},
                     const Modes& modes = {}) {
    std::ostringstream out, err;
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    const auto invocation =
        parse(tree, std::move(words), [&](const std::string& name) -> std::optional<std::string> {
            const auto found = environment.find(name);
            return found == environment.end() ? std::nullopt : std::optional(found->second);
        });
    Context context(flags, modes, Console{.out = &out, .err = &err});
    Ran ran;
    if (!invocation) {
        ran.code = context.usage(invocation.error());
    } else if (const auto result = invocation->path.back()->run(context); result) {
        ran.code = *result;
    } else {
        context.print_error(result.error());
        ran.code = exit_code_of(result.error().code);
    }
    ran.out = out.str();
    ran.err = err.str();
    return ran;
}

inline Ran run_against(const FakeIms& ims, std::vector<std::string> words) {
    return run_words(std::move(words), {{"CONSIGN_URL", ims.url()}, {"CONSIGN_TOKEN", "secret-token"}});
}

} // namespace consign::cli::test
