#include "server_impl.hpp"
#include <charconv>
#include <format>

namespace consign::oci {

namespace {

constexpr std::size_t kPageLimit = 1000; // also what a request without `n` gets

struct Paging {
    std::size_t count = kPageLimit;
    std::string after;
};

Result<Paging> paging_of(const net::Query& query) {
    Paging out{.count = kPageLimit, .after = query.get_or("last", "")};
    if (const auto n = query.get("n")) {
        std::size_t wanted = 0;
        const auto [end, error] = std::from_chars(n->data(), n->data() + n->size(), wanted);
        if (error != std::errc() || end != n->data() + n->size())
            return fail(Code::invalid_argument,
                        "n must be a number, not '" + std::string(n->substr(0, 20)) + "'");
        out.count = std::min(wanted, kPageLimit);
    }
    return out;
}

net::Response list_response(json::Value body, const metadata::Page& page, const Paging& paging,
                            const std::string& path) {
    auto response = net::Response::json(200, json::dump(body));
    if (page.more && !page.items.empty())
        response.headers.set("Link", std::format("<{}?n={}&last={}>; rel=\"next\"", path, paging.count,
                                                 net::percent_encode(page.items.back())));
    return response;
}

} // namespace

net::Async<net::Response> RegistryServer::Impl::tags(Exchange& exchange) {
    const auto access = exchange.access(Action::pull);
    if (!access.any()) co_return denied(exchange, "pull");
    if (!access.whole) co_return denied(exchange, "listing tags");
    const auto paging = paging_of(exchange.request.query);
    if (!paging) co_return error_response(400, "UNSUPPORTED", paging.error());
    const auto& name = exchange.path.repository;
    const auto page = co_await core.database->read(
        [name, paging = *paging](store::Connection& c) -> Result<metadata::Page> {
            CONSIGN_TRY(known, metadata::has_repository(c, name));
            if (!known) return fail(Code::not_found, "there is no repository " + name);
            return metadata::tags(c, name, paging.after, paging.count);
        });
    if (!page) co_return error_response(page.error(), Subject::name);
    co_return list_response({{"name", name}, {"tags", page->items}}, *page, *paging,
                            "/v2/" + name + "/tags/list");
}

net::Async<net::Response> RegistryServer::Impl::catalog(Exchange& exchange) {
    if (!access_to(exchange.grant, "*", Action::pull).whole)
        co_return error_response(
            Error{Code::permission_denied, "the credential does not allow listing the repositories"},
            Subject::name);
    const auto paging = paging_of(exchange.request.query);
    if (!paging) co_return error_response(400, "UNSUPPORTED", paging.error());
    const auto page = co_await core.database->read([paging = *paging](store::Connection& c) {
        return metadata::repositories(c, paging.after, paging.count);
    });
    if (!page) co_return error_response(page.error(), Subject::name);
    co_return list_response({{"repositories", page->items}}, *page, *paging, "/v2/_catalog");
}

} // namespace consign::oci
