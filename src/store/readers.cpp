#include "readers.hpp"
#include <exception>

namespace consign::store {

Readers::Readers(std::vector<std::unique_ptr<SqliteConnection>> connections, std::size_t max_queue)
    : connections_(std::move(connections)), queue_(max_queue, "reads") {
    for (auto& connection : connections_)
        threads_.emplace_back([this, own = connection.get()] { loop(*own); });
}

Readers::~Readers() {
    queue_.close();
    for (auto& thread : threads_) thread.join();
}

void Readers::loop(SqliteConnection& connection) {
    for (;;) {
        auto jobs = queue_.take(1);
        if (jobs.empty()) return; // closing, and drained
        jobs.front().outcome = run_one(connection, jobs.front().work);
        jobs.front().finish();
    }
}

Result<void> Readers::run_one(SqliteConnection& connection, Work& work) {
    CONSIGN_CHECK(connection.run("BEGIN"));
    Result<void> outcome;
    try {
        outcome = work(connection);
    } catch (const std::exception& e) {
        outcome = fail(Code::internal, std::string("a database read threw: ") + e.what());
    } catch (...) {
        outcome = fail(Code::internal, "a database read threw something unnamed");
    }
    if (connection.in_transaction()) (void)connection.run("ROLLBACK");
    return outcome;
}

} // namespace consign::store
