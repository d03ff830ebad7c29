// A request is authorised here, then asked upstream with our own login, and the answer is handed on: status,
// the headers that the distribution spec knows, and the body as it comes. Nothing of the caller's credential
// goes up, and nothing of ours comes down.
#include "consign/oci/registry_proxy.hpp"
#include "closures.hpp"
#include "errors.hpp"
#include "grant.hpp"
#include "registry_door.hpp"
#include "source.hpp"
#include "upload_seal.hpp"
#include <format>

namespace consign::oci {

namespace {

using Kind = RegistryPath::Kind;
using net::Async;
using net::ClientRequest;
using net::ClientResponse;
using net::Verb;

// Upstream may hash and fsync gigabytes before it answers the request that completes a blob.
constexpr auto kFinishDeadline = std::chrono::minutes(10);
constexpr std::size_t kListLimit = 4u << 20;
constexpr const char* kUp[] = {"Accept", "Content-Type", "Content-Range", "Range", "If-None-Match"};
constexpr const char* kDown[] = {"Content-Type",  "Docker-Content-Digest", "ETag",
                                 "Accept-Ranges", "Content-Range",         "Range",
                                 "OCI-Subject",   "OCI-Filters-Applied",   "OCI-Chunk-Min-Length",
                                 "Retry-After"};

Subject subject_of(Kind kind) {
    switch (kind) {
    case Kind::manifest:
    case Kind::referrers:
        return Subject::manifest;
    case Kind::blob:
        return Subject::blob;
    case Kind::uploads:
    case Kind::upload:
        return Subject::upload;
    default:
        return Subject::name;
    }
}

} // namespace

struct RegistryProxy::Impl {
    /// One request on its way.
    struct Exchange {
        net::Request& request;
        RegistryPath path;
        Grant grant;
        std::string name; ///< of the repository, upstream
        std::string scope;

        Access access(Action action) const { return access_to(grant, path.repository, action); }
        bool reads() const { return request.verb == Verb::get || request.verb == Verb::head; }
    };
    using Answer = Async<Result<net::Response>>;

    Impl(RegistryAccount& account, Authorise may, RegistryServerOptions with, Secret<std::string> key)
        : upstream(account), closures(upstream), door(std::move(may), with), options(std::move(with)),
          seal(std::move(key)) {}

    Async<net::Response> answer(net::Request& request);
    Answer dispatch(Exchange& exchange);
    Answer read(Exchange& exchange);
    Answer list(Exchange& exchange);
    Answer change(Exchange& exchange);
    Answer put_manifest(Exchange& exchange);
    Answer begin_upload(Exchange& exchange);
    Answer continue_upload(Exchange& exchange);

    Result<void> may(const Exchange& exchange, Action action) const;
    Async<Result<void>> may_read(Exchange& exchange);
    ClientRequest up(const Exchange& exchange, std::string target) const;
    Result<net::Response> down(const Exchange& exchange, ClientResponse response,
                               std::string location = {}) const;
    std::string upload_location(const Exchange& exchange, const net::Url& upstream_location) const;

