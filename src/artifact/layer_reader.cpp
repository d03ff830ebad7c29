#include "artifact/layer_reader.hpp"
#include <algorithm>
#include <array>
#include <cstring>
#include <fcntl.h>
#include <format>
#include <unistd.h>
#include <zstd.h>

namespace consign::artifact {
namespace {

// What our writer needs at most: with it a hostile frame header cannot ask for gigabytes of memory.
constexpr int kWindowLogLimit = 23;

std::uint32_t first_word(std::span<const std::byte> bytes) {
    std::array<unsigned char, 4> word{};
    std::memcpy(word.data(), bytes.data(), std::min(bytes.size(), word.size()));
    return static_cast<std::uint32_t>(word[0] | word[1] << 8 | word[2] << 16) |
           static_cast<std::uint32_t>(word[3]) << 24;
}

bool is_zstd(std::span<const std::byte> bytes) {
    const auto word = first_word(bytes);
    return word == ZSTD_MAGICNUMBER || (word & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

} // namespace

void LayerReader::FreeContext::operator()(ZSTD_DCtx_s* context) const { ZSTD_freeDCtx(context); }

std::unexpected<Error> LayerReader::damaged(std::string_view why) const {
    return fail(Code::corrupt, std::format("'{}' {}", file_.native(), why), "fetch it again");
}

Result<LayerReader> LayerReader::open(const std::filesystem::path& file, std::uint64_t max_tar_bytes) {
    LayerReader reader;
    CONSIGN_TRY(fd, open_file(file, O_RDONLY));
    reader.file_ = file;
    reader.fd_ = std::move(fd);
    reader.budget_ = max_tar_bytes;
    reader.in_.resize(ZSTD_DStreamInSize());
    CONSIGN_CHECK(reader.refill());
    if (is_zstd(reader.left_)) {
        reader.context_.reset(ZSTD_createDCtx());
        if (!reader.context_ ||
            ZSTD_isError(ZSTD_DCtx_setParameter(reader.context_.get(), ZSTD_d_windowLogMax, kWindowLogLimit)))
            return fail(Code::internal, "zstd: no decoder");
    }
    return reader;
}

Result<void> LayerReader::refill() {
    // A pipe or a slow file system may give less than was asked; the magic needs its four bytes at once.
    std::size_t have = 0;
    while (have < in_.size() && !at_end_) {
        const auto count = ::read(fd_.get(), in_.data() + have, in_.size() - have);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0) return fail_errno("cannot read '" + file_.native() + "'", errno);
        at_end_ = count == 0;
        have += static_cast<std::size_t>(count);
    }
    left_ = std::span(in_).first(have);
    return {};
}

/// Up to into.size() bytes; 0 means the end.
Result<std::size_t> LayerReader::take(std::span<std::byte> into) {
    for (;;) {
        if (left_.empty() && !at_end_) CONSIGN_CHECK(refill());
        if (!context_) {
            const auto count = std::min(into.size(), left_.size());
            std::ranges::copy(left_.first(count), into.begin());
            left_ = left_.subspan(count);
            return count;
        }
        const bool starved = left_.empty();
        if (starved && !inside_frame_) return 0u;
        ZSTD_inBuffer in{left_.data(), left_.size(), 0};
        ZSTD_outBuffer out{into.data(), into.size(), 0};
        const auto more = ZSTD_decompressStream(context_.get(), &out, &in);
        if (ZSTD_isError(more))
            return damaged(std::format("is not a sound zstd stream: {}", ZSTD_getErrorName(more)));
        left_ = left_.subspan(in.pos);
        inside_frame_ = more != 0;
        if (out.pos > 0) return out.pos;
        if (starved && inside_frame_) return damaged("ends in the middle of a zstd frame");
    }
}

Result<std::size_t> LayerReader::read(std::span<std::byte> into) {
    std::size_t have = 0;
    while (have < into.size()) {
        CONSIGN_TRY(count, take(into.subspan(have)));
        if (count == 0) break;
        if (count > budget_)
            return fail(Code::too_large,
                        std::format("'{}' unpacks to more bytes than are allowed", file_.native()));
        budget_ -= count;
        have += count;
    }
    return have;
}

} // namespace consign::artifact
