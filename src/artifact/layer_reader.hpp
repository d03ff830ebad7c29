#pragma once
// A layer file as the bytes of its tar: zstd (any number of frames, skippable ones included) or plain, told
// apart by their first bytes.
#include "consign/base/file.hpp"
#include <memory>
#include <span>

struct ZSTD_DCtx_s;

namespace consign::artifact {

class LayerReader {
  public:
    static Result<LayerReader> open(const std::filesystem::path& file, std::uint64_t max_tar_bytes);

    /// Fills as much of `into` as there is; less only at the end. corrupt: not zstd, cut short, or a checksum
    /// is wrong. too_large: more than max_tar_bytes came out, however small the file is.
    Result<std::size_t> read(std::span<std::byte> into);

  private:
    struct FreeContext {
        void operator()(ZSTD_DCtx_s* context) const;
    };
    LayerReader() = default;
    Result<void> refill();
    Result<std::size_t> take(std::span<std::byte> into);
    std::unexpected<Error> damaged(std::string_view why) const;

    std::filesystem::path file_;
    Fd fd_;
    std::unique_ptr<ZSTD_DCtx_s, FreeContext> context_; ///< null: the file is a plain tar
    Bytes in_;
    std::span<const std::byte> left_; ///< of in_, not yet decoded
    bool at_end_ = false;             ///< of the file
    bool inside_frame_ = false;
    std::uint64_t budget_ = 0; ///< tar bytes that may still come out
};

} // namespace consign::artifact
