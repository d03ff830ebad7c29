#pragma once
#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

namespace consign::oci {

/// The running hash of an upload, so that finishing it does not read the file again.
struct RunningHash {
    explicit RunningHash(std::string_view algorithm) : algorithm(algorithm), hasher(algorithm) {}
    std::string algorithm;
    Hasher hasher;
    std::uint64_t size = 0; ///< bytes of the file it covers
};

/// The uploads that somebody works on, and the running hashes of those that wait for their next chunk. A hash
/// is only a saving: after a restart, or when too many wait, it is made again from the file. Any thread.
class UploadTable {
  public:
    /// One piece of work on one upload; gives it back on destruction.
    class Claim {
      public:
        Claim(std::shared_ptr<UploadTable> table, std::string id, std::optional<RunningHash> hash)
            : hash(std::move(hash)), table_(std::move(table)), id_(std::move(id)) {}
        Claim(Claim&&) = default;
        Claim& operator=(Claim&&) = delete;
        ~Claim();
        void forget() { keep_ = false; } ///< the upload is over
        std::optional<RunningHash> hash;

      private:
        std::shared_ptr<UploadTable> table_;
        std::string id_;
        bool keep_ = true;
    };

    /// conflict while another request works on the same upload.
    static Result<std::shared_ptr<Claim>> claim(std::shared_ptr<UploadTable> table, const std::string& id);
    /// A new upload, with nothing in it.
    void begun(const std::string& id);
    /// How many bytes an upload that waits has, if that is known without its file.
    std::optional<std::uint64_t> size(const std::string& id);
    /// Forgets those that wait: some of their files are gone.
    void forget_waiting();

  private:
    struct Entry {
        bool busy = false;
        std::optional<RunningHash> hash;
    };
    void give_back(const std::string& id, std::optional<RunningHash> hash);
    void make_room(); ///< one that waits goes, any: few of those that wait for long ever go on
    std::mutex mutex_;
    std::map<std::string, Entry> entries_;
};

/// 32 hex digits: never a path, whatever a client sends.
bool is_upload_id(std::string_view id);

} // namespace consign::oci
