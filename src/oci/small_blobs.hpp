#pragma once
// The journal of small blobs. Syncing a file and its directory costs two trips to the disk, and a link's
// commit a third. So the file of a small blob is not synced: its bytes are committed together with the link.
// Every few hundred blobs one sync of the whole file system makes their files durable, and the journal is
// emptied; after a crash the files are written again from it.
#include "consign/oci/blob_store.hpp"
#include "consign/store/database.hpp"
#include <atomic>

namespace consign::oci {

class SmallBlobs {
  public:
    SmallBlobs(store::Database& database, BlobStore& blobs) : database_(database), blobs_(blobs) {}

    /// What a crash left in the journal gets its files back. Blocks; before anybody reads. A full disk is no
    /// reason not to start: the journal then stays as it is until a start that finds room.
    Result<void> recover();
    /// In the transaction of the link: `bytes` are the blob's, whose file is there but not synced.
    static Result<void> keep(store::Transaction& tx, const Digest& digest, std::string_view bytes);
    /// After such a commit. One caller in kSettleAfter waits until the journal is empty again.
    net::Async<void> kept();

    static constexpr int kSettleAfter = 512; // 16 MiB of journal at most; whoever comes last waits for the sync

  private:
    net::Async<Result<void>> settle();
    store::Database& database_;
    BlobStore& blobs_;
    std::atomic<int> waiting_ = 0;
    bool is_recovered_ = true;
};

} // namespace consign::oci
