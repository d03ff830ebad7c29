#pragma once
#include "consign/base/error.hpp"
#include "consign/base/secret.hpp"
#include <string>
#include <string_view>

namespace consign::oci {

/// Puts an upload's place upstream into a path segment that its holder can give back, and nobody can make: it
/// says where our credential is sent. Bound to the repository that it was made for. Not encrypted.
class UploadSeal {
  public:
    explicit UploadSeal(Secret<std::string> key) : key_(std::move(key)) {}
    std::string close(std::string_view repository, std::string_view place) const;
    /// not_found: not one of ours, or another repository's.
    Result<std::string> open(std::string_view repository, std::string_view sealed) const;

  private:
    std::string mac(std::string_view repository, std::string_view place) const;
    Secret<std::string> key_;
};

} // namespace consign::oci
