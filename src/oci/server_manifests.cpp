#include "conditional.hpp"
#include "server_impl.hpp"
#include <format>

namespace consign::oci {

namespace {

Error unknown_manifest(const Exchange& exchange) {
    return {Code::not_found, "repository " + exchange.path.repository + " has no manifest " +
                                 exchange.path.reference.substr(0, 200)};
}

/// What is wrong with a reference that is neither tag nor digest.
Subject about(std::string_view reference) {
    return reference.contains(':') ? Subject::blob : Subject::manifest;
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
    // A push that asks whether it is here will not send it again.
    const bool keep = exchange.request.verb == net::Verb::head && exchange.access(Action::push).any();
    auto manifest = co_await core.fetch_manifest(exchange.path.repository, *which, keep);
    if (!manifest && manifest.error().code == Code::corrupt) // as good as none: a push repairs it
        co_return error_response(unknown_manifest(exchange), Subject::manifest);
    if (!manifest) co_return error_response(manifest.error(), Subject::manifest);

    const auto digest = manifest->descriptor.digest.str();
    const auto etag = "\"" + digest + "\"";
    net::Response response;
    response.headers.set("Docker-Content-Digest", digest);
    response.headers.set("ETag", etag);
    if (if_none_match(exchange.request.headers.get("If-None-Match"), etag)) {
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
    if (!which) co_return error_response(which.error(), about(exchange.path.reference));
    // Before it is sent, where the client waits to hear that; who sends it unasked may not listen before its end.
    if (exchange.request.headers.has("Expect") &&
        exchange.request.content_length.value_or(0) > kManifestLimitBytes)
        co_return error_response(
            Error{Code::too_large, std::format("a manifest of {} bytes, at most {} are taken",
                                               *exchange.request.content_length, kManifestLimitBytes)},
            Subject::manifest);
    auto body = co_await net::read_all(*exchange.request.body, kManifestLimitBytes);
    if (!body) co_return error_response(body.error(), Subject::manifest);
    if (const auto still = co_await recheck(exchange.grant); !still)
        co_return refuse(exchange, still.error(), Subject::name);
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
    if (!which) co_return error_response(which.error(), about(exchange.path.reference));
    const auto gone = co_await core.remove_manifest(exchange.path.repository, *which);
    if (!gone) co_return error_response(gone.error(), Subject::manifest);
    if (!*gone) co_return error_response(unknown_manifest(exchange), Subject::manifest);
    co_return net::Response::empty(202);
}

} // namespace consign::oci
