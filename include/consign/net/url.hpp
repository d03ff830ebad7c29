#pragma once
#include "consign/base/error.hpp"
#include <cstdint>
#include <string>

namespace consign::net {

/// An absolute http or https URL, split (RFC 3986). `target` is path and query, at least "/".
struct Url {
    std::string scheme; ///< "http" or "https"
    std::string host;   ///< name or address, without brackets
    std::uint16_t port = 0;
    std::string target;

    /// invalid_argument, saying what is missing ("needs http:// or https:// in front").
    static Result<Url> parse(std::string_view text);
    /// RFC 3986 section 5: `reference` may be absolute, or relative to this.
    Result<Url> resolve(std::string_view reference) const;
    std::string origin() const; ///< "https://host:port", the default port left out
    std::string str() const { return origin() + target; }
    std::string host_header() const;
    bool tls() const { return scheme == "https"; }
};

} // namespace consign::net
