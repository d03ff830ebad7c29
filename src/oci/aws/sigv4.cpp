#include "sigv4.hpp"
#include "consign/base/digest.hpp"
#include <algorithm>
#include <format>
#include <map>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdexcept>

namespace consign::oci::aws {

namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

Bytes hmac(ByteView key, std::string_view text) {
    Bytes out(32);
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(),
              reinterpret_cast<unsigned char*>(out.data()), &size))
        throw std::runtime_error("OpenSSL has no HMAC-SHA256");
    return out;
}

/// RFC 3986 section 5.2.4, and runs of slashes become one.
std::string normalized(std::string_view path) {
    std::vector<std::string_view> segments;
    bool directory = true;
    while (!path.empty()) {
        const auto slash = path.find('/');
        const auto segment = path.substr(0, slash);
        path.remove_prefix(slash == std::string_view::npos ? path.size() : slash + 1);
        directory = slash != std::string_view::npos || segment.empty() || segment == "." || segment == "..";
        if (segment == ".." && !segments.empty()) segments.pop_back();
        if (!segment.empty() && segment != "." && segment != "..") segments.push_back(segment);
    }
    std::string out;
    for (const auto segment : segments) out += "/" + net::percent_encode(segment);
    if (directory || out.empty()) out += '/';
    return out;
}

std::string canonical_query(std::string_view query) {
    std::vector<std::pair<std::string, std::string>> parameters;
    const auto again = [](std::string_view part) {
        return net::percent_encode(net::percent_decode(part).value_or(std::string(part)));
    };
    while (!query.empty()) {
        const auto one = query.substr(0, query.find('&'));
        query.remove_prefix(std::min(one.size() + 1, query.size()));
        if (one.empty()) continue;
        const auto equals = one.find('=');
        parameters.emplace_back(again(one.substr(0, equals)),
                                equals == std::string_view::npos ? "" : again(one.substr(equals + 1)));
    }
    std::ranges::sort(parameters);
    std::string out;
    for (const auto& [name, value] : parameters) out += (out.empty() ? "" : "&") + name + "=" + value;
    return out;
}

/// Without white space at the ends, and with single spaces inside.
std::string trimmed(std::string_view value) {
    std::string out;
    for (const char c : value) {
        const bool space = c == ' ' || c == '\t' || c == '\n' || c == '\r';
        if (!space)
            out += c;
        else if (!out.empty() && out.back() != ' ')
            out += ' ';
    }
    while (out.ends_with(' ')) out.pop_back();
    return out;
}

/// Names in lower case, sorted; the values of one name in the order in which they are sent.
std::map<std::string, std::string> canonical_headers(const net::Headers& headers) {
    std::map<std::string, std::string> out;
    for (const auto& [name, value] : headers.items()) {
        std::string key = name;
        for (auto& c : key)
            if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
        const auto [at, fresh] = out.try_emplace(std::move(key));
        at->second += (fresh ? "" : ",") + trimmed(value);
    }
    return out;
}

std::string date_of(Time now) { return amz_date(now).substr(0, 8); }

} // namespace

std::string amz_date(Time now) {
    return std::format("{:%Y%m%dT%H%M%SZ}", std::chrono::floor<std::chrono::seconds>(now));
}

std::string signed_headers(const Signable& request) {
    std::string out;
    for (const auto& [name, value] : canonical_headers(request.headers))
        out += (out.empty() ? "" : ";") + name;
    return out;
}

std::string canonical_request(const Signable& request) {
    std::string out =
        request.method + "\n" + normalized(request.path) + "\n" + canonical_query(request.query) + "\n";
    for (const auto& [name, value] : canonical_headers(request.headers)) out += name + ":" + value + "\n";
    return out + "\n" + signed_headers(request) + "\n" + request.payload_sha256;
}

std::string credential_scope(const SigningScope& scope, Time now) {
    return date_of(now) + "/" + scope.region + "/" + scope.service + "/aws4_request";
}

std::string string_to_sign(std::string_view canonical, const SigningScope& scope, Time now) {
    return std::string(kAlgorithm) + "\n" + amz_date(now) + "\n" + credential_scope(scope, now) + "\n" +
           sha256_hex(std::string(canonical));
}

Bytes signing_key(std::string_view secret_access_key, const SigningScope& scope, Time now) {
    const Secret<std::string> start("AWS4" + std::string(secret_access_key));
    auto key = hmac(as_bytes(start.reveal()), date_of(now));
    key = hmac(key, scope.region);
    key = hmac(key, scope.service);
    return hmac(key, "aws4_request");
}

std::string authorization(const Signable& request, const Credentials& credentials, const SigningScope& scope,
                          Time now) {
    const auto key = signing_key(credentials.secret_access_key.reveal(), scope, now);
    const auto signature = hmac(key, string_to_sign(canonical_request(request), scope, now));
    return std::format("{} Credential={}/{}, SignedHeaders={}, Signature={}", kAlgorithm,
                       credentials.access_key_id, credential_scope(scope, now), signed_headers(request),
                       to_hex(signature));
}

void sign(net::ClientRequest& request, const Credentials& credentials, const SigningScope& scope, Time now) {
    request.headers.set("Host", request.url.host_header());
    request.headers.set("X-Amz-Date", amz_date(now));
    if (!credentials.session_token.empty())
        request.headers.set("X-Amz-Security-Token", credentials.session_token.reveal());
    const auto& target = request.url.target;
    const auto question = std::min(target.find('?'), target.size());
    const Signable signable{.method = std::string(net::name_of(request.verb)),
                            .path = target.substr(0, question),
                            .query = question < target.size() ? target.substr(question + 1) : std::string(),
                            .headers = request.headers,
                            .payload_sha256 = sha256_hex(std::get<std::string>(request.body))};
    request.headers.set("Authorization", authorization(signable, credentials, scope, now));
}

} // namespace consign::oci::aws
