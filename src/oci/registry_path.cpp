#include "registry_path.hpp"
#include "consign/net/http.hpp"

namespace consign::oci {

namespace {

using Kind = RegistryPath::Kind;

/// Cuts `suffix` off `text` when something is left in front of it.
bool cut(std::string_view& text, std::string_view suffix) {
    if (text.size() <= suffix.size() || !text.ends_with(suffix)) return false;
    text.remove_suffix(suffix.size());
    return true;
}

} // namespace

std::optional<RegistryPath> RegistryPath::parse(std::string_view path) {
    if (!path.starts_with("/v2")) return std::nullopt;
    path.remove_prefix(3);
    if (path.empty() || path == "/") return RegistryPath{};
    if (!path.starts_with('/')) return std::nullopt;
    path.remove_prefix(1);
    if (path == "_catalog") return RegistryPath{.kind = Kind::catalog, .repository = {}, .reference = {}};

    const auto make = [](Kind kind, std::string_view repository,
                         std::string_view reference = {}) -> std::optional<RegistryPath> {
        auto decoded = net::percent_decode(reference);
        if (!decoded || repository.empty()) return std::nullopt;
        return RegistryPath{
            .kind = kind, .repository = std::string(repository), .reference = std::move(*decoded)};
    };
    if (cut(path, "/tags/list")) return make(Kind::tags, path);
    if (cut(path, "/blobs/uploads/") || cut(path, "/blobs/uploads")) return make(Kind::uploads, path);

    const auto slash = path.rfind('/');
    if (slash == std::string_view::npos || slash + 1 == path.size()) return std::nullopt;
    const auto last = path.substr(slash + 1);
    path = path.substr(0, slash);
    if (cut(path, "/blobs/uploads")) return make(Kind::upload, path, last);
    // "upl%6fads" must not name a blob that no path written plainly could.
    if (cut(path, "/blobs"))
        return net::percent_decode(last) == "uploads" ? std::nullopt : make(Kind::blob, path, last);
    if (cut(path, "/manifests")) return make(Kind::manifest, path, last);
    if (cut(path, "/referrers")) return make(Kind::referrers, path, last);
    return std::nullopt;
}

std::string to_string(const RegistryPath& path) {
    const auto in = "/v2/" + path.repository;
    const auto reference = net::percent_encode(path.reference);
    switch (path.kind) {
    case Kind::base:
        return "/v2/";
    case Kind::catalog:
        return "/v2/_catalog";
    case Kind::tags:
        return in + "/tags/list";
    case Kind::manifest:
        return in + "/manifests/" + reference;
    case Kind::blob:
        return in + "/blobs/" + reference;
    case Kind::uploads:
        return in + "/blobs/uploads/";
    case Kind::upload:
        return in + "/blobs/uploads/" + reference;
    case Kind::referrers:
        return in + "/referrers/" + reference;
    }
    return {};
}

} // namespace consign::oci
