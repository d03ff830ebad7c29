#include "credential_chain.hpp"

namespace consign::oci::aws {

namespace {

struct Named {
    std::string_view name;
    Source ask;
};
constexpr Named kOrder[] = {{"environment", from_environment},
                            {"web identity", from_web_identity},
                            {"shared files", from_profile},
                            {"container endpoint", from_container},
                            {"instance metadata", from_instance}};

// Off AWS nobody answers at these addresses, and a command should not wait long for that.
net::ClientOptions metadata_options() {
    return {.connect_deadline = std::chrono::seconds(1), .io_deadline = std::chrono::seconds(5)};
}

} // namespace

CredentialChain::CredentialChain(net::Client& client, net::BlockingPool& pool, const Clock& clock,
                                 Environment environment)
    : metadata_(client.executor(), metadata_options()), around_{std::move(environment), client, metadata_,
                                                                pool, clock},
      kept_(client.executor(), clock) {}

net::Async<Result<Credentials>> CredentialChain::get() {
    co_return co_await kept_.get([this] { return find(); });
}

net::Async<Result<std::string>> CredentialChain::region() { co_return co_await find_region(around_); }

net::Async<Result<Credentials>> CredentialChain::find() {
    std::string said;
    for (const auto& source : kOrder) {
        auto answer = co_await source.ask(around_);
        if (!answer)
            co_return std::unexpected(
                with_context(std::move(answer).error(), "AWS credentials, " + std::string(source.name)));
        if (answer->credentials) co_return std::move(*answer->credentials);
        said += (said.empty() ? "" : "; ") + std::string(source.name) + ": " + answer->why_not;
    }
    co_return fail(Code::unauthenticated, "no AWS credentials. " + said,
                   "docs/registry-ecr.md says where they can come from");
}

} // namespace consign::oci::aws
