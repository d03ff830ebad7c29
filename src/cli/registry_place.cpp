#include "cli/registry_place.hpp"
#include "consign/oci/credentials.hpp"
#include "consign/oci/layout.hpp"
#include "consign/protocol/user_api.hpp"
#include "consign/protocol/vendor_registry.hpp"
#include <algorithm>

namespace consign::cli {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDockerHub = "docker.io", kDockerHubHost = "registry-1.docker.io";

std::unexpected<Error> bad(std::string_view text, std::string_view why) {
    return fail(Code::invalid_argument, "'" + std::string(text) + "': " + std::string(why),
                "write HOST/REPO:TAG, HOST/REPO@sha256:…, ims:REPO:TAG, oci:DIR:TAG or oci-archive:FILE:TAG");
}

bool take(std::string_view& text, std::string_view prefix) {
    if (!text.starts_with(prefix)) return false;
    text.remove_prefix(prefix.size());
    return true;
}

/// "PATH[:TAG]" or "PATH@DIGEST".
Result<Place> local_place(std::string_view text, Place::Kind kind) {
    Place place{.kind = kind};
    auto path = text;
    if (const auto at = text.rfind('@'); at != std::string_view::npos) {
        if (auto digest = Digest::parse(text.substr(at + 1))) {
            place.which.digest = std::move(*digest);
            path = text.substr(0, at);
        }
    } else if (const auto colon = text.rfind(':'); colon != std::string_view::npos) {
        const auto tag = text.substr(colon + 1);
        if (!tag.contains('/')) { // else the colon is the path's
            if (!oci::is_tag(tag)) return bad(text, "'" + std::string(tag) + "' is not a tag");
            place.which.tag = std::string(tag);
            path = text.substr(0, colon);
        }
    }
    if (path.empty()) return bad(text, "there is no path");
    place.path = path;
    return place;
}

Result<Place> remote_place(std::string_view text, std::string_view whole) {
    auto reference = oci::parse_reference(text);
    if (!reference) return bad(whole, reference.error().message);
    Place place{.registry = reference->registry, .repository = reference->repository};
    if (reference->digest)
        place.which.digest = reference->digest;
    else
        place.which.tag = reference->tag.value_or("");
    return place;
}

/// docker.io is a name that no registry answers to, and its own images have a name that is not written.
void resolve_docker_hub(Place& place) {
    if (place.registry != kDockerHub) return;
    place.registry = kDockerHubHost;
    if (!place.repository.empty() && !place.repository.contains('/'))
        place.repository = "library/" + place.repository;
}

/// The CA that docker or podman has for the registry, if it has one.
std::string installed_ca(const std::string& host) {
    const char* home = std::getenv("HOME");
    const fs::path directories[] = {fs::path(home ? home : "/nonexistent") / ".config/containers/certs.d",
                                    "/etc/containers/certs.d", "/etc/docker/certs.d"};
    for (const auto& directory : directories) {
        std::error_code ignored;
        std::vector<fs::path> found;
        for (const auto& entry : fs::directory_iterator(directory / host, ignored))
            if (entry.path().extension() == ".crt") found.push_back(entry.path());
        if (!found.empty()) return std::ranges::min(found).string();
    }
    return {};
}

net::Async<Result<bool>> drop(std::map<std::string, std::unique_ptr<net::Client>>* clients) {
    clients->clear();
    co_return true;
}

} // namespace

Result<Place> parse_place(std::string_view text) {
    auto rest = text;
    Result<Place> place;
    if (take(rest, "oci:")) {
        place = local_place(rest, Place::Kind::layout);
    } else if (take(rest, "oci-archive:")) {
        place = local_place(rest, Place::Kind::archive);
    } else if (take(rest, "ims:")) {
        place = remote_place("ims.invalid/" + std::string(rest), text);
        if (place) place->registry.clear();
        if (place) place->of_ims = true;
    } else {
        std::string scheme;
        if (take(rest, "http://"))
            scheme = "http";
        else if (take(rest, "https://"))
            scheme = "https";
        else
            take(rest, "docker://");
        if (const auto colon = rest.find(':');
            colon != std::string_view::npos &&
            (rest.substr(0, colon) == "dir" || rest.substr(0, colon) == "docker-archive" ||
             rest.substr(0, colon) == "containers-storage"))
            return bad(text, "consign does not copy to or from " + std::string(rest.substr(0, colon)));
        place = remote_place(rest, text);
        if (place) place->scheme = scheme;
        if (place) resolve_docker_hub(*place);
    }
    if (place) place->text = std::string(text);
    return place;
}

Result<Place> parse_registry(std::string_view text) {
    Place place{.text = std::string(text)};
    if (text.empty() || text == "ims") {
        place.of_ims = true;
        return place;
    }
    auto rest = text;
    for (const std::string_view scheme : {"http", "https"})
        if (take(rest, std::string(scheme) + "://")) place.scheme = scheme;
    take(rest, "docker://");
    while (rest.ends_with('/')) rest.remove_suffix(1);
    const auto url = net::Url::parse("https://" + std::string(rest));
    if (!url || rest.contains('/') || rest.empty())
        return fail(Code::invalid_argument, "'" + std::string(text) + "' is not a registry",
                    "write its host, and the port where it is not 443: registry.example:5000");
    place.registry = std::string(rest);
    resolve_docker_hub(place);
    return place;
}

std::vector<OptionSpec> reach_options(const std::string& prefix, ReachFlags& flags) {
    const std::string whose = prefix == "src-" ? " of the source" : prefix == "dest-" ? " of the target" : "";
    return {toggle("--" + prefix + "plain-http", "no TLS to the registry" + whose, flags.plain_http),
            option("--" + prefix + (prefix.empty() ? "registry-ca" : "ca"), "FILE",
                   "PEM of the CA that signed the certificate of the registry" + whose, flags.ca_file)};
}

