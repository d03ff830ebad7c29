// beanstalkd in the bench `dispatch`, its log synced with every write. It has no counterpart of `start`, and
// what is deleted is gone: three calls instead of four, and no history, all to its advantage.
#include "dispatch.hpp"
#include <format>

namespace bench {
namespace {

class Beanstalkd final : public JobSystem {
  public:
    Beanstalkd(net::IoThread& io, std::size_t workers) {
        const auto log = directory_.path() / "log";
        need(make_directories(log), "make a directory");
        const auto port = free_port();
        process_.emplace(find_program("beanstalkd"),
                         std::vector<std::string>{"-l", "127.0.0.1", "-p", std::to_string(port), "-b",
                                                  log.string(), "-f0"},
                         directory_.path() / "output");
        connections_ = connect_all(io, port, workers);
    }
    net::Async<Result<void>> cycle(std::size_t worker) override {
        auto& connection = *connections_[worker];
        CONSIGN_CO_CHECK(co_await connection.send(put_));
        CONSIGN_CO_TRY(put, co_await connection.line());
        if (!put.starts_with("INSERTED ")) co_return unexpected(put);
        CONSIGN_CO_CHECK(co_await connection.send("reserve\r\n"));
        CONSIGN_CO_TRY(reserved, co_await connection.line()); // RESERVED <id> <bytes>
        constexpr std::string_view kReserved = "RESERVED ";
        const auto space = reserved.rfind(' ');
        if (!reserved.starts_with(kReserved) || space < kReserved.size()) co_return unexpected(reserved);
        CONSIGN_CO_CHECK(co_await connection.bytes(std::stoul(reserved.substr(space))));
        const auto id = reserved.substr(kReserved.size(), space - kReserved.size());
        const auto command = "delete " + id + "\r\n";
        CONSIGN_CO_CHECK(co_await connection.send(command));
        CONSIGN_CO_TRY(deleted, co_await connection.line());
        if (deleted != "DELETED") co_return unexpected(deleted);
        co_return Result<void>{};
    }

  private:
    static std::unexpected<Error> unexpected(const std::string& answer) {
        return fail(Code::failed, "beanstalkd says " + answer);
    }

    TemporaryDirectory directory_ = need(TemporaryDirectory::make("consign-bench"), "make a directory");
    std::optional<Process> process_;
    std::vector<std::unique_ptr<LineConnection>> connections_;
    // put <priority> <delay> <seconds to run> <bytes>
    const std::string put_ =
        std::format("put 0 0 45 {}\r\n{}\r\n", kPayloadBytes, std::string(kPayloadBytes, 'x'));
};

} // namespace

std::unique_ptr<JobSystem> start_beanstalkd(net::IoThread& io, std::size_t workers) {
    return std::make_unique<Beanstalkd>(io, workers);
}

} // namespace bench
