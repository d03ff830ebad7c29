#pragma once
// A tar as a sequence of checked entries. Strict: what it does not know, it refuses by name.
#include "artifact/layer_reader.hpp"
#include "artifact/tar_format.hpp"

namespace consign::artifact {

class TarReader {
  public:
    explicit TarReader(LayerReader input) : input_(std::move(input)) {}

    /// The next entry, its name and link target checked (entry_name.hpp); nullopt after the last one, when
    /// nothing but zeros followed. What was left of the entry before is skipped. corrupt, unsupported,
    /// too_large.
    Result<std::optional<TarEntry>> next();
    /// The next piece of the current file's content, empty at its end. Valid until the next call.
    Result<ByteView> content();

  private:
    Result<bool> read_block(TarBlock& block);
    Result<std::string> read_text(const TarHeader& header);
    Result<void> skip_rest();
    Result<void> expect_end();
    Result<TarEntry> checked(TarHeader header) const;

    LayerReader input_;
    Bytes buffer_ = Bytes(256u << 10);
    std::uint64_t left_ = 0;  ///< content bytes of the current entry not yet read
    std::size_t padding_ = 0; ///< zeros after them
};

} // namespace consign::artifact
