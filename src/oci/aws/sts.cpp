#include "sts.hpp"
#include <format>

namespace consign::oci::aws {

namespace {

std::string session_name(std::string_view wanted) {
    std::string out;
    for (const char c : wanted.substr(0, 64)) {
        const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                          std::string_view("+=,.@-_").contains(c);
        out += good ? c : '-';
    }
    return out.size() < 2 ? "consign" : out;
}

using Form = std::vector<std::pair<std::string_view, std::string>>;

ServiceCall query_call(const Sts& sts, const Form& form) {
    std::string body;
    for (const auto& [name, value] : form)
        if (!value.empty())
            body += (body.empty() ? "" : "&") + std::string(name) + "=" + net::percent_encode(value);
    ServiceCall call{.request = {.verb = net::Verb::post, .url = sts.endpoint, .body = std::move(body)},
                     .scope = {sts.region, "sts"},
                     .xml = true};
    call.request.headers.set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8");
    return call;
}

net::Async<Result<Credentials>> credentials_of(net::Client& client, const Clock& clock, ServiceCall call,
                                               std::string source) {
    const auto who = call.request.url.host_header();
    CONSIGN_CO_TRY(body, co_await call_service(client, clock, std::move(call)));
    auto credentials = read_sts_credentials(body);
    if (!credentials) co_return std::unexpected(with_context(std::move(credentials).error(), who));
    credentials->source = std::move(source);
    co_return std::move(*credentials);
}

} // namespace

net::Async<Result<Credentials>> assume_role(net::Client& client, const Clock& clock, Sts sts,
                                            Credentials caller, AssumeRole request) {
    auto call = query_call(sts, {{"Action", "AssumeRole"},
                                 {"Version", "2011-06-15"},
                                 {"RoleArn", request.role_arn},
                                 {"RoleSessionName", session_name(request.session_name)},
                                 {"DurationSeconds", std::to_string(request.duration.count())},
                                 {"ExternalId", request.external_id},
                                 {"Policy", request.policy}});
    call.credentials = &caller; // lives in this frame as long as the call
    co_return co_await credentials_of(client, clock, std::move(call), "role " + request.role_arn);
}

net::Async<Result<Credentials>> assume_role_with_web_identity(net::Client& client, const Clock& clock,
                                                              Sts sts, AssumeRole request,
                                                              Secret<std::string> token) {
    auto call = query_call(sts, {{"Action", "AssumeRoleWithWebIdentity"},
                                 {"Version", "2011-06-15"},
                                 {"RoleArn", request.role_arn},
                                 {"RoleSessionName", session_name(request.session_name)},
                                 {"DurationSeconds", std::to_string(request.duration.count())},
                                 {"WebIdentityToken", token.reveal()}});
    co_return co_await credentials_of(client, clock, std::move(call), "web identity as " + request.role_arn);
}

std::string pull_policy(std::string_view repository_arn) {
    const json::Value policy = {
        {"Version", "2012-10-17"},
        {"Statement",
         {{{"Effect", "Allow"}, {"Action", "ecr:GetAuthorizationToken"}, {"Resource", "*"}},
          {{"Effect", "Allow"},
           {"Action", {"ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"}},
           {"Resource", repository_arn}}}}};
    return json::dump(policy);
}

} // namespace consign::oci::aws
