#pragma once
// How a copy looks while it runs: bars on a terminal, nothing elsewhere.
#include "cli/output.hpp"
#include "consign/oci/copy.hpp"
#include <mutex>

namespace consign::cli {

/// show() may come from another thread than the one that made it.
class TransferProgress {
  public:
    TransferProgress(const Console& console, std::string title);
    ~TransferProgress(); ///< takes away what is drawn
    void show(const oci::CopyProgress& progress);
    const oci::CopyProgress& last() const { return last_; }

    /// The lines of one picture, at most `columns` wide and `rows` high.
    static std::vector<std::string> lines(const std::string& title, const oci::CopyProgress& progress,
                                          double seconds, std::size_t columns, std::size_t rows);

  private:
    void draw();
    void erase();

    Console console_;
    std::string title_;
    std::chrono::steady_clock::time_point began_, drawn_at_{};
    oci::CopyProgress last_;
    std::mutex mutex_;
    std::size_t drawn_ = 0; ///< lines
};

/// "[######----]", `width` characters and the brackets.
std::string bar(std::uint64_t done, std::uint64_t total, std::size_t width);

} // namespace consign::cli
