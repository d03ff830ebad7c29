#pragma once
// What the install tests share: a job context without a server, files, and ways to look at processes.
#include "consign/agent/job.hpp"
#include "consign/base/file.hpp"
#include "install/service.hpp"
#include <catch2/catch.hpp>
#include <csignal>
#include <fstream>
#include <sys/stat.h>
#include <thread>

namespace consign::install::test {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

inline TemporaryDirectory scratch() {
    auto made = TemporaryDirectory::make("consign-install-test");
    REQUIRE(made);
    return std::move(*made);
}

inline void put(const fs::path& file, std::string_view text, mode_t mode = 0644) {
    fs::create_directories(file.parent_path());
    std::ofstream(file, std::ios::trunc) << text;
    ::chmod(file.c_str(), mode);
}
inline void put_script(const fs::path& file, std::string_view text) {
    put(file, "#!/bin/sh\n" + std::string(text), 0755);
}

inline std::string get(const fs::path& file) { return read_file(file).value_or(""); }

/// Looks every 10 ms for up to 20 s: a bound on a hang, not a measurement.
template <class F>
bool eventually(F condition) {
    for (int i = 0; i < 2000; ++i) {
        if (condition()) return true;
        std::this_thread::sleep_for(10ms);
    }
    return false;
}

inline bool lives(pid_t pid) { return start_ticks_of(pid).has_value(); }
inline pid_t pid_in(const fs::path& file) {
    pid_t pid = -1;
    eventually([&] {
        std::istringstream(get(file)) >> pid;
        return pid > 0;
    });
    return pid;
}

/// No part of a test's services may outlive it, whatever fails.
struct Reaper {
    fs::path components;
    ~Reaper() {
        std::error_code error;
        for (fs::directory_iterator it(components, error), end; !error && it != end; it.increment(error)) {
            const ComponentPaths paths{it->path()};
            if (const auto record = read_service_record(paths); record && is_alive(*record))
                ::kill(-record->pid, SIGKILL);
            for (const auto pid : lock_holders(paths.service_lock())) ::kill(pid, SIGKILL);
        }
    }
};

class FakeContext final : public agent::JobContext {
  public:
    FakeContext(net::IoThread& io, net::Client& http, fs::path data, fs::path scratch, json::Value spec = {})
        : io_(io), http_(http), data_(std::move(data)), scratch_(std::move(scratch)) {
        lease_.spec = std::move(spec);
    }
    const protocol::Lease& lease() const override { return lease_; }
    std::stop_token stop() const override { return stop_source.get_token(); }
    void log(std::string_view piece) override {
        text += piece;
        if (on_log) on_log(piece);
    }
    void redact(std::string secret) override { secrets.push_back(std::move(secret)); }
    void begin_step(std::string_view name) override { steps.emplace_back(name); }
    void end_step(protocol::StepState state, std::string_view detail) override {
        last_state = state;
        details.emplace_back(detail);
    }
    Result<protocol::PullToken> pull_token() override {
        ++tokens;
        if (token) return *token;
        return fail(Code::unavailable, "this test has no vendor registry");
    }
    Result<std::string> access_token() override { return fail(Code::permission_denied, "build agents only"); }
    const net::Url& ims() const override { return ims_url; }
    net::IoThread& io() override { return io_; }
    net::Client& http() override { return http_; }
    const fs::path& data() const override { return data_; }
    const fs::path& scratch() const override { return scratch_; }

    std::stop_source stop_source;
    std::function<void(std::string_view)> on_log;
    std::string text;
    std::vector<std::string> secrets, steps;
    protocol::StepState last_state = protocol::StepState::running;
    std::vector<std::string> details; ///< of the steps that ended
    int tokens = 0;
    std::optional<protocol::PullToken> token;
    net::Url ims_url = net::Url::parse("http://127.0.0.1:8400").value();

  private:
    protocol::Lease lease_;
    net::IoThread& io_;
    net::Client& http_;
    fs::path data_, scratch_;
};

/// An I/O thread with a client, which is destroyed on that thread, as its contract wants.
struct Network {
    net::IoThread io;
    std::unique_ptr<net::Client> http = std::make_unique<net::Client>(io.executor());
    ~Network() { (void)io.run(drop(std::move(http))); }
    static net::Async<Result<void>> drop(std::unique_ptr<net::Client> client) {
        client.reset();
        co_return Result<void>{};
    }
};

} // namespace consign::install::test
