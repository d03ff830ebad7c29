#include "install/health.hpp"
#include "install/tcp_probe.hpp"
#include <algorithm>
#include <condition_variable>
#include <format>
#include <mutex>

namespace consign::install {
namespace {

using namespace std::chrono_literals;

constexpr auto kHttpDeadline = 5s, kTcpDeadline = 5s, kCommandDeadline = 10s;
constexpr auto kFirstPause = 250ms, kLongestPause = 1000ms;
// A success counts once the service has been up this long: on a port that is taken, another process answers
// the probe while the new service is still on its way to fail. Without a probe, staying up is all there is to
// see.
constexpr auto kSettledWithProbe = 500ms, kSettledAlone = 2000ms;
// With restarts after 1 s and 2 s: three ends within the first seconds are no accident.
constexpr int kTooManyExits = 3;
constexpr int kWithinWithoutProbe = 30;

/// The status, and the start of what came with it: an unhealthy service often says why.
net::Async<Result<void>> get(net::Client& http, net::Url url) {
    net::ClientRequest request;
    request.url = url;
    request.response_deadline = kHttpDeadline;
    request.max_redirects = 0;
    const auto asked = "GET " + url.str() + " → ";
    auto response = co_await http.send(std::move(request));
    if (!response) {
        if (response.error().code == Code::cancelled) co_return std::unexpected(response.error());
        co_return fail(Code::failed, asked + response.error().message);
    }
    if (response->status >= 200 && response->status < 400) co_return Result<void>{};
    std::string said(200, '\0');
    const auto got = co_await response->body->read(std::as_writable_bytes(std::span(said)));
    said.resize(got ? *got : 0);
    said.resize(std::min(said.find_first_of("\r\n"), said.size()));
    co_return fail(Code::failed,
                   asked + std::to_string(response->status) + (said.empty() ? "" : ": " + said));
}

Result<void> probe_http(agent::JobContext& context, const std::string& text) {
    CONSIGN_TRY(url, net::Url::parse(text));
    return context.io().run(get(context.http(), url), context.stop());
}

Result<void> probe_command(agent::JobContext& context, const model::Argv& argv, const ProbeSite& site) {
    std::string output;
    const auto keep_end = [&output](std::string_view piece) {
        output += piece;
        if (output.size() > 4096) output.erase(0, output.size() - 2048);
    };
    const auto status =
        consign::run({.argv = argv, .directory = site.directory, .environment = site.environment}, keep_end,
                     context.stop(), {.timeout = kCommandDeadline, .grace = 1s});
    if (!status && status.error().code == Code::cancelled) return std::unexpected(status.error());
    if (!status) return fail(Code::failed, status.error().message);
    if (status->ok()) return {};
    while (!output.empty() && (output.back() == '\n' || output.back() == '\r')) output.pop_back();
    const auto last =
        output.rfind('\n') == std::string::npos ? output : output.substr(output.rfind('\n') + 1);
    return fail(Code::failed,
                "'" + argv[0] + "' ended with " + status->describe() + (last.empty() ? "" : ": " + last));
}

/// Whether the service is up and has been for long enough; the error says what it does instead (unavailable:
/// nothing wrong, it only needs time).
Result<void> check_service(const ServiceStatus& status, const ReleaseState& release, bool has_probe) {
    if (status.running && status.release == release.directory &&
        Steady::now() - status.since >= (has_probe ? kSettledWithProbe : kSettledAlone))
        return {};
    if (status.exits > 0)
        return fail(Code::failed, std::format("the service ended {} {}, last with: {}", status.exits,
                                              status.exits == 1 ? "time" : "times", status.last_exit));
    return fail(Code::unavailable, "the service has only just been started");
}

class LogCopier {
  public:
    LogCopier(agent::JobContext& context, LogTail& tail, std::string component)
        : context_(context), tail_(tail), component_(std::move(component)) {}
    ~LogCopier() { copy(true); }
    void copy(bool flush = false) {
        const auto lines = tail_.read(flush);
        std::string out;
        for (std::size_t at = 0; at < lines.size();) {
            const auto end = std::min(lines.find('\n', at), lines.size() - 1);
            out += component_ + " | " + lines.substr(at, end + 1 - at);
            at = end + 1;
        }
        if (!out.empty()) context_.log(out);
    }

  private:
    agent::JobContext& context_;
    LogTail& tail_;
    std::string component_;
};

} // namespace

bool pause(std::chrono::milliseconds duration, std::stop_token stop) {
    std::mutex mutex;
    std::condition_variable_any never;
    std::unique_lock hold(mutex);
    never.wait_for(hold, stop, duration, [] { return false; });
    return !stop.stop_requested();
}

std::map<std::string, std::string> environment_of(const model::BundleRun& run) {
    auto out = minimal_environment();
    for (const auto& [name, value] : run.environment) out[name] = value;
    return out;
}

Result<void> probe_once(agent::JobContext& context, const model::HealthProbe& probe, const ProbeSite& site) {
    if (probe.http) return probe_http(context, *probe.http);
    if (probe.tcp) return probe_tcp(*probe.tcp, kTcpDeadline, context.stop());
    if (!probe.command.empty()) return probe_command(context, probe.command, site);
    return {};
}

Result<void> await_healthy(agent::JobContext& context, Supervisor& supervisor, const std::string& component,
                           const ReleaseState& release, const ComponentPaths& paths, LogTail& tail) {
    const auto& run = release.run;
    const auto within = std::chrono::seconds(run.health ? run.health->within_s : kWithinWithoutProbe);
    const auto deadline = Steady::now() + within;
    const ProbeSite site{paths.release(release.directory), environment_of(run)};
    LogCopier log(context, tail, component);

    std::string last_shown;
    for (auto rest = std::chrono::milliseconds(kFirstPause);; rest = std::min(rest * 5 / 4, kLongestPause)) {
        auto tried = run.health ? probe_once(context, *run.health, site) : Result<void>{};
        const auto status = supervisor.status(component);
        // A probe that fails while the service is down says less than why it is down.
        if (!run.service.empty())
            if (auto up = check_service(status, release, run.health.has_value());
                !up && (tried || !status.running))
                tried = std::move(up);
        log.copy();
        if (tried) return {};
        if (context.stop().stop_requested() || tried.error().code == Code::cancelled)
            return fail(Code::cancelled, "cancelled while waiting for " + component + " to become healthy");
        if (tried.error().code != Code::unavailable &&
            tried.error().message != std::exchange(last_shown, tried.error().message))
            context.log("not yet healthy: " + tried.error().message + "\n");
        if (!run.service.empty() && status.exits >= kTooManyExits) return tried;
        if (Steady::now() + rest > deadline) {
            tried.error().message += std::format(" (after {} s)", within.count());
            return tried;
        }
        if (!pause(rest, context.stop()))
            return fail(Code::cancelled, "cancelled while waiting for " + component + " to become healthy");
    }
}

} // namespace consign::install
