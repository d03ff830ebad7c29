#include "small_blobs.hpp"
#include "consign/base/log.hpp"

namespace consign::oci {

namespace {

/// What is in the journal up to `last` is on disk as files.
Result<void> forget(store::Transaction& tx, std::int64_t last) {
    CONSIGN_CHECK(tx.execute("DELETE FROM unsynced_blobs WHERE seq <= $1", {last}));
    return {};
}

} // namespace

Result<void> SmallBlobs::keep(store::Transaction& tx, const Digest& digest, std::string_view bytes) {
    // A new number, also if the blob is there: its file is new, too.
    CONSIGN_CHECK(tx.execute("DELETE FROM unsynced_blobs WHERE digest = $1", {digest.str()}));
    CONSIGN_CHECK(tx.execute("INSERT INTO unsynced_blobs (digest, bytes) VALUES ($1, $2)",
                             {digest.str(), as_bytes(bytes)}));
    return {};
}

Result<void> SmallBlobs::recover() {
    std::int64_t last = 0;
    const auto restored = database_.read_blocking([this, &last](store::Connection& c) -> Result<void> {
        Result<void> restored;
        CONSIGN_CHECK(c.query("SELECT seq, digest, bytes FROM unsynced_blobs ORDER BY seq", {},
                              [&](const store::Row& row) {
                                  last = row.integer(0);
                                  const auto digest = Digest::parse(row.text(1));
                                  restored = digest ? blobs_.restore(*digest, as_text(row.blob(2)))
                                                    : std::unexpected(digest.error());
                                  return restored.has_value();
                              }));
        return restored;
    });
    if (!restored && restored.error().code == Code::storage_full) {
        log::warn("the disk has no room for small blobs that a crash left in the journal",
                  {{"hint", "free some space there, then restart"}});
        is_recovered_ = false;
        return {};
    }
    if (!restored || last == 0) return restored;
    CONSIGN_CHECK(blobs_.sync_blocking());
    return database_.write_blocking([last](store::Transaction& tx) { return forget(tx, last); });
}

net::Async<void> SmallBlobs::kept() {
    if (!is_recovered_ || ++waiting_ < kSettleAfter) co_return;
    waiting_ = 0;
    const auto settled = co_await settle();
    if (!settled) // nothing is lost: they stay in the journal
        log::warn("cannot sync small blobs", {{"problem", to_string(settled.error())}});
}

net::Async<Result<void>> SmallBlobs::settle() {
    // A file has its name before its bytes are in the journal, so what is found there now will be synced.
    CONSIGN_CO_TRY(last, co_await database_.read([](store::Connection& c) {
        return c.query_one("SELECT MAX(seq) FROM unsynced_blobs", {},
                           [](const store::Row& row) { return row.integer(0); });
    }));
    CONSIGN_CO_CHECK(co_await blobs_.sync());
    co_return co_await database_.write(
        [last](store::Transaction& tx) { return forget(tx, last.value_or(0)); });
}

} // namespace consign::oci