RegistryAccess::RegistryAccess(Context& context, std::size_t connections)
    : context_(context), connections_(std::max<std::size_t>(connections, 8)) {}

// Clients belong to the I/O thread, and so does their end.
RegistryAccess::~RegistryAccess() { (void)io_.run(drop(&clients_)); }

bool RegistryAccess::is_ims(const std::string& host) const {
    const auto url = net::Url::parse(context_.flags().url);
    return url && url->host_header() == host;
}

net::Client& RegistryAccess::client(const std::string& ca_file) {
    auto& found = clients_[ca_file];
    if (!found)
        found = std::make_unique<net::Client>(
            io_.executor(), net::ClientOptions{.ca_file = ca_file, .idle_per_origin = connections_});
    return *found;
}

net::Client& RegistryAccess::client_for(const Place& place, const ReachFlags& reach,
                                        oci::RemoteOptions& with) {
    auto ca = reach.ca_file;
    if (ca.empty() && is_ims(place.registry)) ca = context_.flags().ca_file;
    if (ca.empty()) ca = installed_ca(place.registry);
    // That CA vouches for this registry, and not for the storage it may redirect to.
    if (!ca.empty()) with.elsewhere = &client("");
    return client(ca);
}

Error RegistryAccess::explain(Error error) const {
    if (error.code == Code::unavailable && any_tls_ && error.message.contains("cannot connect")) {
        const std::string plain =
            "a registry without TLS has to be named with http:// in front, or --plain-http";
        error.hint += (error.hint.empty() ? "" : "; ") + plain;
    }
    if (error.code == Code::unauthenticated && any_anonymous_)
        error.hint = "there is no credential for it: consign registry login";
    return error;
}

/// Where a place of the IMS is.
Result<void> RegistryAccess::find(Place& place) {
    if (!place.of_ims || !place.registry.empty()) return {};
    CONSIGN_TRY(status, context_.get<protocol::StatusView>("/v1/status"));
    CONSIGN_TRY(connection, context_.connect());
    CONSIGN_TRY(url, protocol::vendor_registry(status.registry, connection->api().base()));
    place.scheme = url.scheme;
    place.registry = url.host_header();
    return {};
}

Result<oci::RemoteOptions> RegistryAccess::options(const Place& place, const ReachFlags& reach) {
    std::string scheme = place.scheme;
    if (scheme.empty() && reach.plain_http) scheme = "http";
    if (scheme.empty() && is_ims(place.registry)) scheme = net::Url::parse(context_.flags().url)->scheme;
    if (scheme.empty()) scheme = "https";
    auto url = net::Url::parse(scheme + "://" + place.registry);
    if (!url) return bad(place.text, url.error().message);
    any_tls_ = any_tls_ || url->tls();
    oci::RemoteOptions out{.registry = std::move(*url)};
    return out;
}

Result<void> RegistryAccess::add_credential(const Place& place, bool only, oci::RemoteOptions& options) {
    if (place.of_ims || is_ims(place.registry)) {
        CONSIGN_TRY(token, context_.token());
        if (!token.empty()) {
            options.username = "token";
            options.password = token;
            return {};
        }
    }
    auto places = oci::credential_places(oci::process_environment());
    if (places.environment_registry.empty() && only) places.environment_registry = place.registry;
    CONSIGN_TRY(found, oci::find_credential(places, place.registry, place.repository));
    options.username = found.username;
    options.password = found.password;
    options.identity_token = found.identity_token;
    any_anonymous_ = any_anonymous_ || found.anonymous();
    return {};
}

Result<std::unique_ptr<oci::RemoteRegistry>> RegistryAccess::registry(Place place, const ReachFlags& reach) {
    CONSIGN_CHECK(find(place));
    CONSIGN_TRY(with, options(place, reach));
    CONSIGN_CHECK(add_credential(place, true, with));
    auto& reached = client_for(place, reach, with);
    return std::make_unique<oci::RemoteRegistry>(reached, std::move(with));
}

Result<std::unique_ptr<oci::RemoteRegistry>> RegistryAccess::registry_as(Place place, const ReachFlags& reach,
                                                                         std::string username,
                                                                         Secret<std::string> password) {
    CONSIGN_CHECK(find(place));
    CONSIGN_TRY(with, options(place, reach));
    with.username = std::move(username);
    with.password = std::move(password);
    auto& reached = client_for(place, reach, with);
    return std::make_unique<oci::RemoteRegistry>(reached, std::move(with));
}

Result<std::unique_ptr<oci::Repository>> RegistryAccess::open(Place place, const ReachFlags& reach,
                                                              bool only) {
    if (place.kind == Place::Kind::layout) return oci::open_layout(place.path, io_.blocking());
    if (place.kind == Place::Kind::archive) return oci::open_archive(place.path, io_.blocking());
    CONSIGN_CHECK(find(place));
    CONSIGN_TRY(with, options(place, reach));
    CONSIGN_CHECK(add_credential(place, only, with));
    auto& reached = client_for(place, reach, with);
    return oci::open_remote(reached, std::move(with), place.repository);
}

Result<std::unique_ptr<oci::ArchiveWriter>> RegistryAccess::create_archive(const Place& place) {
    return oci::ArchiveWriter::create(place.path, io_.blocking());
}

Result<std::string> RegistryAccess::host_of(Place place) {
    CONSIGN_CHECK(find(place));
    return place.registry;
}

} // namespace consign::cli
