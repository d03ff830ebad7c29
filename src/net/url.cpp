#include "consign/net/url.hpp"
#include <boost/url/src.hpp>
#include <boost/url/url.hpp>

namespace consign::net {

namespace {
namespace urls = boost::urls;

std::uint16_t default_port(std::string_view scheme) { return scheme == "https" ? 443 : 80; }

std::string in_quotes(std::string_view text) { return "'" + std::string(text.substr(0, 200)) + "'"; }

std::string_view view(urls::string_view text) { return {text.data(), text.size()}; }

/// Boost 1.81 takes "10.0.0.1.nip.io" for the address 10.0.0.1 with a path behind it, and we would connect
/// there. Such a name gets a letter in front for the time of the parsing; `shield` says whether it has.
struct Shielded {
    std::string text;
    bool shield = false;
};
Shielded shielded(std::string_view text) {
    Shielded out{std::string(text)};
    const auto slashes = text.find("//");
    if (slashes == std::string_view::npos || (slashes > 0 && text[slashes - 1] != ':')) return out;
    const auto authority = text.substr(slashes + 2);
    const auto host = authority.substr(0, authority.find_first_of(":/?#"));
    out.shield = !host.empty() && host[0] >= '0' && host[0] <= '9' &&
                 host.find_first_not_of("0123456789.") != std::string_view::npos && !host.contains('@');
    if (out.shield) out.text.insert(slashes + 2, "x");
    return out;
}

Result<Url> split(const urls::url_view& parsed, std::string_view text, bool shield) {
    Url url;
    url.scheme = std::string(parsed.scheme());
    for (char& c : url.scheme)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (url.scheme != "http" && url.scheme != "https")
        return fail(Code::invalid_argument,
                    in_quotes(text) + " is not a URL we can use: it needs http:// or https:// in front");
    if (!parsed.has_authority() || parsed.encoded_host().empty())
        return fail(Code::invalid_argument, in_quotes(text) + " has no host",
                    "write it as " + url.scheme + "://HOST[:PORT]/");
    if (parsed.has_userinfo())
        return fail(Code::invalid_argument,
                    in_quotes(url.scheme + "://…@" + std::string(view(parsed.encoded_host()))) +
                        " carries a user name or password",
                    "credentials are given separately, not in the URL");
    url.host = std::string(view(parsed.encoded_host_address()).substr(shield ? 1 : 0));
    // The host goes into the Host header, the SNI and messages: only what a name or an address is made of.
    for (char& c : url.host) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const bool fits = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
                          c == '_' || (c == ':' && parsed.host_type() == urls::host_type::ipv6);
        if (!fits)
            return fail(Code::invalid_argument,
                        in_quotes(text) + " has a host that is neither a name nor an address");
    }
    if (parsed.has_port() && !parsed.port().empty()) {
        url.port = parsed.port_number();
        if (url.port == 0)
            return fail(Code::invalid_argument, in_quotes(text) + " has a port outside 1 to 65535");
    } else {
        url.port = default_port(url.scheme);
    }
    url.target = std::string(view(parsed.encoded_path()));
    if (!url.target.starts_with('/')) url.target.insert(0, 1, '/');
    if (parsed.has_query()) url.target += "?" + std::string(view(parsed.encoded_query()));
    return url;
}
} // namespace

Result<Url> Url::parse(std::string_view text) {
    if (text.find("://") == std::string_view::npos)
        return fail(Code::invalid_argument,
                    in_quotes(text) + " is not a URL: it needs http:// or https:// in front");
    const auto safe = shielded(text);
    const auto parsed = urls::parse_uri({safe.text.data(), safe.text.size()});
    if (!parsed) return fail(Code::invalid_argument, in_quotes(text) + " is not a valid URL");
    return split(*parsed, text, safe.shield);
}

Result<Url> Url::resolve(std::string_view reference) const {
    const auto wanted = shielded(reference);
    const auto relative = urls::parse_uri_reference({wanted.text.data(), wanted.text.size()});
    if (!relative)
        return fail(Code::invalid_argument, in_quotes(reference) + " is not a valid URL reference");
    const auto safe = shielded(str());
    const std::string& own = safe.text;
    const auto base = urls::parse_uri({own.data(), own.size()});
    if (!base) return fail(Code::invalid_argument, in_quotes(own) + " is not a valid URL");
    urls::url out;
    if (!urls::resolve(*base, *relative, out))
        return fail(Code::invalid_argument,
                    in_quotes(reference) + " does not resolve against " + in_quotes(own));
    return split(out, reference, relative->has_authority() ? wanted.shield : safe.shield);
}

std::string Url::host_header() const {
    const std::string name = host.find(':') == std::string::npos ? host : "[" + host + "]";
    return port == default_port(scheme) ? name : name + ":" + std::to_string(port);
}

std::string Url::origin() const { return scheme + "://" + host_header(); }

} // namespace consign::net
