#include "artifact/layer_writer.hpp"
#include <algorithm>
#include <fcntl.h>
#include <format>
#include <zstd.h>

namespace consign::artifact {
namespace {

// The compressor is fed pieces of exactly this size, so that its output depends on the tar alone and not on
// how the tar came in.
constexpr std::size_t kPiece = 256u << 10;
// RFC 8878 section 3.1.1.1.2: every decoder should take 8 MiB. The levels from 20 on would use more.
constexpr int kWindowLog = 23;
constexpr int kFirstWideLevel = 20;

Result<void> set(ZSTD_CCtx* context, ZSTD_cParameter parameter, int value) {
    const auto result = ZSTD_CCtx_setParameter(context, parameter, value);
    if (ZSTD_isError(result)) return fail(Code::internal, std::format("zstd: {}", ZSTD_getErrorName(result)));
    return {};
}

} // namespace

void LayerWriter::FreeContext::operator()(ZSTD_CCtx_s* context) const { ZSTD_freeCCtx(context); }

Result<LayerWriter> LayerWriter::create(const std::filesystem::path& file, int zstd_level) {
    if (zstd_level < 1 || zstd_level > ZSTD_maxCLevel())
        return fail(Code::invalid_argument, std::format("{} is not a zstd level", zstd_level),
                    std::format("give one from 1 to {}", ZSTD_maxCLevel()));
    LayerWriter writer;
    writer.file_ = file;
    writer.context_.reset(ZSTD_createCCtx());
    if (!writer.context_) return fail(Code::internal, "zstd: out of memory");
    CONSIGN_CHECK(set(writer.context_.get(), ZSTD_c_compressionLevel, zstd_level));
    CONSIGN_CHECK(set(writer.context_.get(), ZSTD_c_checksumFlag, 1));
    if (zstd_level >= kFirstWideLevel)
        CONSIGN_CHECK(set(writer.context_.get(), ZSTD_c_windowLog, kWindowLog));
    CONSIGN_TRY(fd, open_file(file, O_WRONLY | O_CREAT | O_TRUNC));
    writer.fd_ = std::move(fd);
    writer.pending_.reserve(kPiece);
    writer.out_.resize(ZSTD_CStreamOutSize());
    return writer;
}

Result<void> LayerWriter::write(ByteView bytes) {
    tar_hash_.update(bytes);
    tar_size_ += bytes.size();
    while (!bytes.empty()) {
        const auto part = bytes.first(std::min(bytes.size(), kPiece - pending_.size()));
        pending_.insert(pending_.end(), part.begin(), part.end());
        bytes = bytes.subspan(part.size());
        if (pending_.size() == kPiece) CONSIGN_CHECK(compress(false));
    }
    return {};
}

Result<void> LayerWriter::compress(bool last) {
    ZSTD_inBuffer in{pending_.data(), pending_.size(), 0};
    for (bool done = false; !done;) {
        ZSTD_outBuffer out{out_.data(), out_.size(), 0};
        const auto left =
            ZSTD_compressStream2(context_.get(), &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left)) return fail(Code::internal, std::format("zstd: {}", ZSTD_getErrorName(left)));
        const auto made = ByteView(out_).first(out.pos);
        layer_hash_.update(made);
        layer_size_ += made.size();
        CONSIGN_CHECK(write_all(fd_.get(), made, file_));
        done = last ? left == 0 : in.pos == in.size;
    }
    pending_.clear();
    return {};
}

Result<PackedLayer> LayerWriter::finish() {
    CONSIGN_CHECK(compress(true));
    fd_.reset();
    return PackedLayer{.file = file_,
                       .digest = layer_hash_.finish(),
                       .size = layer_size_,
                       .tar_digest = tar_hash_.finish(),
                       .tar_size = tar_size_,
                       .entries = 0};
}

} // namespace consign::artifact
