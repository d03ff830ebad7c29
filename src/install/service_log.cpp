#include "install/service_log.hpp"
#include <fcntl.h>
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

std::uint64_t size_of(const fs::path& file) {
    std::error_code error;
    const auto size = fs::file_size(file, error);
    return error ? 0 : size;
}
fs::path older(const fs::path& log) { return log.string() + ".1"; }

} // namespace

Result<Fd> open_service_log(const fs::path& log, std::uint64_t limit_bytes) {
    CONSIGN_CHECK(make_directories(log.parent_path()));
    if (size_of(log) > limit_bytes && ::rename(log.c_str(), older(log).c_str()) != 0)
        return fail_errno("cannot rotate '" + log.string() + "'", errno);
    return open_file(log, O_WRONLY | O_CREAT | O_APPEND, 0640);
}

Result<void> rotate_service_log(const fs::path& log, std::uint64_t limit_bytes) {
    if (size_of(log) <= limit_bytes) return {};
    CONSIGN_TRY(from, open_file(log, O_RDWR));
    CONSIGN_TRY(to, open_file(older(log), O_WRONLY | O_CREAT | O_TRUNC, 0640));
    auto at = static_cast<off_t>(size_of(log) - limit_bytes);
    char buffer[64 << 10];
    for (std::uint64_t copied = 0;
         copied < limit_bytes;) { // the bound holds against a service that writes on
        const auto got = ::pread(from.get(), buffer, sizeof buffer, at);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("cannot read '" + log.string() + "'", errno);
        if (got == 0) break;
        CONSIGN_CHECK(write_all(to.get(), as_bytes({buffer, static_cast<std::size_t>(got)}), older(log)));
        at += got;
        copied += static_cast<std::uint64_t>(got);
    }
    if (::ftruncate(from.get(), 0) != 0) return fail_errno("cannot empty '" + log.string() + "'", errno);
    return {};
}

LogTail::LogTail(fs::path log, std::size_t budget_bytes)
    : log_(std::move(log)), offset_(size_of(log_)), budget_bytes_(budget_bytes) {}

std::string LogTail::read(bool flush) {
    const auto size = size_of(log_);
    if (size < offset_) offset_ = 0; // it was rotated
    if (auto file = open_file(log_, O_RDONLY); file && budget_bytes_ > 0 && size > offset_) {
        std::string piece(std::min<std::uint64_t>(size - offset_, budget_bytes_), '\0');
        const auto got = ::pread(file->get(), piece.data(), piece.size(), static_cast<off_t>(offset_));
        piece.resize(got > 0 ? static_cast<std::size_t>(got) : 0);
        offset_ += piece.size();
        budget_bytes_ -= piece.size();
        partial_ += piece;
        if (budget_bytes_ == 0) partial_ += "\n(the rest is only in the service's own log)\n";
    }
    const auto end = partial_.rfind('\n');
    auto lines = partial_.substr(0, end == std::string::npos ? 0 : end + 1);
    partial_.erase(0, lines.size());
    if (flush && !partial_.empty()) lines += std::exchange(partial_, {}) + "\n";
    return lines;
}

} // namespace consign::install