    Upstream upstream;
    Closures closures;
    RegistryDoor door;
    RegistryServerOptions options;
    UploadSeal seal;
};

RegistryProxy::RegistryProxy(RegistryAccount& account, Authorise authorise, RegistryServerOptions options,
                             Secret<std::string> upload_key)
    : impl_(
          std::make_unique<Impl>(account, std::move(authorise), std::move(options), std::move(upload_key))) {}
RegistryProxy::~RegistryProxy() = default;

Async<net::Response> RegistryProxy::handle(net::Request& request) {
    auto response = co_await impl_->answer(request);
    response.headers.set("Docker-Distribution-Api-Version", "registry/2.0");
    co_return response;
}

Async<Result<ManifestBytes>> RegistryProxy::fetch_manifest(std::string repository, Digest digest) {
    co_return co_await oci::fetch_manifest(impl_->upstream, impl_->upstream.account().name_of(repository),
                                           std::move(digest));
}

Async<net::Response> RegistryProxy::Impl::answer(net::Request& request) {
    auto admitted = co_await door.admit(request);
    if (!admitted) co_return std::move(admitted).error();
    const auto& path = admitted->path;
    Exchange exchange{
        .request = request, .path = path, .grant = std::move(admitted->grant), .name = {}, .scope = {}};
    exchange.name = upstream.account().name_of(path.repository);
    exchange.scope = scope_of(path, request.verb, exchange.name);
    auto response = co_await dispatch(exchange);
    if (response) co_return std::move(*response);
    if (response.error().code == Code::unauthenticated) co_return door.challenge(request, path, response.error());
    co_return error_response(response.error(), subject_of(path.kind));
}

Result<void> RegistryProxy::Impl::may(const Exchange& exchange, Action action) const {
    if (exchange.access(action).any()) return {};
    constexpr std::string_view kNames[] = {"pull", "push", "delete"};
    // Answered with a challenge where another token could: the client asks for more.
    const auto& more = exchange.grant.obtainable;
    const bool could = more && access_to(*more, exchange.path.repository, action).whole;
    return fail(could ? Code::unauthenticated : Code::permission_denied,
                std::format("the credential does not allow {} on repository {}",
                            kNames[static_cast<std::size_t>(action)], exchange.path.repository));
}

/// Whether the manifest or blob that is asked for is in what the grant covers. What is not there is not told
/// apart from what is not the caller's.
Async<Result<void>> RegistryProxy::Impl::may_read(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::pull));
    const auto access = exchange.access(Action::pull);
    if (access.whole) co_return Result<void>{};
    const auto digest = Digest::parse(exchange.path.reference);
    // A tag may move to something that the credential was not given for.
    if (!digest) co_return fail(Code::permission_denied, "the credential does not allow pull by tag");
    for (const auto& root : access.roots) {
        CONSIGN_CO_TRY(members, co_await closures.of(exchange.name, root));
        const auto& among = exchange.path.kind == Kind::manifest ? members->manifests : members->blobs;
        if (among.contains(*digest)) co_return Result<void>{};
    }
    co_return fail(Code::not_found, "repository " + exchange.path.repository + " has no " + digest->str());
}

RegistryProxy::Impl::Answer RegistryProxy::Impl::dispatch(Exchange& exchange) {
    const auto verb = exchange.request.verb;
    const auto kind = exchange.path.kind;
    const bool reads = exchange.reads();
    Answer (Impl::*method)(Exchange&) = nullptr;
    if (kind == Kind::base && reads) co_return net::Response::json(200, "{}");
    if (options.read_only && !reads) co_return fail(Code::unsupported, "this registry is read-only");
    if ((kind == Kind::blob || kind == Kind::manifest) && reads)
        method = &Impl::read;
    else if (kind == Kind::manifest && verb == Verb::put)
        method = &Impl::put_manifest;
    else if ((kind == Kind::manifest || kind == Kind::blob) && verb == Verb::delete_)
        method = &Impl::change;
    else if (kind == Kind::uploads && verb == Verb::post)
        method = &Impl::begin_upload;
    else if (kind == Kind::upload)
        method = &Impl::continue_upload;
    else if ((kind == Kind::tags || kind == Kind::referrers) && verb == Verb::get)
        method = &Impl::list;
    if (!method)
        co_return fail(Code::unsupported,
                       std::string(net::name_of(verb)) + " does not go with " +
                           exchange.request.path.substr(0, 300) + " here",
                       kind == Kind::catalog ? "ask the registry behind it" : "");
    co_return co_await (this->*method)(exchange);
}

ClientRequest RegistryProxy::Impl::up(const Exchange& exchange, std::string target) const {
    auto out = upstream.request(exchange.request.verb, std::move(target));
    for (const char* name : kUp)
        for (const auto value : exchange.request.headers.all(name)) out.headers.add(name, std::string(value));
    return out;
}

Result<net::Response> RegistryProxy::Impl::down(const Exchange& exchange, ClientResponse response,
                                                std::string location) const {
    if (response.status == 401 || response.status == 403)
        return fail(Code::unavailable,
                    std::format("{} refuses our own login: it answered {}", upstream.account().describe(),
                                response.status),
                    "tell whoever runs this server");
    net::Response out;
    out.status = response.status;
    for (const char* name : kDown)
        if (const auto value = response.headers.get(name); !value.empty())
            out.headers.set(name, std::string(value));
    if (!location.empty()) out.headers.set("Location", std::move(location));
    if (exchange.request.verb == Verb::head) {
        if (response.content_length)
            out.headers.set("Content-Length", std::to_string(*response.content_length));
    } else if (response.body) {
        out.body = net::StreamBody{.source = std::move(response.body), .size = response.content_length};
    }
    return out;
}

