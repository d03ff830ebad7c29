#pragma once
// What AWS's services say, read: pure.
#include "consign/base/json.hpp"
#include "credentials.hpp"

namespace consign::oci::aws {

/// Of AssumeRole and AssumeRoleWithWebIdentity (STS, query protocol, XML).
Result<Credentials> read_sts_credentials(std::string_view body);
/// Of the container endpoint and the instance metadata service: {AccessKeyId, SecretAccessKey, Token,
/// Expiration}.
Result<Credentials> read_metadata_credentials(std::string_view body);
/// Of a credential_process: {Version: 1, AccessKeyId, SecretAccessKey, SessionToken?, Expiration?}.
Result<Credentials> read_process_credentials(std::string_view output);

/// The kind of error that an AWS service reports, and its words.
struct ServiceError {
    std::string type; ///< "RepositoryNotFoundException", "AccessDenied"; empty: the answer names none
    std::string message;
};
ServiceError read_json_error(std::string_view body, std::string_view header); ///< `header`: x-amzn-ErrorType
ServiceError read_xml_error(std::string_view body);
/// "ecr.eu-central-1…: AccessDeniedException: User … is not authorized …", with the code that fits.
Error to_error(const ServiceError& error, int status, std::string_view who);
/// Whether the same request may succeed a moment later.
bool is_transient(const ServiceError& error, int status);

/// Of GetAuthorizationToken.
struct EcrAuthorization {
    std::string username;
    Secret<std::string> password;
    Time expires_at;
};
Result<EcrAuthorization> read_authorization(std::string_view body);

struct EcrRepository {
    std::string name, arn, uri;
};
/// Of CreateRepository ("repository") and DescribeRepositories (the first of "repositories").
Result<EcrRepository> read_repository(std::string_view body);

} // namespace consign::oci::aws
