// The two endpoints beside a workload: of its container, and of its machine.
#include "answers.hpp"
#include "consign/base/file.hpp"
#include "credential_sources.hpp"
#include <algorithm>
#include <format>

namespace consign::oci::aws {

namespace {

constexpr std::size_t kAnswerLimit = 64 * 1024;
constexpr std::string_view kEcsOrigin = "http://169.254.170.2";
// AWS SDKs and Tools Reference Guide, "Container credential provider": ECS, EKS (IPv4 and IPv6).
constexpr std::string_view kPlainHosts[] = {"169.254.170.2", "169.254.170.23", "fd00:ec2::23", "localhost",
                                            "::1"};

struct Reply {
    int status = 0;
    std::string body = {};
};

net::Async<Result<Reply>> ask(net::Client& client, net::ClientRequest request) {
    constexpr auto kDeadline = std::chrono::seconds(5);
    request.max_redirects = 0; // nobody redirects there, and the token in the header is for this endpoint
    request.response_deadline = kDeadline;
    CONSIGN_CO_TRY(response, co_await client.send(std::move(request)));
    CONSIGN_CO_TRY(body, co_await net::read_all(*response.body, kAnswerLimit));
    co_return Reply{response.status, body};
}

bool is_loopback_v4(std::string_view host) {
    return host.starts_with("127.") && std::ranges::count(host, '.') == 3 &&
           std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); });
}

bool fits_header(std::string_view value) {
    return std::ranges::all_of(value, [](char c) { return c >= 0x20 && c < 0x7f; });
}

net::Async<Result<std::string>> container_token(const Surroundings& around) {
    const auto file = value_of(around.environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    auto token = value_of(around.environment, "AWS_CONTAINER_AUTHORIZATION_TOKEN");
    if (!file.empty()) {
        // Read anew each time: EKS replaces it.
        CONSIGN_CO_TRY(text, co_await around.pool.run([file] { return read_file(file, kAnswerLimit); }));
        token = text;
        while (token.ends_with('\n') || token.ends_with('\r')) token.pop_back();
    }
    if (!fits_header(token))
        co_return fail(Code::invalid_argument,
                       "the container's authorization token has characters that none has");
    co_return token;
}

} // namespace