RegistryProxy::Impl::Answer RegistryProxy::Impl::read(Exchange& exchange) {
    CONSIGN_CO_CHECK(co_await may_read(exchange));
    const char* what = exchange.path.kind == Kind::blob ? "/blobs/" : "/manifests/";
    if (exchange.path.kind == Kind::blob) CONSIGN_CO_CHECK(Digest::parse(exchange.path.reference));
    if (exchange.path.kind == Kind::manifest) CONSIGN_CO_CHECK(TagOrDigest::parse(exchange.path.reference));
    auto request = up(exchange, "/v2/" + exchange.name + what + exchange.path.reference);
    // Our own registry sends what it has to whoever names no types; some know only the oldest one then.
    if (exchange.path.kind == Kind::manifest && !request.headers.has("Accept"))
        request.headers.set("Accept", manifest_types());
    CONSIGN_CO_TRY(response, co_await upstream.send(std::move(request), exchange.name, exchange.scope));
    // Upstream may have answered from a storage service, which knows nothing of digests.
    if (response.ok() && exchange.path.kind == Kind::blob)
        response.headers.set("Docker-Content-Digest", exchange.path.reference);
    co_return down(exchange, std::move(response));
}

/// Tags and referrers.
RegistryProxy::Impl::Answer RegistryProxy::Impl::list(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::pull));
    const bool tags = exchange.path.kind == Kind::tags;
    if (!exchange.access(Action::pull).whole) {
        if (tags) co_return fail(Code::permission_denied, "the credential does not allow listing tags");
        // A closure does not reach up to those that refer to it.
        net::Response none;
        none.headers.set("Content-Type", std::string(media::kImageIndex));
        none.body = json::dump(
            {{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", json::Value::array()}});
        co_return none;
    }
    if (!tags) CONSIGN_CO_CHECK(Digest::parse(exchange.path.reference));
    const auto own = "/v2/" + exchange.path.repository;
    const auto theirs = "/v2/" + exchange.name;
    auto target = theirs + (tags ? std::string("/tags/list") : "/referrers/" + exchange.path.reference);
    std::string query;
    for (const auto& [name, value] : exchange.request.query.items())
        query += (query.empty() ? "?" : "&") + net::percent_encode(name) + "=" + net::percent_encode(value);
    auto request = up(exchange, target + query);
    CONSIGN_CO_TRY(response, co_await upstream.send(std::move(request), exchange.name, exchange.scope));
    const auto ok = response.ok();
    auto link = std::string(response.headers.get("Link"));
    const auto source = std::shared_ptr<net::Source>(std::move(response.body));
    CONSIGN_CO_TRY(text, co_await net::read_all(*source, kListLimit));
    CONSIGN_CO_TRY(out, down(exchange, std::move(response)));
    // The next page is here, whatever upstream calls it.
    if (const auto at = link.find(theirs + "/"); ok && at != std::string::npos) {
        link.replace(at, theirs.size(), own);
        const auto open = link.find('<');
        if (open != std::string::npos && open < at)
            link.erase(open + 1, at - open - 1); // an absolute URL's origin
        out.headers.set("Link", std::move(link));
    }
    if (auto parsed = json::parse(text); ok && tags && parsed && parsed->is_object()) {
        (*parsed)["name"] = exchange.path.repository;
        text = json::dump(*parsed);
    }
    out.body = std::move(text);
    co_return std::move(out);
}

/// Deleting a manifest, a tag or a blob.
RegistryProxy::Impl::Answer RegistryProxy::Impl::change(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::delete_));
    CONSIGN_CO_CHECK(TagOrDigest::parse(exchange.path.reference));
    const char* what = exchange.path.kind == Kind::blob ? "/blobs/" : "/manifests/";
    auto request = up(exchange, "/v2/" + exchange.name + what + exchange.path.reference);
    CONSIGN_CO_TRY(response, co_await upstream.send(std::move(request), exchange.name, exchange.scope));
    co_return down(exchange, std::move(response));
}

RegistryProxy::Impl::Answer RegistryProxy::Impl::put_manifest(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::push));
    CONSIGN_CO_CHECK(TagOrDigest::parse(exchange.path.reference));
    auto request = up(exchange, "/v2/" + exchange.name + "/manifests/" + exchange.path.reference);
    CONSIGN_CO_TRY(body, co_await net::read_all(*exchange.request.body, kManifestLimitBytes));
    CONSIGN_CO_CHECK(co_await recheck(exchange.grant));
    request.body = std::move(body);
    request.max_redirects = 0;
    CONSIGN_CO_TRY(response, co_await upstream.push(std::move(request), exchange.name, exchange.scope));
    std::string location;
    if (const auto digest = Digest::parse(response.headers.get("Docker-Content-Digest"));
        response.ok() && digest)
        location = "/v2/" + exchange.path.repository + "/manifests/" + digest->str();
    co_return down(exchange, std::move(response), std::move(location));
}

