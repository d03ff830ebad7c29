#include "consign/store/sqlite.hpp"
#include "migrate.hpp"
#include "readers.hpp"
#include "writer.hpp"
#include <future>

namespace consign::store {

namespace {

class SqliteDatabase final : public Database {
  public:
    SqliteDatabase(std::unique_ptr<SqliteConnection> writer,
                   std::vector<std::unique_ptr<SqliteConnection>> readers, const SqliteOptions& options)
        : writer_(std::move(writer), options.max_batch, options.max_queue),
          readers_(std::move(readers), options.max_queue) {}

  private:
    net::Async<Result<void>> submit_write(WriteWork work) override {
        return await_completion([this, work = std::move(work)](Completion done) mutable {
            writer_.submit(std::move(work), std::move(done));
        });
    }
    net::Async<Result<void>> submit_read(ReadWork work) override {
        return await_completion([this, work = std::move(work)](Completion done) mutable {
            readers_.submit(std::move(work), std::move(done));
        });
    }
    Result<void> submit_write_blocking(WriteWork work) override { return wait_for(writer_, std::move(work)); }
    Result<void> submit_read_blocking(ReadWork work) override { return wait_for(readers_, std::move(work)); }

    template <class Threads, class Work>
    static Result<void> wait_for(Threads& threads, Work work) {
        auto promise = std::make_shared<std::promise<Result<void>>>();
        auto future = promise->get_future();
        threads.submit(std::move(work),
                       [promise](Result<void> outcome) { promise->set_value(std::move(outcome)); });
        return future.get();
    }

    Writer writer_; // closed last: its checkpoint then takes the whole WAL
    Readers readers_;
};

} // namespace

Result<std::unique_ptr<Database>> open_sqlite(const std::filesystem::path& path,
                                              std::span<const Migration> migrations, SqliteOptions options) {
    using Role = SqliteConnection::Role;
    CONSIGN_TRY(writer, SqliteConnection::open(path, Role::writer, options.durable));
    CONSIGN_CHECK(migrate(*writer, path, migrations));
    std::vector<std::unique_ptr<SqliteConnection>> readers;
    for (std::size_t i = 0; i < std::max<std::size_t>(options.readers, 1); ++i) {
        CONSIGN_TRY(reader, SqliteConnection::open(path, Role::reader, options.durable));
        readers.push_back(std::move(reader));
    }
    return std::make_unique<SqliteDatabase>(std::move(writer), std::move(readers), options);
}

} // namespace consign::store
