// PostgreSQL in the bench `dispatch`: a table of jobs with a partial index, FOR UPDATE SKIP LOCKED, each step
// a transaction of its own. As Debian configures it, but on a Unix socket only; fsync and synchronous_commit
// are on. libpq does not block, so all connections share the one thread of the load, like everybody's.
#include "dispatch.hpp"

#ifndef CONSIGN_BENCH_LIBPQ

namespace bench {
std::string why_no_postgres() { return "libpq was not there when the bench was configured"; }
std::unique_ptr<JobSystem> start_postgres(const std::filesystem::path&, net::IoThread&, std::size_t) {
    return nullptr;
}
} // namespace bench

#else

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <format>
#include <libpq-fe.h>
#include <thread>
#include <unistd.h>

namespace bench {
namespace {

constexpr std::string_view kPrograms = "/usr/lib/postgresql/15/bin";

// Columns that a job server needs at least. A job that has ended stays where it is, and some have: a plan
// made for an empty table would read all of it for every lease, and be kept.
constexpr const char* kSchema = R"sql(
DROP TABLE IF EXISTS jobs;
CREATE TABLE jobs (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    state       text NOT NULL DEFAULT 'queued',
    payload     text NOT NULL,
    epoch       bigint NOT NULL DEFAULT 0,
    worker      integer,
    deadline    timestamptz,
    outcome     text,
    created_at  timestamptz NOT NULL DEFAULT now(),
    started_at  timestamptz,
    finished_at timestamptz
);
CREATE INDEX jobs_queued ON jobs(id) WHERE state = 'queued';
INSERT INTO jobs(state, payload) SELECT 'failed', repeat('x', 1024) FROM generate_series(1, 10000);
)sql";

struct Statement {
    const char *name, *sql;
};
constexpr Statement kEnqueue{"enqueue", "INSERT INTO jobs(payload) VALUES ($1) RETURNING id"};
constexpr Statement kLease{
    "lease",
    "UPDATE jobs SET state = 'leased', epoch = epoch + 1, worker = $1, deadline = now() + interval '45 s' "
    "WHERE id = (SELECT id FROM jobs WHERE state = 'queued' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED) "
    "RETURNING id, epoch, payload"};
constexpr Statement kStart{"start", "UPDATE jobs SET state = 'running', started_at = now() "
                                    "WHERE id = $1 AND epoch = $2 AND state = 'leased' RETURNING id"};
constexpr Statement kEnd{"end", "UPDATE jobs SET state = 'failed', outcome = 'bench', finished_at = now() "
                                "WHERE id = $1 AND epoch = $2 AND state = 'running' RETURNING id"};

struct Closer {
    void operator()(PGconn* connection) const { PQfinish(connection); }
    void operator()(PGresult* result) const { PQclear(result); }
};
using Answer = std::unique_ptr<PGresult, Closer>;

class Connection {
  public:
    Connection(net::Executor executor, const std::filesystem::path& socket_directory) : socket_(executor) {
        const auto to =
            std::format("host={} dbname=postgres user=postgres options='-c client_min_messages=warning'",
                        socket_directory.string());
        for (int i = 0; i < 1000; ++i) { // the server may still be starting
            connection_.reset(PQconnectdb(to.c_str()));
            if (PQstatus(connection_.get()) == CONNECTION_OK) break;
            std::this_thread::sleep_for(std::chrono::milliseconds(10));
        }
        if (PQstatus(connection_.get()) != CONNECTION_OK) give_up("connect to PostgreSQL", error());
        socket_.assign(PQsocket(connection_.get()));
    }
    ~Connection() { socket_.release(); } // libpq closes it

    void prepare() {
        for (const auto& [name, sql] : {kEnqueue, kLease, kStart, kEnd})
            check(Answer(PQprepare(connection_.get(), name, sql, 0, nullptr)), PGRES_COMMAND_OK);
    }
    void make_table() {
        for (const auto* sql : {kSchema, "VACUUM ANALYZE jobs"})
            check(Answer(PQexec(connection_.get(), sql)), PGRES_COMMAND_OK);
    }

    template <std::size_t N>
    net::Async<Result<Answer>> run(Statement statement, std::array<const char*, N> parameters) {
        if (!PQsendQueryPrepared(connection_.get(), statement.name, N, parameters.data(), nullptr, nullptr,
                                 0))
            co_return std::unexpected(error());
        Answer answer;
        for (;;) { // until it is ready for the next
            while (PQisBusy(connection_.get())) {
                const auto [broken] =
                    co_await socket_.async_wait(Descriptor::wait_read, boost::asio::as_tuple(net::use_async));
                if (broken || !PQconsumeInput(connection_.get())) co_return std::unexpected(error());
            }
            Answer next(PQgetResult(connection_.get()));
            if (!next) break;
            answer = std::move(next);
        }
        if (PQresultStatus(answer.get()) != PGRES_TUPLES_OK) co_return std::unexpected(error());
        co_return std::move(answer);
    }

