#pragma once
// Plain HTTP types; no Beast here or in anything that includes this.
#include "consign/base/bytes.hpp"
#include "consign/base/file.hpp"
#include "consign/net/async.hpp"
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace consign::net {

enum class Verb { get, head, post, put, patch, delete_ };
std::string_view name_of(Verb verb);
std::optional<Verb> verb_from(std::string_view name);

/// Header fields in order; names compare without case.
class Headers {
  public:
    std::string_view get(std::string_view name) const; ///< the first value, or ""
    bool has(std::string_view name) const;
    std::vector<std::string_view> all(std::string_view name) const;
    void set(std::string_view name, std::string value); ///< replaces
    void add(std::string_view name, std::string value);
    const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }

  private:
    std::vector<std::pair<std::string, std::string>> items_;
};

/// Where bytes come from, piece by piece. 0 means the end. One read at a time.
class Source {
  public:
    virtual ~Source() = default;
    virtual Async<Result<std::size_t>> read(std::span<std::byte> into) = 0;
};

/// Reads all of it; too_large past `limit_bytes`.
Async<Result<std::string>> read_all(Source& source, std::size_t limit_bytes);

/// A range of a file, sent with sendfile where the connection is plain.
struct FileBody {
    std::shared_ptr<const Fd> file;
    std::uint64_t offset = 0;
    std::uint64_t size = 0;
};
/// A body that is produced while it is sent; with no length it goes chunked.
struct StreamBody {
    std::shared_ptr<Source> source;
    std::optional<std::uint64_t> size;
    std::size_t piece_bytes = 64 * 1024; ///< of the buffer that a read fills, held until the body's end
};
using Body = std::variant<std::string, FileBody, StreamBody>;

/// Decoded "a=1&b=2" (also application/x-www-form-urlencoded bodies), in order.
class Query {
  public:
    static Query parse(std::string_view text);
    std::optional<std::string_view> get(std::string_view name) const;
    std::string get_or(std::string_view name, std::string_view otherwise) const;
    const std::vector<std::pair<std::string, std::string>>& items() const { return items_; }

  private:
    std::vector<std::pair<std::string, std::string>> items_;
};

std::string percent_encode(std::string_view text); ///< everything but unreserved (RFC 3986 section 2.3)
std::optional<std::string> percent_decode(std::string_view text);

} // namespace consign::net
