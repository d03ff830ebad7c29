#pragma once
// Where images are, as the registry commands name it, and the way there.
#include "cli/context.hpp"
#include "consign/oci/archive.hpp"
#include "consign/oci/remote.hpp"

namespace consign::cli {

/// "HOST/REPO[:TAG][@DIGEST]" (also with docker://, https:// or, for plain HTTP, http:// in front),
/// "ims:REPO[:TAG]" for the registry of the IMS, "oci:DIR[:TAG]", "oci-archive:FILE[:TAG]".
struct Place {
    enum class Kind { remote, layout, archive };
    Kind kind = Kind::remote;
    bool of_ims = false;
    std::string scheme = {};   ///< of a remote; empty: not said
    std::string registry = {}; ///< "host[:port]"; of the IMS: filled when it is opened
    std::string repository = {};
    std::filesystem::path path = {};
    oci::TagOrDigest which = {}; ///< neither: not said
    std::string text = {};       ///< as it was given

    bool named() const { return which.digest || !which.tag.empty(); }
};
/// invalid_argument says what it should look like.
Result<Place> parse_place(std::string_view text);
/// A registry alone: "HOST[:PORT]", also with a scheme; "" or "ims": that of the IMS.
Result<Place> parse_registry(std::string_view text);

/// How one end of a command is reached; filled by flags.
struct ReachFlags {
    bool plain_http = false;
    std::string ca_file = {};
};
/// --plain-http and --registry-ca; `prefix` "src-" or "dest-" puts it in front.
std::vector<OptionSpec> reach_options(const std::string& prefix, ReachFlags& flags);

/// The connections of one command to registries: an I/O thread, and a client per registry. Everything made by
/// it must be gone before it.
class RegistryAccess {
  public:
    explicit RegistryAccess(Context& context, std::size_t connections = 8);
    ~RegistryAccess();
    /// Runs work on the I/O thread; an error of a registry gets a hint that fits how it was reached.
    template <class T>
    Result<T> run(net::Async<Result<T>> work, std::stop_token stop = {}) {
        auto result = io_.run(std::move(work), std::move(stop));
        if (!result) return std::unexpected(explain(std::move(result).error()));
        return result;
    }

    /// A registry as a whole. `only`: it is the only one of the command, so that CONSIGN_REGISTRY_USERNAME
    /// and CONSIGN_REGISTRY_PASSWORD without CONSIGN_REGISTRY_HOST can only be for it.
    Result<std::unique_ptr<oci::RemoteRegistry>> registry(Place place, const ReachFlags& reach);
    Result<std::unique_ptr<oci::Repository>> open(Place place, const ReachFlags& reach, bool only = true);
    /// The same, for writing into an archive.
    Result<std::unique_ptr<oci::ArchiveWriter>> create_archive(const Place& place);
    /// For `consign registry login`: with this credential and no other.
    Result<std::unique_ptr<oci::RemoteRegistry>>
    registry_as(Place place, const ReachFlags& reach, std::string username, Secret<std::string> password);
    /// "host[:port]" of the place, asking the IMS where its registry is if need be.
    Result<std::string> host_of(Place place);

  private:
    Result<void> find(Place& place);
    Result<oci::RemoteOptions> options(const Place& place, const ReachFlags& reach);
    Result<void> add_credential(const Place& place, bool only, oci::RemoteOptions& options);
    net::Client& client(const std::string& ca_file);
    /// The client that trusts the registry's CA; sets `with.elsewhere` if it trusts no other.
    net::Client& client_for(const Place& place, const ReachFlags& reach, oci::RemoteOptions& with);
    bool is_ims(const std::string& host) const;
    Error explain(Error error) const;

    Context& context_;
    std::size_t connections_;
    net::IoThread io_;
    std::map<std::string, std::unique_ptr<net::Client>> clients_; ///< by CA file
    bool any_tls_ = false, any_anonymous_ = false;
};

} // namespace consign::cli
