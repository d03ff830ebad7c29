#pragma once
// A service writes to its log file itself, opened O_APPEND, so that it needs nobody to live on. That leaves
// one way to bound the file while the service runs: copy the end away, then truncate. Lines written between
// the two are lost.
#include "consign/base/file.hpp"
#include <string>

namespace consign::install {

/// Opens for appending, making its directory; what is larger than `limit_bytes` first moves to "<log>.1".
/// Blocks.
Result<Fd> open_service_log(const std::filesystem::path& log, std::uint64_t limit_bytes);
/// If it is larger than `limit_bytes`: keeps its last `limit_bytes` as "<log>.1" and empties it. Blocks.
Result<void> rotate_service_log(const std::filesystem::path& log, std::uint64_t limit_bytes);

/// Reads what is new since it was made, at most `budget_bytes` in all. Blocks.
class LogTail {
  public:
    LogTail(std::filesystem::path log, std::size_t budget_bytes);
    /// Whole lines; a line still being written waits for its end, or for `flush`. "" if there is nothing.
    std::string read(bool flush = false);

  private:
    std::filesystem::path log_;
    std::uint64_t offset_ = 0;
    std::size_t budget_bytes_;
    std::string partial_;
};

} // namespace consign::install
