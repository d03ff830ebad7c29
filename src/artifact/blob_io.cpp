#include "artifact/blob_io.hpp"
#include <algorithm>
#include <unistd.h>

namespace consign::artifact {

net::Async<Result<std::size_t>> FileSource::read(std::span<std::byte> into) {
    const int fd = file_.get();
    co_return co_await pool_.run([fd, into]() -> Result<std::size_t> {
        for (;;) {
            const auto count = ::read(fd, into.data(), into.size());
            if (count >= 0) return static_cast<std::size_t>(count);
            if (errno != EINTR) return fail_errno("cannot read the layer", errno);
        }
    });
}

net::Async<Result<std::size_t>> TextSource::read(std::span<std::byte> into) {
    const auto piece = as_bytes(text_).subspan(done_);
    const auto count = std::min(piece.size(), into.size());
    std::ranges::copy(piece.first(count), into.begin());
    done_ += count;
    co_return count;
}

} // namespace consign::artifact
