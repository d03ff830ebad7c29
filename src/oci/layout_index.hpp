#pragma once
// index.json of an OCI image layout (image-spec 1.1, image-layout.md), in a directory or in an archive: which
// manifests there are, and which of them have names.
#include "consign/net/async.hpp"
#include "consign/oci/reference.hpp"
#include "consign/oci/types.hpp"

namespace consign::oci {

/// The annotation that is a manifest's tag.
inline constexpr const char* kRefName = "org.opencontainers.image.ref.name";
inline constexpr std::string_view kLayoutMarker = "{\"imageLayoutVersion\":\"1.0.0\"}";

class LayoutIndex {
  public:
    LayoutIndex(); ///< empty
    /// corrupt: `where` is not an image index.
    static Result<LayoutIndex> parse(std::string_view text, const std::string& where);
    /// unsupported: the text of an oci-layout file that is not version 1.0.0.
    static Result<void> check_marker(std::string_view text, const std::string& where);
    std::string text() const;

    /// By digest or tag; with neither, the only manifest, or the only one that has a tag. nullopt: not there.
    /// invalid_argument: with neither, and there are several. Without the ref.name annotation.
    Result<std::optional<Descriptor>> find(const TagOrDigest& which) const;
    const std::vector<Descriptor>& all() const { return entries_; }
    std::vector<std::string> tags() const; ///< sorted

    /// Gives it the tag, which is taken from whatever had it; without a tag it is listed once, if it is not
    /// yet.
    void set(Descriptor descriptor, const std::string& tag);
    /// Takes the tag, or the digest with all its tags, off the list; false: not there.
    bool remove(const TagOrDigest& which);

  private:
    json::Value document_;
    std::vector<Descriptor> entries_;
};

/// The manifest whose bytes are `body`; what `descriptor` leaves open is read from them. A child of an index is
/// only a blob in a layout: nothing but its digest is known before.
Result<ManifestBytes> manifest_from(Descriptor descriptor, std::string body);

/// The listed manifests whose subject is `subject`; `load` gives the bytes of one.
net::Async<Result<std::vector<Descriptor>>>
listed_referrers(LayoutIndex index, Digest subject,
                 std::function<net::Async<Result<std::string>>(Digest digest)> load);

} // namespace consign::oci
