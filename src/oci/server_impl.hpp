#pragma once
#include "consign/oci/registry_server.hpp"
#include "errors.hpp"
#include "grant.hpp"
#include "registry_access.hpp"
#include "registry_door.hpp"

namespace consign::oci {

/// One request on its way: read, parsed and authorised.
struct Exchange {
    net::Request& request;
    RegistryPath path;
    Grant grant;

    Access access(Action action) const { return access_to(grant, path.repository, action); }
};

struct RegistryServer::Impl {
    Impl(RegistryCore& registry, Authorise may, RegistryServerOptions with)
        : core(registry), door(std::move(may), with), options(std::move(with)) {}

    net::Async<net::Response> answer(net::Request& request);
    net::Async<net::Response> dispatch(Exchange& exchange);
    net::Async<net::Response> base(Exchange& exchange);
    /// The grant does not allow the action: 401 when another token could, else 403 DENIED.
    net::Response denied(const Exchange& exchange, std::string_view action) const;

    // server_blobs.cpp
    net::Async<net::Response> get_blob(Exchange& exchange);
    net::Async<net::Response> delete_blob(Exchange& exchange);
    // server_uploads.cpp
    net::Async<net::Response> begin_upload(Exchange& exchange);
    net::Async<net::Response> continue_upload(Exchange& exchange);
    net::Async<net::Response> upload_status(Exchange& exchange);
    net::Async<net::Response> finish_upload(Exchange& exchange, std::string id, std::uint64_t have);
    net::Async<Result<BlobStore::Finished>> receive_last(Exchange& exchange, std::string id, Digest digest,
                                                         std::uint64_t have);
    net::Async<net::Response> abandon_upload(Exchange& exchange);
    net::Async<Result<bool>> try_mount(Exchange& exchange, Digest digest, std::string from);
    // server_manifests.cpp
    net::Async<net::Response> get_manifest(Exchange& exchange);
    net::Async<net::Response> put_manifest(Exchange& exchange);
    net::Async<net::Response> delete_manifest(Exchange& exchange);
    // server_lists.cpp
    net::Async<net::Response> referrers(Exchange& exchange);
    net::Async<net::Response> tags(Exchange& exchange);
    net::Async<net::Response> catalog(Exchange& exchange);

    /// The answer to an error that is about the bearer, or else about `subject`.
    net::Response refuse(const Exchange& exchange, const Error& error, Subject subject) const;
    /// Whether the repository's pull access covers the digest.
    net::Async<Result<bool>> may_see(Access access, std::string repository, Digest digest);

    RegistryCore& core;
    RegistryDoor door;
    RegistryServerOptions options;
};

std::string blob_location(const std::string& repository, const Digest& digest);

} // namespace consign::oci
