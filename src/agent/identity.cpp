#include "agent/identity.hpp"
#include "consign/net/server.hpp"

namespace consign::agent {
namespace {

constexpr const char* kFileName = "agent.json";

Error not_an_ims(const net::Url& ims, const Exchange& answer) {
    return {Code::unavailable,
            "there is no IMS at " + ims.str() + ": it answered HTTP " + std::to_string(answer.status) +
                " with " + (answer.content_type.empty() ? "no content type" : answer.content_type),
            "give the URL that `consign ims` prints, with --ims"};
}

/// What an enrolment's refusal means to the person who started the agent.
Error explain(Error error, const protocol::EnrollRequest& request) {
    const bool token_is_bad = error.code == Code::unauthenticated || !may_pass(error.code);
    if (error.hint.empty() && token_is_bad) error.hint = enroll_hint(request.kind);
    return with_context(std::move(error), "enrolment refused");
}

} // namespace

std::string enroll_hint(protocol::AgentKind kind) {
    return kind == protocol::AgentKind::build
               ? "get a new token with `consign agent enroll` and pass it with --enroll"
               : "ask the vendor for a new token (`consign install enroll NAME`) and pass it with --enroll";
}

Result<net::Url> parse_ims_url(std::string_view text) {
    auto url = net::Url::parse(text);
    if (!url) {
        Error error = with_context(std::move(url).error(), "the URL of the IMS");
        if (error.hint.empty()) error.hint = "write it like https://ims.example.com, with --ims";
        return std::unexpected(std::move(error));
    }
    if (const auto query = url->target.find('?'); query != std::string::npos) url->target.resize(query);
    while (url->target.ends_with('/')) url->target.pop_back();
    return url;
}

Result<std::optional<Identity>> load_identity(const std::filesystem::path& data) {
    const auto file = data / kFileName;
    const auto text = read_file(file, 1u << 20);
    if (!text) {
        if (text.error().code == Code::not_found) return std::nullopt;
        return std::unexpected(text.error());
    }
    auto identity = json::decode_text<Identity>(*text);
    if (!identity)
        return fail(Code::corrupt, file.string() + " is damaged: " + identity.error().message,
                    "remove it and enrol again with a new token");
    return std::optional(std::move(*identity));
}

Result<void> save_identity(const std::filesystem::path& data, const Identity& identity) {
    return write_file_atomic(data / kFileName, std::string_view(json::dump(json::encode(identity), 2) + "\n"),
                             0600);
}

net::Async<Result<Identity>> enroll(net::Client& http, net::Url ims, protocol::EnrollRequest request) {
    net::ClientRequest call{.verb = net::Verb::post, .url = ims};
    call.url.target += "/v1/agents/enroll";
    call.headers.set("Content-Type", "application/json");
    call.body = json::to_text(request);
    auto answer = co_await exchange(http, std::move(call));
    if (!answer) {
        Error error = with_context(std::move(answer).error(), "cannot reach the IMS at " + ims.str());
        if (error.hint.empty())
            error.hint = "check --ims, and that the IMS runs and can be reached from here";
        co_return std::unexpected(std::move(error));
    }
    if (answer->is_problem())
        co_return std::unexpected(
            explain(net::error_from(answer->status, answer->content_type, answer->body), request));
    if (!answer->ok()) co_return std::unexpected(not_an_ims(ims, *answer));
    auto enrolled = json::decode_text<protocol::EnrollResponse>(answer->body);
    if (!enrolled) co_return std::unexpected(not_an_ims(ims, *answer));

    co_return Identity{.agent = enrolled->agent,
                       .ims_url = ims.str(),
                       .ims = enrolled->ims,
                       .vendor_public_key = enrolled->vendor_public_key,
                       .install = enrolled->install,
                       .install_name = enrolled->install_name,
                       .kind = request.kind};
}

} // namespace consign::agent
