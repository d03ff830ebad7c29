#include "server_impl.hpp"

namespace consign::oci {

namespace {

Error unknown_manifest(const Exchange& exchange) {
    return {Code::not_found, "repository " + exchange.path.repository + " has no manifest " +
                                 exchange.path.reference.substr(0, 200)};
}

} // namespace

net::Async<net::Response> RegistryServer::Impl::get_manifest(Exchange& exchange) {
    const auto access = exchange.access(Action::pull);
    if (!access.any()) co_return denied(exchange, "pull");
    auto which = TagOrDigest::parse(exchange.path.reference);
    if (!which) co_return error_response(unknown_manifest(exchange), Subject::manifest);
    // A tag may move to something that the credential was not given for.
    if (!access.whole && !which->digest) co_return denied(exchange, "pull by tag");
    if (which->digest) {
        const auto seen = co_await may_see(access, exchange.path.repository, *which->digest);
        if (!seen) co_return error_response(seen.error(), Subject::manifest);
        if (!*seen) co_return error_response(unknown_manifest(exchange), Subject::manifest);
    }
    auto manifest = co_await core.fetch_manifest(exchange.path.repository, *which);
    if (!manifest) co_return error_response(manifest.error(), Subject::manifest);

    const auto digest = manifest->descriptor.digest.str();
    const auto etag = "\"" + digest + "\"";
    net::Response response;
    response.headers.set("Docker-Content-Digest", digest);
    response.headers.set("ETag", etag);
    if (exchange.request.headers.get("If-None-Match") == etag) {
        response.status = 304;
        co_return response;
    }
    response.headers.set("Content-Type", manifest->descriptor.media_type);
    response.body = std::move(manifest->body);
    co_return response;
}

net::Async<net::Response> RegistryServer::Impl::put_manifest(Exchange& exchange) {
    if (!exchange.access(Action::push).any()) co_return denied(exchange, "push");
    const auto& repository = exchange.path.repository;
    auto which = TagOrDigest::parse(exchange.path.reference);
    if (!which) co_return error_response(which.error(), Subject::manifest);
    auto body = co_await net::read_all(*exchange.request.body, kManifestLimitBytes);
    if (!body) co_return error_response(body.error(), Subject::manifest);
    const auto put =
        co_await core.put_manifest(repository, std::string(exchange.request.headers.get("Content-Type")),
                                   std::move(*body), which->tag, which->digest);
    if (!put)
        co_return error_response(put.error(),
                                 put.error().code == Code::not_found ? Subject::content : Subject::manifest);

    auto response = net::Response::empty(201);
    response.headers.set("Location", "/v2/" + repository + "/manifests/" + put->digest.str());
    response.headers.set("Docker-Content-Digest", put->digest.str());
    if (put->subject) response.headers.set("OCI-Subject", put->subject->str());
    co_return response;
}

net::Async<net::Response> RegistryServer::Impl::delete_manifest(Exchange& exchange) {
    if (!exchange.access(Action::delete_).any()) co_return denied(exchange, "delete");
    auto which = TagOrDigest::parse(exchange.path.reference);
    if (!which) co_return error_response(which.error(), Subject::manifest);
    const auto gone = co_await core.database->write(
        [repository = exchange.path.repository, which = *which](store::Transaction& tx) {
            return which.digest ? metadata::delete_manifest(tx, repository, *which.digest)
                                : metadata::delete_tag(tx, repository, which.tag);
        });
    if (!gone) co_return error_response(gone.error(), Subject::manifest);
    if (!*gone) co_return error_response(unknown_manifest(exchange), Subject::manifest);
    co_return net::Response::empty(202);
}

net::Async<net::Response> RegistryServer::Impl::referrers(Exchange& exchange) {
    const auto access = exchange.access(Action::pull);
    if (!access.any()) co_return denied(exchange, "pull");
    auto digest = Digest::parse(exchange.path.reference);
    if (!digest) co_return error_response(digest.error(), Subject::manifest);
    std::optional<std::string> type;
    if (const auto wanted = exchange.request.query.get("artifactType")) type = std::string(*wanted);
    std::vector<Descriptor> found;
    if (access.whole) { // a closure does not reach up to those that refer to it
        auto listed = co_await core.database->read(
            [repository = exchange.path.repository, digest = *digest, type](store::Connection& c) {
                return metadata::referrers(c, repository, digest, type);
            });
        if (!listed) co_return error_response(listed.error(), Subject::manifest);
        found = std::move(*listed);
    }
    const json::Value index = {
        {"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", json::encode(found)}};
    net::Response response;
    response.headers.set("Content-Type", std::string(media::kImageIndex));
    if (type) response.headers.set("OCI-Filters-Applied", "artifactType");
    response.body = json::dump(index);
    co_return response;
}

} // namespace consign::oci