  private:
    using Descriptor = boost::asio::posix::basic_stream_descriptor<net::Executor>;
    Error error() const { return {Code::failed, PQerrorMessage(connection_.get())}; }
    void check(const Answer& answer, ExecStatusType want) const {
        if (PQresultStatus(answer.get()) != want) give_up("set PostgreSQL up", error());
    }

    std::unique_ptr<PGconn, Closer> connection_;
    Descriptor socket_;
};

/// It refuses to run as root.
std::vector<std::string> as_nobody_special(std::vector<std::string> command) {
    if (::geteuid() == 0) {
        const auto to = {"setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"};
        command.insert(command.begin(), to.begin(), to.end());
    }
    return command;
}

/// `directory` holds the cluster, which is made with the first start. Its log files are used again after a
/// restart, so only the first round pays for their making.
Process start_cluster(const std::filesystem::path& directory) {
    const auto data = (directory / "data").string();
    const auto program = [](std::string_view name) { return std::format("{}/{}", kPrograms, name); };
    const auto start = [&](std::vector<std::string> command) {
        const auto argv = as_nobody_special(std::move(command));
        return Process(find_program(argv[0]), {argv.begin() + 1, argv.end()}, directory / "output");
    };
    if (!std::filesystem::exists(directory)) {
        need(make_directories(directory), "make a directory");
        // The parent is private to us, and the cluster belongs to another user.
        std::filesystem::permissions(directory.parent_path(), std::filesystem::perms(0711));
        std::filesystem::permissions(directory, std::filesystem::perms::all);
        std::string output;
        const auto made = need(run({.argv = as_nobody_special({program("initdb"), "-D", data, "-U",
                                                               "postgres", "-A", "trust", "--no-sync"}),
                                    .environment = minimal_environment()},
                                   [&](std::string_view text) { output += text; }),
                               "start initdb");
        if (!made.ok()) give_up("make a cluster", Error{Code::failed, output});
    }
    return start({program("postgres"), "-D", data, "-k", directory.string(), "-c", "listen_addresses="});
}

class Postgres final : public JobSystem {
  public:
    Postgres(const std::filesystem::path& directory, net::IoThread& io, std::size_t workers)
        : process_(start_cluster(directory)) {
        for (std::size_t i = 0; i < workers; ++i) {
            connections_.push_back(std::make_unique<Connection>(io.executor(), directory));
            if (i == 0) connections_[0]->make_table();
            connections_.back()->prepare();
        }
    }
    net::Async<Result<void>> cycle(std::size_t worker) override {
        auto& connection = *connections_[worker];
        CONSIGN_CO_CHECK(co_await connection.run(kEnqueue, std::array{payload_.c_str()}));
        const auto number = std::to_string(worker);
        for (;;) {
            CONSIGN_CO_TRY(lease, co_await connection.run(kLease, std::array{number.c_str()}));
            // The jobs that it saw were taken meanwhile, and those of their takers are newer than its
            // snapshot.
            if (PQntuples(lease.get()) == 0) continue;
            const std::array<const char*, 2> fenced{PQgetvalue(lease.get(), 0, 0),
                                                    PQgetvalue(lease.get(), 0, 1)};
            CONSIGN_CO_TRY(started, co_await connection.run(kStart, fenced));
            CONSIGN_CO_TRY(ended, co_await connection.run(kEnd, fenced));
            if (PQntuples(started.get()) != 1 || PQntuples(ended.get()) != 1)
                co_return fail(Code::failed, "PostgreSQL lost a lease");
            co_return Result<void>{};
        }
    }

  private:
    Process process_;
    std::vector<std::unique_ptr<Connection>> connections_;
    const std::string payload_ = std::string(kPayloadBytes, 'x');
};

} // namespace

std::string why_no_postgres() {
    if (!std::filesystem::exists(std::filesystem::path(kPrograms) / "postgres"))
        return "there is no " + std::string(kPrograms) + "/postgres";
    return {};
}

std::unique_ptr<JobSystem> start_postgres(const std::filesystem::path& directory, net::IoThread& io,
                                          std::size_t workers) {
    return std::make_unique<Postgres>(directory, io, workers);
}

} // namespace bench

#endif
