#pragma once
// AWS Signature Version 4 (AWS General Reference, "Signing AWS API requests"), in the Authorization header.
// Pure: the time is an argument, nothing is sent.
#include "consign/base/bytes.hpp"
#include "consign/net/client.hpp"
#include "credentials.hpp"

namespace consign::oci::aws {

/// What a signature is for, besides the day.
struct SigningScope {
    std::string region;  ///< "eu-central-1"
    std::string service; ///< "ecr", "sts"
};

/// A request as it will be sent, taken apart.
struct Signable {
    std::string method;
    std::string path =
        "/"; ///< as it is sent; encoded once more for the signature, as all services but S3 want it
    std::string query = {};
    net::Headers headers = {};  ///< all of these are signed: Host and X-Amz-Date must be among them
    std::string payload_sha256; ///< hex
};

// The steps, each as AWS's documentation shows it, so that a test can say which one differs.
std::string canonical_request(const Signable& request);
std::string signed_headers(const Signable& request); ///< "host;x-amz-date"
std::string credential_scope(const SigningScope& scope, Time now);
std::string string_to_sign(std::string_view canonical, const SigningScope& scope, Time now);
Bytes signing_key(std::string_view secret_access_key, const SigningScope& scope, Time now);
std::string authorization(const Signable& request, const Credentials& credentials, const SigningScope& scope,
                          Time now);
std::string amz_date(Time now); ///< "20150830T123600Z"

/// Adds Host, X-Amz-Date, X-Amz-Security-Token (for temporary credentials) and Authorization; signs every
/// header that is set. The body must be a string.
void sign(net::ClientRequest& request, const Credentials& credentials, const SigningScope& scope, Time now);

} // namespace consign::oci::aws
