#include "server_impl.hpp"
#include <charconv>
#include <format>

namespace consign::oci {

namespace {

constexpr std::size_t kPageLimit = 1000; // also what a request without `n` gets
// A list of referrers is an index, and clients take no larger one than any other manifest. What the JSON adds to the
// annotations is less than the other half.
constexpr std::size_t kReferrersPageBytes = kManifestLimitBytes / 2;

struct Paging {
    std::size_t count = kPageLimit;
    std::string after;
};

Result<Paging> paging_of(const net::Query& query) {
    Paging out{.count = kPageLimit, .after = query.get_or("last", "")};
    if (const auto n = query.get("n")) {
        if (n->empty() || n->find_first_not_of("0123456789") != std::string_view::npos)
            return fail(Code::invalid_argument,
                        "n must be a number, not '" + std::string(n->substr(0, 20)) + "'");
        std::size_t wanted = 0;
        const auto read = std::from_chars(n->data(), n->data() + n->size(), wanted);
        if (read.ec == std::errc()) out.count = std::min(wanted, kPageLimit); // else more than any page has
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
    if (!exchange.grant.catalog && !access_to(exchange.grant, "*", Action::pull).whole)
        co_return denied(exchange, "pull");
    const auto paging = paging_of(exchange.request.query);
    if (!paging) co_return error_response(400, "UNSUPPORTED", paging.error());
    const auto page = co_await core.database->read([paging = *paging](store::Connection& c) {
        return metadata::repositories(c, paging.after, paging.count);
    });
    if (!page) co_return error_response(page.error(), Subject::name);
    co_return list_response({{"repositories", page->items}}, *page, *paging, "/v2/_catalog");
}

net::Async<net::Response> RegistryServer::Impl::referrers(Exchange& exchange) {
    const auto access = exchange.access(Action::pull);
    if (!access.any()) co_return denied(exchange, "pull");
    auto digest = Digest::parse(exchange.path.reference);
    if (!digest) co_return error_response(digest.error(), Subject::blob);
    const auto& query = exchange.request.query;
    const auto paging = paging_of(query);
    if (!paging) co_return error_response(400, "UNSUPPORTED", paging.error());
    std::optional<std::string> type;
    if (const auto wanted = query.get("artifactType"); wanted && !wanted->empty()) type = std::string(*wanted);
    metadata::ReferrersPage page;
    if (access.whole) { // a closure does not reach up to those that refer to it
        auto listed = co_await core.database->read([repository = exchange.path.repository, digest = *digest,
                                                    type, paging = *paging](store::Connection& c) {
            return metadata::referrers(
                c, repository, digest, type,
                {.after = paging.after, .count = paging.count, .bytes = kReferrersPageBytes});
        });
        if (!listed) co_return error_response(listed.error(), Subject::manifest);
        page = std::move(*listed);
    }
    auto found = json::Value::array();
    for (const auto& one : page.items) {
        auto value = json::encode(one);
        if (one.annotations.empty()) value.erase("annotations");
        found.push_back(std::move(value));
    }
    net::Response response;
    response.body = json::dump(
        {{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", std::move(found)}});
    response.headers.set("Content-Type", std::string(media::kImageIndex));
    if (type) response.headers.set("OCI-Filters-Applied", "artifactType");
    if (page.more && !page.items.empty())
        response.headers.set(
            "Link", std::format("</v2/{}/referrers/{}?n={}&last={}{}>; rel=\"next\"", exchange.path.repository,
                                digest->str(), paging->count, page.items.back().digest.str(),
                                type ? "&artifactType=" + net::percent_encode(*type) : ""));
    co_return response;
}

} // namespace consign::oci
