#pragma once
#include "consign/net/async.hpp"
#include "consign/oci/types.hpp"
#include <filesystem>

namespace consign::oci {

/// What interrupted pushes need to go on after a restart: one small file for each, in a directory of the
/// caller's. A session may be a signed URL, so that the files are for their owner only. Two processes may
/// share the directory; the same blob to the same target is then pushed by both, and either may end it.
class TransferJournal {
  public:
    /// `directory` is made when it is needed; empty: nothing is kept. Entries of a week ago are dropped.
    explicit TransferJournal(std::filesystem::path directory);
    bool on() const { return pool_.has_value(); }

    /// The session that was kept for the blob and target ("" if none), and keeping one ("" forgets). A file
    /// that cannot be read or written is a warning in the log: it costs time, not the copy.
    net::Async<std::string> find(std::string target, Descriptor blob);
    net::Async<void> keep(std::string target, Descriptor blob, std::string session);

  private:
    std::filesystem::path path_of(const std::string& target, const Descriptor& blob) const;
    std::filesystem::path directory_;
    std::optional<net::BlockingPool> pool_;
};

} // namespace consign::oci
