#pragma once
// What the benches share: real processes of the binary, a typed way to talk to them, and medians.
#include "consign/base/file.hpp"
#include "consign/base/keys.hpp"
#include "consign/base/subprocess.hpp"
#include "consign/protocol/client.hpp"
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

namespace bench {

using namespace consign;
using Clock = std::chrono::steady_clock;

inline double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

/// The value at `quantile` (0..1) of `values`.
double quantile(std::vector<double> values, double quantile);
inline double median(std::vector<double> values) { return quantile(std::move(values), 0.5); }
/// Runs `round` n times and gives the median of what it returns.
double median_of(int rounds, const std::function<double()>& round);

/// A loopback port that nobody listens on now.
std::uint16_t free_port();
/// The path of an installed program, or empty.
std::filesystem::path find_program(std::string_view name);
/// Resident memory of a process, MiB.
double rss_mib(pid_t pid);
/// User and system CPU seconds of a process so far.
double cpu_seconds(pid_t pid);

/// A failed step of a bench ends the program with the reason.
[[noreturn]] void give_up(std::string_view doing, const Error& error);
template <class T>
T need(Result<T> result, std::string_view doing) {
    if (!result) give_up(doing, result.error());
    if constexpr (!std::is_void_v<T>) return std::move(*result);
}

/// `binary` run with `arguments`, its output in a file; ended with SIGTERM on destruction.
class Process {
  public:
    Process(const std::filesystem::path& binary, std::vector<std::string> arguments,
            std::filesystem::path log);
    ~Process();
    pid_t pid() const { return process_->pid(); }
    void kill(); ///< with SIGKILL
    /// Waits until the log has a word that begins with `key`, gives the rest of that word.
    std::string wait_for(std::string_view key);

  private:
    std::filesystem::path log_;
    Fd output_;
    std::optional<Subprocess> process_;
};

struct Certificate {
    std::filesystem::path certificate, key;
};
/// Self-signed, for 127.0.0.1.
Certificate make_certificate(const std::filesystem::path& directory);

/// An IMS on a scratch directory with one app `load`, whose component `job` has a spec of about 1 KiB.
class Server {
  public:
    /// `history`: the data directory of a stopped server, which is copied; empty: a new one.
    explicit Server(const std::filesystem::path& binary, const std::filesystem::path& history = {},
                    const std::optional<Certificate>& tls = {});
    void stop() { process_.reset(); } ///< in order
    void kill();
    /// Again on the same data and port.
    void start();
    const net::Url& url() const { return url_; }
    const std::string& owner_token() const { return token_; }
    pid_t pid() const { return process_->pid(); }
    const std::filesystem::path& directory() const { return directory_.path(); }
    std::filesystem::path data() const { return directory_.path() / "ims"; }

  private:
    const std::filesystem::path binary_;
    const std::optional<Certificate> tls_;
    TemporaryDirectory directory_;
    std::optional<Process> process_;
    int starts_ = 0; ///< each has a log of its own
    net::Url url_;
    std::string token_;
};

/// A client of the server; use it on `io`.
class Client {
  public:
    Client(net::IoThread& io, const Server& server, std::string token);
    protocol::ApiClient& api() { return api_; }
    void set_token(std::string token) { *token_ = std::move(token); }

  private:
    std::shared_ptr<std::string> token_;
    net::Client http_;
    protocol::ApiClient api_;
};

net::Async<Result<void>> apply_load_app(protocol::ApiClient& api);
/// One queued job: the durable enqueue.
net::Async<Result<void>> enqueue(protocol::ApiClient& api);
/// A build agent of its own key: gives its access token.
net::Async<Result<std::string>> enroll_agent(protocol::ApiClient& owner);

int footprint(const std::filesystem::path& binary);
int dispatch(const std::filesystem::path& binary);
int dispatch_alone(const std::filesystem::path& binary); ///< without the others: to work on ours
int polls(const std::filesystem::path& binary);
int pack(const std::filesystem::path& binary);
int copy(const std::filesystem::path& binary);
int registry(const std::filesystem::path& binary);

} // namespace bench
