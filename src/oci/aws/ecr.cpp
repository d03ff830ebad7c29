#include "ecr.hpp"

namespace consign::oci::aws {

Ecr::Ecr(net::Client& client, const Clock& clock, Identity who, net::Url endpoint, std::string region,
         std::string account)
    : client_(client), clock_(clock), who_(std::move(who)), endpoint_(std::move(endpoint)),
      region_(std::move(region)), account_(std::move(account)) {}

net::Async<Result<std::string>> Ecr::call(std::string operation, json::Value parameters) {
    CONSIGN_CO_TRY(credentials, co_await who_());
    ServiceCall call{.request = {.verb = net::Verb::post, .url = endpoint_, .body = json::dump(parameters)},
                     .scope = {region_, "ecr"},
                     .credentials = &credentials};
    call.request.headers.set("Content-Type", "application/x-amz-json-1.1");
    call.request.headers.set("X-Amz-Target", "AmazonEC2ContainerRegistry_V20150921." + operation);
    auto body = co_await call_service(client_, clock_, std::move(call));
    if (!body) co_return std::unexpected(with_context(std::move(body).error(), operation));
    co_return std::move(*body);
}

net::Async<Result<EcrAuthorization>> Ecr::authorization() {
    CONSIGN_CO_TRY(body, co_await call("GetAuthorizationToken", json::Value::object()));
    auto read = read_authorization(body);
    if (!read) co_return std::unexpected(with_context(std::move(read).error(), "GetAuthorizationToken"));
    co_return std::move(*read);
}

net::Async<Result<EcrRepository>> Ecr::describe(std::string name) {
    json::Value parameters{{"repositoryNames", json::Value::array({name})}};
    if (!account_.empty()) parameters["registryId"] = account_;
    CONSIGN_CO_TRY(body, co_await call("DescribeRepositories", std::move(parameters)));
    auto read = read_repository(body);
    if (!read)
        co_return std::unexpected(with_context(std::move(read).error(), "DescribeRepositories " + name));
    co_return std::move(*read);
}

net::Async<Result<EcrRepository>> Ecr::create(std::string name, NewRepository how) {
    json::Value parameters{{"repositoryName", name},
                           {"imageTagMutability", how.immutable_tags ? "IMMUTABLE" : "MUTABLE"},
                           {"imageScanningConfiguration", {{"scanOnPush", how.scan_on_push}}}};
    if (!account_.empty()) parameters["registryId"] = account_;
    CONSIGN_CO_TRY(body, co_await call("CreateRepository", std::move(parameters)));
    auto read = read_repository(body);
    if (!read) co_return std::unexpected(with_context(std::move(read).error(), "CreateRepository " + name));
    co_return std::move(*read);
}

} // namespace consign::oci::aws
