#include "consign/oci/reference.hpp"
#include <algorithm>
#include <charconv>

namespace consign::oci {

namespace {

constexpr std::size_t kNameLimit = 255, kTagLimit = 128;

bool is_lower_alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_alnum(char c) { return is_lower_alnum(c) || (c >= 'A' && c <= 'Z'); }

/// [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*
bool is_component(std::string_view text) {
    if (text.empty() || !is_lower_alnum(text.front()) || !is_lower_alnum(text.back())) return false;
    for (std::size_t i = 0; i < text.size();) {
        if (is_lower_alnum(text[i])) {
            ++i;
            continue;
        }
        const char separator = text[i];
        std::size_t run = 0;
        while (i + run < text.size() && text[i + run] == separator) ++run;
        const bool allowed =
            separator == '-' || (separator == '.' && run == 1) || (separator == '_' && run <= 2);
        if (!allowed || !is_lower_alnum(text[i + run]))
            return false; // the last character is one, so i + run is inside
        i += run;
    }
    return true;
}

bool is_port(std::string_view text) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    return error == std::errc() && end == text.data() + text.size() && value > 0 && value <= 65535;
}

/// "name[:port]" or "[v6][:port]".
bool is_registry(std::string_view text) {
    std::string_view host = text;
    if (text.starts_with('[')) {
        const auto close = text.find(']');
        if (close == std::string_view::npos) return false;
        host = text.substr(1, close - 1);
        const auto rest = text.substr(close + 1);
        if (!rest.empty() && (!rest.starts_with(':') || !is_port(rest.substr(1)))) return false;
        return !host.empty() &&
               std::ranges::all_of(host, [](char c) { return is_alnum(c) || c == ':' || c == '.'; });
    }
    if (const auto colon = text.find(':'); colon != std::string_view::npos) {
        host = text.substr(0, colon);
        if (!is_port(text.substr(colon + 1))) return false;
    }
    return !host.empty() && is_alnum(host.front()) && is_alnum(host.back()) &&
           std::ranges::all_of(host, [](char c) { return is_alnum(c) || c == '.' || c == '-'; });
}

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail(Code::invalid_argument,
                "'" + std::string(text.substr(0, 300)) + "' is not an image reference: " + std::string(why),
                "write it as registry.example/repository:tag or registry.example/repository@sha256:…");
}

} // namespace

bool is_repository_name(std::string_view name) {
    if (name.empty() || name.size() > kNameLimit) return false;
    for (;;) {
        const auto slash = name.find('/');
        if (!is_component(name.substr(0, slash))) return false;
        if (slash == std::string_view::npos) return true;
        name.remove_prefix(slash + 1);
    }
}

bool is_tag(std::string_view tag) {
    if (tag.empty() || tag.size() > kTagLimit || !(is_alnum(tag.front()) || tag.front() == '_')) return false;
    return std::ranges::all_of(tag, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Result<Reference> parse_reference(std::string_view text) {
    Reference out;
    auto rest = text;
    if (const auto at = rest.find('@'); at != std::string_view::npos) {
        auto digest = Digest::parse(rest.substr(at + 1));
        if (!digest) return bad(text, digest.error().message);
        out.digest = std::move(*digest);
        rest = rest.substr(0, at);
    }
    const auto slash = rest.find('/');
    if (slash == std::string_view::npos) return bad(text, "there is no '/' after the registry");
    const auto registry = rest.substr(0, slash);
    rest.remove_prefix(slash + 1);
    if (registry != "localhost" && registry.find_first_of(".:") == std::string_view::npos)
        return bad(text, "the part before the first '/' is no registry host (it has no '.' and no port)");
    if (!is_registry(registry)) return bad(text, "'" + std::string(registry) + "' is not a host");
    if (const auto colon = rest.find(':'); colon != std::string_view::npos) {
        const auto tag = rest.substr(colon + 1);
        if (!is_tag(tag)) return bad(text, "'" + std::string(tag) + "' is not a tag");
        out.tag = std::string(tag);
        rest = rest.substr(0, colon);
    }
    if (!is_repository_name(rest)) return bad(text, "'" + std::string(rest) + "' is not a repository name");
    out.registry = std::string(registry);
    out.repository = std::string(rest);
    return out;
}

std::string to_string(const Reference& reference) {
    auto out = reference.registry + "/" + reference.repository;
    if (reference.tag) out += ":" + *reference.tag;
    if (reference.digest) out += "@" + reference.digest->str();
    return out;
}

Result<TagOrDigest> TagOrDigest::parse(std::string_view text) {
    if (text.contains(':')) {
        CONSIGN_TRY(digest, Digest::parse(text));
        return TagOrDigest{.tag = {}, .digest = std::move(digest)};
    }
    if (!is_tag(text))
        return fail(Code::invalid_argument,
                    "'" + std::string(text.substr(0, 200)) + "' is neither a tag nor a digest");
    return TagOrDigest{.tag = std::string(text), .digest = std::nullopt};
}

} // namespace consign::oci
