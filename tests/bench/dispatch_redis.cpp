// Redis streams in the bench `dispatch`, its append-only file synced before every answer. The stream keeps
// the payload, one hash the states of jobs that run, another the outcomes.
#include "dispatch.hpp"
#include <format>

namespace bench {
namespace {

std::string command(std::initializer_list<std::string_view> words) {
    auto text = std::format("*{}\r\n", words.size());
    for (const auto word : words) text += std::format("${}\r\n{}\r\n", word.size(), word);
    return text;
}

/// The strings and numbers of one reply, however they are nested.
net::Async<Result<std::vector<std::string>>> reply(LineConnection& connection) {
    std::vector<std::string> values;
    for (long missing = 1; missing > 0; --missing) {
        CONSIGN_CO_TRY(line, co_await connection.line());
        const auto rest = line.substr(1);
        if (line[0] == '*') {
            missing += std::max(0L, std::stol(rest));
        } else if (line[0] == '$') {
            if (rest == "-1") continue; // nothing
            CONSIGN_CO_TRY(text, co_await connection.bytes(std::stoul(rest)));
            values.push_back(std::move(text));
        } else if (line[0] == '-') {
            co_return fail(Code::failed, "Redis says " + rest);
        } else {
            values.push_back(rest);
        }
    }
    co_return values;
}

class RedisStreams final : public JobSystem {
  public:
    RedisStreams(net::IoThread& io, std::size_t workers) {
        const auto port = free_port();
        // --save "": no snapshots besides the append-only file.
        process_.emplace(find_program("redis-server"),
                         std::vector<std::string>{"--bind", "127.0.0.1", "--port", std::to_string(port),
                                                  "--dir", directory_.path().string(), "--appendonly", "yes",
                                                  "--appendfsync", "always", "--save", ""},
                         directory_.path() / "output");
        connections_ = connect_all(io, port, workers);
        need(io.run(make_group(*connections_[0])), "make a consumer group");
    }
    net::Async<Result<void>> cycle(std::size_t worker) override {
        auto& connection = *connections_[worker];
        CONSIGN_CO_CHECK(co_await connection.send(add_));
        CONSIGN_CO_CHECK(co_await reply(connection));
        const auto lease = command({"XREADGROUP", "GROUP", "workers", std::to_string(worker), "COUNT", "1",
                                    "BLOCK", "0", "STREAMS", "jobs", ">"});
        CONSIGN_CO_CHECK(co_await connection.send(lease));
        CONSIGN_CO_TRY(leased, co_await reply(connection)); // jobs, id, payload, its value
        if (leased.size() != 4 || leased[3].size() != kPayloadBytes)
            co_return fail(Code::failed, "Redis leased no job");
        const auto start = command({"HSET", "states", leased[1], "running"});
        CONSIGN_CO_CHECK(co_await connection.send(start));
        CONSIGN_CO_CHECK(co_await reply(connection));
        const auto end = command({"XACK", "jobs", "workers", leased[1]}) +
                         command({"HSET", "history", leased[1], "failed: bench"});
        CONSIGN_CO_CHECK(co_await connection.send(end));
        CONSIGN_CO_CHECK(co_await reply(connection));
        CONSIGN_CO_CHECK(co_await reply(connection));
        co_return Result<void>{};
    }

  private:
    static net::Async<Result<void>> make_group(LineConnection& connection) {
        const auto make = command({"XGROUP", "CREATE", "jobs", "workers", "$", "MKSTREAM"});
        CONSIGN_CO_CHECK(co_await connection.send(make));
        CONSIGN_CO_CHECK(co_await reply(connection));
        co_return Result<void>{};
    }

    TemporaryDirectory directory_ = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    std::optional<Process> process_;
    std::vector<std::unique_ptr<LineConnection>> connections_;
    const std::string add_ = command({"XADD", "jobs", "*", "payload", std::string(kPayloadBytes, 'x')});
};

} // namespace

std::unique_ptr<JobSystem> start_redis_streams(net::IoThread& io, std::size_t workers) {
    return std::make_unique<RedisStreams>(io, workers);
}

} // namespace bench
