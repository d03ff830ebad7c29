#pragma once
// Files and strings as the byte sources that a Repository reads from.
#include "consign/base/file.hpp"
#include "consign/net/http.hpp"

namespace consign::artifact {

/// Reads a file on the blocking pool, which must outlive it.
class FileSource final : public net::Source {
  public:
    FileSource(Fd file, net::BlockingPool& pool) : file_(std::move(file)), pool_(pool) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    Fd file_;
    net::BlockingPool& pool_;
};

class TextSource final : public net::Source {
  public:
    explicit TextSource(std::string text) : text_(std::move(text)) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override;

  private:
    std::string text_;
    std::size_t done_ = 0;
};

} // namespace consign::artifact
