#pragma once
// The tar's bytes in, the compressed layer in a file out. How a layer is cut into zstd frames is known here
// and nowhere else: the packer above it sees one stream.
#include "consign/artifact/pack.hpp"
#include "consign/base/file.hpp"
#include <memory>

struct ZSTD_CCtx_s;

namespace consign::artifact {

class LayerWriter {
  public:
    /// Truncates `file`. invalid_argument for a level that zstd does not have.
    static Result<LayerWriter> create(const std::filesystem::path& file, int zstd_level);

    Result<void> write(ByteView tar_bytes);
    Result<void> write(std::string_view tar_bytes) { return write(as_bytes(tar_bytes)); }
    /// Once, after the last write. `entries` stays 0.
    Result<PackedLayer> finish();
    int fd() const { return fd_.get(); }

  private:
    struct FreeContext {
        void operator()(ZSTD_CCtx_s* context) const;
    };
    LayerWriter() = default;
    Result<void> compress(bool last);

    std::filesystem::path file_;
    Fd fd_;
    std::unique_ptr<ZSTD_CCtx_s, FreeContext> context_;
    Bytes pending_;
    Bytes out_;
    Hasher tar_hash_, layer_hash_;
    std::uint64_t tar_size_ = 0, layer_size_ = 0;
};

} // namespace consign::artifact
