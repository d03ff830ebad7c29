#pragma once
// The contestants of the bench `dispatch`. Each does the same for every worker, and what it answered is on
// disk.
#include "bench.hpp"
#include <boost/asio/ip/tcp.hpp>

namespace bench {

inline constexpr std::size_t kPayloadBytes = 1024;

/// A job system on a scratch directory and the connections of some workers to it; ended with its object.
class JobSystem {
  public:
    virtual ~JobSystem() = default;
    /// One cycle of a worker: a job is queued, then one (its own or another's) is leased, started and ended.
    virtual net::Async<Result<void>> cycle(std::size_t worker) = 0;
    virtual double server_cpu_seconds() const { return 0; } ///< only consign tells
};

/// `history`: a data directory to begin with a copy of; empty: none.
std::unique_ptr<JobSystem> start_consign(const std::filesystem::path& binary,
                                         const std::filesystem::path& history, net::IoThread& io,
                                         std::size_t workers);
/// `directory` outlives the rounds and holds one cluster.
std::unique_ptr<JobSystem> start_postgres(const std::filesystem::path& directory, net::IoThread& io,
                                          std::size_t workers);
std::unique_ptr<JobSystem> start_beanstalkd(net::IoThread& io, std::size_t workers);
std::unique_ptr<JobSystem> start_redis_streams(net::IoThread& io, std::size_t workers);

/// Empty: it can take part. Else why not.
std::string why_no_postgres();

/// The data directory, moved below `directory`, of a stopped server that has run one job.
std::filesystem::path run_one_job(const std::filesystem::path& binary,
                                  const std::filesystem::path& directory);
/// The same with that many ended jobs more.
std::filesystem::path make_history(const std::filesystem::path& binary,
                                   const std::filesystem::path& directory, int jobs);

/// A connection to a daemon on this machine, for protocols of lines.
class LineConnection {
  public:
    explicit LineConnection(net::Executor executor) : socket_(executor) {}
    /// Waits until the daemon listens.
    net::Async<Result<void>> connect(std::uint16_t port);
    net::Async<Result<void>> send(std::string_view text);
    /// Up to the next CR LF, without it.
    net::Async<Result<std::string>> line();
    /// `size` bytes, without the CR LF after them.
    net::Async<Result<std::string>> bytes(std::size_t size);

  private:
    net::Async<Result<void>> read_some();
    std::string take(std::size_t size);

    boost::asio::basic_stream_socket<boost::asio::ip::tcp, net::Executor> socket_;
    std::string received_;
    std::size_t taken_ = 0; ///< of `received_`
};

/// A connection for each worker, all connected.
std::vector<std::unique_ptr<LineConnection>> connect_all(net::IoThread& io, std::uint16_t port,
                                                         std::size_t count);

} // namespace bench