// Uploads.

std::string RegistryProxy::Impl::upload_location(const Exchange& exchange, const net::Url& where) const {
    return "/v2/" + exchange.path.repository + "/blobs/uploads/" +
           seal.close(exchange.path.repository, where.str());
}

RegistryProxy::Impl::Answer RegistryProxy::Impl::begin_upload(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::push));
    const auto& query = exchange.request.query;
    auto target = "/v2/" + exchange.name + "/blobs/uploads/";
    auto scope = exchange.scope;
    const auto mount = Digest::parse(query.get_or("mount", ""));
    const std::string from(query.get_or("from", ""));
    // From elsewhere only what the caller may read there as a whole; otherwise it is uploaded.
    if (mount && is_repository_name(from) && access_to(exchange.grant, from, Action::pull).whole) {
        const auto source = upstream.account().name_of(from);
        target += "?mount=" + net::percent_encode(mount->str()) + "&from=" + net::percent_encode(source);
        scope += " repository:" + source + ":pull";
    }
    auto post = upstream.request(Verb::post, target);
    CONSIGN_CO_TRY(response, co_await upstream.push(std::move(post), exchange.name, scope));
    if (response.status == 201 && mount)
        co_return down(exchange, std::move(response),
                       "/v2/" + exchange.path.repository + "/blobs/" + mount->str());
    if (response.status != 202) co_return down(exchange, std::move(response));
    CONSIGN_CO_TRY(where, response.url.resolve(response.headers.get("Location")));
    const auto whole = query.get("digest");
    if (!whole) co_return down(exchange, std::move(response), upload_location(exchange, where));

    // Blob and all in one request: many registries do not know that, but every one knows a PUT.
    const auto digest = Digest::parse(*whole);
    if (!digest) co_return std::unexpected(digest.error());
    (void)co_await net::read_all(*response.body, kListLimit);
    exchange.path.kind = Kind::upload;
    exchange.path.reference = seal.close(exchange.path.repository, where.str());
    exchange.request.verb = Verb::put;
    co_return co_await continue_upload(exchange);
}

RegistryProxy::Impl::Answer RegistryProxy::Impl::continue_upload(Exchange& exchange) {
    CONSIGN_CO_CHECK(may(exchange, Action::push));
    auto& incoming = exchange.request;
    CONSIGN_CO_TRY(where, seal.open(exchange.path.repository, exchange.path.reference));
    CONSIGN_CO_TRY(url, net::Url::parse(where));
    ClientRequest request{.verb = incoming.verb, .url = url};
    for (const char* name : {"Content-Range", "Content-Type"})
        if (const auto value = incoming.headers.get(name); !value.empty())
            request.headers.set(name, std::string(value));
    request.response_deadline = kFinishDeadline;
    request.max_redirects = 0;
    std::optional<Digest> finishes;
    if (incoming.verb == Verb::put) {
        CONSIGN_CO_TRY(digest, Digest::parse(incoming.query.get_or("digest", "")));
        finishes = digest;
        request.url.target +=
            (url.target.contains('?') ? "&digest=" : "?digest=") + net::percent_encode(finishes->str());
    }
    const bool has_body =
        (incoming.verb == Verb::put || incoming.verb == Verb::patch) && incoming.content_length != 0;
    if (has_body)
        request.body = net::StreamBody{.source = std::make_shared<BorrowedSource>(*incoming.body),
                                       .size = incoming.content_length};
    auto sent = has_body ? co_await upstream.send_once(std::move(request), exchange.name, exchange.scope)
                         : co_await upstream.send(std::move(request), exchange.name, exchange.scope);
    if (!sent) co_return std::unexpected(std::move(sent).error());
    auto& response = *sent;
    std::string location;
    if (response.status == 201 && finishes) {
        location = "/v2/" + exchange.path.repository + "/blobs/" + finishes->str();
        response.headers.set("Docker-Content-Digest", finishes->str());
    } else if (const auto next = response.headers.get("Location"); !next.empty()) {
        CONSIGN_CO_TRY(resolved, response.url.resolve(next));
        location = upload_location(exchange, resolved);
    } else if (response.status == 204 || response.status == 416) {
        location = upload_location(exchange, url);
    }
    co_return down(exchange, std::move(response), std::move(location));
}

} // namespace consign::oci
