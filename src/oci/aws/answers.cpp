#include "answers.hpp"
#include "consign/net/server.hpp"
#include "xml.hpp"
#include <algorithm>
#include <format>

namespace consign::oci::aws {

namespace {

constexpr std::size_t kMessageLimit = 500;

std::string text_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

Result<json::Value> object_of(std::string_view body) {
    CONSIGN_TRY(value, json::parse(body));
    if (!value.is_object()) return fail(Code::invalid_argument, "the answer is no JSON object");
    return std::move(value);
}

Result<Credentials> checked(Credentials credentials, const std::string& expiration) {
    if (credentials.access_key_id.empty() || credentials.secret_access_key.empty())
        return fail(Code::invalid_argument, "the answer has no access key");
    // Both go into headers of later requests.
    const auto plain = [](std::string_view text) {
        return std::ranges::all_of(text, [](char c) { return c > 0x20 && c < 0x7f; });
    };
    if (!plain(credentials.access_key_id) || !plain(credentials.session_token.reveal()))
        return fail(Code::invalid_argument, "the answer's access key or token has characters that none has");
    if (!expiration.empty()) {
        CONSIGN_TRY(time, parse_rfc3339(expiration));
        credentials.expires_at = time;
    }
    return credentials;
}

Result<Credentials> from_json(const json::Value& object, const char* token) {
    return checked({.access_key_id = text_at(object, "AccessKeyId"),
                    .secret_access_key = Secret<std::string>(text_at(object, "SecretAccessKey")),
                    .session_token = Secret<std::string>(text_at(object, token))},
                   text_at(object, "Expiration"));
}

} // namespace

Result<Credentials> read_sts_credentials(std::string_view body) {
    CONSIGN_TRY(leaves, xml_leaves(body));
    const auto text = [&](std::string_view name) {
        for (const auto& [path, value] : leaves)
            if (path.ends_with("/Credentials/" + std::string(name))) return value;
        return std::string();
    };
    return checked({.access_key_id = text("AccessKeyId"),
                    .secret_access_key = Secret<std::string>(text("SecretAccessKey")),
                    .session_token = Secret<std::string>(text("SessionToken"))},
                   text("Expiration"));
}

Result<Credentials> read_metadata_credentials(std::string_view body) {
    CONSIGN_TRY(object, object_of(body));
    // The instance metadata service answers 200 with another Code when the role is of no use.
    if (const auto code = text_at(object, "Code"); !code.empty() && code != "Success")
        return fail(Code::unauthenticated, code + ": " + text_at(object, "Message").substr(0, kMessageLimit));
    return from_json(object, "Token");
}

Result<Credentials> read_process_credentials(std::string_view output) {
    CONSIGN_TRY(object, object_of(output));
    if (const auto version = object.find("Version"); version == object.end() || *version != 1)
        return fail(Code::unsupported, "its output is not of \"Version\": 1");
    return from_json(object, "SessionToken");
}

ServiceError read_json_error(std::string_view body, std::string_view header) {
    ServiceError out{.type = std::string(header), .message = {}};
    if (const auto object = object_of(body)) {
        if (out.type.empty()) out.type = text_at(*object, "__type");
        out.message = text_at(*object, "message");
        if (out.message.empty()) out.message = text_at(*object, "Message");
    }
    // "com.amazonaws.ecr#ServerException:http://…" is a ServerException.
    if (const auto hash = out.type.rfind('#'); hash != std::string::npos) out.type.erase(0, hash + 1);
    out.type.resize(std::min(out.type.find(':'), out.type.size()));
    return out;
}

ServiceError read_xml_error(std::string_view body) {
    ServiceError out;
    if (const auto leaves = xml_leaves(body))
        for (const auto& [path, value] : *leaves) {
            if (path.ends_with("/Error/Code")) out.type = value;
            if (path.ends_with("/Error/Message")) out.message = value;
        }
    return out;
}

bool is_transient(const ServiceError& error, int status) {
    return status == 429 || status >= 500 || error.type.starts_with("Throttling") ||
           error.type == "RequestLimitExceeded" || error.type == "TooManyRequestsException" ||
           error.type == "IDPCommunicationError";
}

Error to_error(const ServiceError& error, int status, std::string_view who) {
    struct Row {
        std::string_view type;
        Code code;
        std::string_view hint;
    };
    constexpr std::string_view kClock = "the clock of this machine may be wrong: AWS allows five minutes";
    constexpr std::string_view kRights = "docs/registry-ecr.md has the policies that are needed";
    constexpr Row kRows[] = {
        {"SignatureDoesNotMatch", Code::unauthenticated,
         "the secret access key does not belong to the access key"},
        {"InvalidSignatureException", Code::unauthenticated,
         "the secret access key does not belong to the access key, or the clock is wrong"},
        {"RequestExpired", Code::unauthenticated, kClock},
        {"UnrecognizedClientException", Code::unauthenticated, "AWS does not know this access key"},
        {"InvalidClientTokenId", Code::unauthenticated, "AWS does not know this access key"},
        {"ExpiredToken", Code::unauthenticated, "the temporary credentials are over: get new ones"},
        {"ExpiredTokenException", Code::unauthenticated, "the temporary credentials are over: get new ones"},
        {"InvalidIdentityToken", Code::unauthenticated, "the web identity token is not accepted"},
        {"MissingAuthenticationToken", Code::unauthenticated, ""},
        {"AccessDenied", Code::permission_denied, kRights},
        {"AccessDeniedException", Code::permission_denied, kRights},
        {"RepositoryNotFoundException", Code::not_found, ""},
        {"RepositoryAlreadyExistsException", Code::conflict, ""},
        {"LimitExceededException", Code::storage_full, "ask AWS for a higher limit of repositories"},
        {"InvalidParameterException", Code::invalid_argument, ""},
        {"ValidationError", Code::invalid_argument, ""},
        {"MalformedPolicyDocument", Code::invalid_argument, ""},
        {"PackedPolicyTooLarge", Code::invalid_argument, ""},
    };
    auto code = is_transient(error, status) ? (status == 429 ? Code::rate_limited : Code::unavailable)
                                            : net::error_from(status, "", "").code;
    std::string_view hint;
    for (const auto& row : kRows)
        if (row.type == error.type) {
            code = row.code;
            hint = row.hint;
        }
    const auto message = error.message.substr(0, kMessageLimit);
    std::string what = error.type.empty() ? std::format("it answered {}", status) : error.type;
    if (!message.empty()) what += ": " + message;
    return {code, std::string(who) + ": " + what, std::string(hint)};
}

Result<EcrAuthorization> read_authorization(std::string_view body) {
    CONSIGN_TRY(object, object_of(body));
    const auto list = object.find("authorizationData");
    if (list == object.end() || !list->is_array() || list->empty() || !list->front().is_object())
        return fail(Code::invalid_argument, "the answer has no authorizationData");
    const auto& data = list->front();
    const auto decoded = from_base64(text_at(data, "authorizationToken"));
    const auto text = decoded ? as_text(*decoded) : std::string_view();
    const auto colon = text.find(':');
    if (colon == std::string_view::npos || colon + 1 == text.size())
        return fail(Code::invalid_argument,
                    "the answer's authorizationToken is not a user name and a password");
    const auto expires = data.find("expiresAt");
    // Seconds with a fraction; more than a day is nonsense in a later year, not our concern.
    constexpr double kLatest = 253402300799.0; // the end of the year 9999
    if (expires == data.end() || !expires->is_number() || !(expires->get<double>() > 0) ||
        expires->get<double>() > kLatest)
        return fail(Code::invalid_argument, "the answer does not say when the token expires");
    return EcrAuthorization{.username = std::string(text.substr(0, colon)),
                            .password = Secret<std::string>(std::string(text.substr(colon + 1))),
                            .expires_at =
                                from_millis(static_cast<std::int64_t>(expires->get<double>() * 1000))};
}

Result<EcrRepository> read_repository(std::string_view body) {
    CONSIGN_TRY(object, object_of(body));
    const json::Value* repository = nullptr;
    if (const auto one = object.find("repository"); one != object.end()) repository = &*one;
    if (const auto list = object.find("repositories");
        list != object.end() && list->is_array() && !list->empty())
        repository = &list->front();
    if (!repository || !repository->is_object() || text_at(*repository, "repositoryArn").empty())
        return fail(Code::invalid_argument, "the answer describes no repository");
    return EcrRepository{.name = text_at(*repository, "repositoryName"),
                         .arn = text_at(*repository, "repositoryArn"),
                         .uri = text_at(*repository, "repositoryUri")};
}

} // namespace consign::oci::aws
