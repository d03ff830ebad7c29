#pragma once
#include "registry_client.hpp"

namespace consign::oci {

/// The implementation behind open_remote(), in three files: remote.cpp reads and writes manifests and reads
/// blobs, remote_push.cpp writes blobs, remote_lists.cpp has tags and referrers.
class RemoteRepository final : public Repository {
  public:
    RemoteRepository(net::Client& client, RemoteOptions options, std::string repository)
        : client_(client, std::move(options)), repository_(std::move(repository)) {}

    net::Async<Result<ManifestBytes>> fetch_manifest(TagOrDigest which) override;
    net::Async<Result<void>> put_manifest(ManifestBytes manifest, std::string tag) override;
    net::Async<Result<bool>> has_blob(Descriptor blob) override;
    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob(Descriptor blob) override;
    net::Async<Result<std::unique_ptr<net::Source>>> fetch_blob_from(Descriptor blob,
                                                                     std::uint64_t offset) override;
    net::Async<Result<void>> push_blob(Descriptor blob, net::Source& content) override;
    net::Async<Result<void>> push(Push push) override;
    net::Async<Result<std::vector<Descriptor>>> referrers(Digest subject) override;
    net::Async<Result<std::vector<std::string>>> tags() override;
    net::Async<Result<void>> remove(TagOrDigest which) override;
    std::string describe() const override { return client_.registry().host_header() + "/" + repository_; }
    std::string registry() const override { return client_.registry().origin(); }
    std::string name() const override { return repository_; }

    /// The blob from `offset` on, until the connection breaks.
    net::Async<Result<std::unique_ptr<net::Source>>> open_blob(Descriptor blob, std::uint64_t offset);
    RegistryClient& client() { return client_; }
    net::ClientRequest request(net::Verb verb, std::string_view below) const {
        return client_.request(verb, "/v2/" + repository_ + std::string(below));
    }
    enum class Access { pull, push, delete_ };
    std::string scope(Access access) const;
    /// The error of a response, with this repository's name.
    net::Async<Error> error_of(net::ClientResponse& response);

  private:
    net::Async<Result<ManifestBytes>> read_manifest(net::ClientResponse response, TagOrDigest which);
    /// Lists `manifest` under the fallback tag of its subject: for registries without the referrers API.
    net::Async<Result<void>> list_by_tag(Descriptor subject, Descriptor referrer);
    net::Async<Result<std::vector<Descriptor>>> listed_by_tag(Digest subject);

    RegistryClient client_;
    std::string repository_;
};

/// The target of a Link field's rel="next" (RFC 8288), if there is one.
std::optional<std::string> next_page(const net::Headers& headers);

/// "sha256-<hex>": where the referrers of a manifest are listed without the API, and, with a suffix, where
/// cosign keeps signatures.
std::string fallback_tag(const Digest& digest);

} // namespace consign::oci
