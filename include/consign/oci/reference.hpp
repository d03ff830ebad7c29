#pragma once
#include "consign/base/digest.hpp"
#include <optional>
#include <string>

namespace consign::oci {

/// distribution-spec 1.1: <name> is lower-case path components, at most 255 characters; <tag> at most 128.
bool is_repository_name(std::string_view name);
bool is_tag(std::string_view tag);

/// "registry/repository[:tag][@digest]". The registry has a '.', a ':' or is "localhost"; we never assume
/// Docker Hub.
struct Reference {
    std::string registry;
    std::string repository;
    std::optional<std::string> tag;
    std::optional<Digest> digest;
};
Result<Reference> parse_reference(std::string_view text);
std::string to_string(const Reference& reference);

/// What names a manifest inside a repository: a tag or a digest.
struct TagOrDigest {
    std::string tag;
    std::optional<Digest> digest;
    static Result<TagOrDigest> parse(std::string_view text);
    std::string str() const { return digest ? digest->str() : tag; }
};

} // namespace consign::oci