Result<std::optional<net::Url>> container_endpoint(const Environment& environment) {
    if (const auto path = value_of(environment, "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"); !path.empty()) {
        if (!path.starts_with('/'))
            return fail(Code::invalid_argument,
                        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI must begin with a slash");
        return net::Url::parse(std::string(kEcsOrigin) + path);
    }
    const auto text = value_of(environment, "AWS_CONTAINER_CREDENTIALS_FULL_URI");
    if (text.empty()) return std::nullopt;
    auto url = net::Url::parse(text);
    if (!url)
        return std::unexpected(with_context(std::move(url).error(), "AWS_CONTAINER_CREDENTIALS_FULL_URI"));
    const bool near =
        std::ranges::find(kPlainHosts, url->host) != std::end(kPlainHosts) || is_loopback_v4(url->host);
    if (!url->tls() && !near)
        return fail(Code::permission_denied,
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI names " + url->origin() +
                        ": without TLS only this machine and the addresses of ECS and EKS are asked",
                    "use https");
    return *url;
}

net::Async<Result<Said>> from_container(const Surroundings& around) {
    CONSIGN_CO_TRY(url, container_endpoint(around.environment));
    if (!url) co_return Said{.why_not = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI are not set"};
    CONSIGN_CO_TRY(token, co_await container_token(around));
    net::ClientRequest request{.url = *url};
    request.headers.set("Accept", "application/json");
    if (!token.empty()) request.headers.set("Authorization", token);
    auto& client = url->tls() ? around.client : around.metadata;
    CONSIGN_CO_TRY(reply, co_await ask(client, std::move(request)));
    if (reply.status != 200)
        co_return std::unexpected(to_error(read_json_error(reply.body, ""), reply.status, url->origin()));
    auto credentials = read_metadata_credentials(reply.body);
    if (!credentials) co_return std::unexpected(with_context(std::move(credentials).error(), url->origin()));
    credentials->source = "the container endpoint " + url->origin();
    co_return Said{.credentials = std::move(*credentials)};
}

namespace {

/// One conversation with the instance metadata service, version 2.
class Instance {
  public:
    explicit Instance(const Surroundings& around) : around_(around) {}

    /// not_found: it is switched off, or nobody answers.
    net::Async<Result<void>> open() {
        const auto& environment = around_.environment;
        if (auto disabled = value_of(environment, "AWS_EC2_METADATA_DISABLED");
            disabled == "true" || disabled == "TRUE")
            co_return fail(Code::not_found, "AWS_EC2_METADATA_DISABLED is set");
        auto text = value_of(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT");
        if (text.empty())
            text = value_of(environment, "AWS_EC2_METADATA_SERVICE_ENDPOINT_MODE") == "IPv6"
                       ? "http://[fd00:ec2::254]"
                       : "http://169.254.169.254";
        CONSIGN_CO_TRY(parsed, net::Url::parse(text));
        url_ = parsed;
        auto put = at("/latest/api/token");
        put.verb = net::Verb::put;
        put.headers.set("X-aws-ec2-metadata-token-ttl-seconds", "21600");
        auto reply = co_await ask(around_.metadata, std::move(put));
        if (!reply)
            co_return fail(Code::not_found, "nobody answers: " + reply.error().message,
                           "on an instance: the hop limit of its metadata options must be 2 for containers");
        if (reply->status != 200 || reply->body.empty() || !fits_header(reply->body))
            co_return fail(Code::not_found,
                           std::format("{} gives no token, it answered {}", url_.origin(), reply->status));
        token_ = Secret<std::string>(reply->body);
        co_return Result<void>{};
    }

    net::Async<Result<std::string>> get(std::string path) {
        auto request = at(path);
        request.headers.set("X-aws-ec2-metadata-token", token_.reveal());
        CONSIGN_CO_TRY(reply, co_await ask(around_.metadata, std::move(request)));
        if (reply.status == 404) co_return fail(Code::not_found, url_.origin() + " has no " + path);
        if (reply.status != 200)
            co_return fail(Code::unavailable,
                           std::format("{}{} answered {}", url_.origin(), path, reply.status));
        co_return std::move(reply.body);
    }

  private:
    net::ClientRequest at(std::string_view path) const {
        net::ClientRequest out{.url = url_};
        out.url.target = path;
        return out;
    }
    const Surroundings& around_;
    net::Url url_;
    Secret<std::string> token_;
};

std::string first_line(std::string_view text) {
    return std::string(text.substr(0, std::min(text.find('\n'), text.find('\r'))));
}

} // namespace

net::Async<Result<Said>> from_instance(const Surroundings& around) {
    constexpr std::string_view kRoles = "/latest/meta-data/iam/security-credentials/";
    Instance instance(around);
    if (auto opened = co_await instance.open(); !opened) co_return Said{.why_not = opened.error().message};
    auto roles = co_await instance.get(std::string(kRoles));
    if (!roles && roles.error().code == Code::not_found)
        co_return Said{.why_not = "the instance has no role"};
    if (!roles) co_return std::unexpected(std::move(roles).error());
    const auto role = first_line(*roles);
    if (role.empty()) co_return Said{.why_not = "the instance has no role"};
    CONSIGN_CO_TRY(text, co_await instance.get(std::string(kRoles) + net::percent_encode(role)));
    auto credentials = read_metadata_credentials(text);
    if (!credentials)
        co_return std::unexpected(with_context(std::move(credentials).error(), "instance role " + role));
    credentials->source = "the instance's role " + role;
    co_return Said{.credentials = std::move(*credentials)};
}

net::Async<Result<std::string>> instance_region(const Surroundings& around) {
    Instance instance(around);
    CONSIGN_CO_CHECK(co_await instance.open());
    CONSIGN_CO_TRY(text, co_await instance.get("/latest/meta-data/placement/region"));
    auto region = first_line(text);
    if (!is_region(region)) co_return fail(Code::not_found, "the instance's region '" + region + "' is none");
    co_return region;
}

} // namespace consign::oci::aws
