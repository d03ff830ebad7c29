// Pieces of a job's log in any order, of any lease, with any offset: the store has what a simple model has, and no
// piece of an old lease. Three bytes and a piece each: what to do, the epoch, the offset, then the piece up to a 0.
#include "consign/base/file.hpp"
#include "ims/log_streams.hpp"
#include "store/connection.hpp"
#include "store/migrate.hpp"
#include <cstdlib>

using namespace consign;
namespace streams = consign::ims::log_streams;

namespace {

struct Store {
    TemporaryDirectory directory = *TemporaryDirectory::make("fuzz");
    std::unique_ptr<store::SqliteConnection> db;
    Store() {
        const auto file = directory.path() / "logs.db";
        db = *store::SqliteConnection::open(file, store::SqliteConnection::Role::writer, false);
        if (!db->run("PRAGMA synchronous = OFF") || !store::migrate(*db, file, streams::migrations()))
            std::abort();
    }
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    static Store store;
    auto& db = *store.db;
    const auto job = JobId::make(Time{});
    if (!db.run("BEGIN IMMEDIATE")) std::abort();
    std::string text;
    std::int64_t newest = 0;
    std::string_view input(reinterpret_cast<const char*>(data), size);
    while (input.size() >= 3) {
        const bool fence = input[0] & 1;
        const std::int64_t epoch = input[1] & 7;
        // Around the end, where it matters.
        const auto offset = static_cast<std::int64_t>(text.size()) + static_cast<signed char>(input[2]) % 4;
        input.remove_prefix(3);
        const auto piece = input.substr(0, input.find('\0'));
        input.remove_prefix(std::min(piece.size() + 1, input.size()));
        if (fence && epoch > 0) {
            const auto at = streams::fence(db, job, epoch);
            if (!at || *at != static_cast<std::int64_t>(text.size())) std::abort();
            newest = std::max(newest, epoch);
            continue;
        }
        const auto done = streams::append(db, job, epoch, offset, piece);
        if (newest == 0 && epoch == streams::kFirstEpoch) newest = epoch;
        if (epoch != newest) {
            if (epoch != 0 && (done || done.error().code != Code::lease_lost)) std::abort();
            if (epoch == 0) break; // no lease has this epoch: nothing is promised
            continue;
        }
        if (epoch == 0) break;
        const bool fits = offset == static_cast<std::int64_t>(text.size());
        if (!done || done->accepted != fits) std::abort();
        if (fits) text += piece;
        if (done->size != static_cast<std::int64_t>(text.size())) std::abort();
    }
    const auto page = streams::read(db, job, 0, text.size() + 1);
    if (!page || page->data != text) std::abort();
    if (!db.run("ROLLBACK")) std::abort();
    return 0;
}
