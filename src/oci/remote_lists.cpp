// Tags, referrers and the catalogue of a remote registry (distribution-spec 1.1, "Content Discovery").
#include "remote_repository.hpp"
#include <algorithm>
#include <format>

namespace consign::oci {

namespace {

using net::Async;
using net::Verb;

constexpr std::size_t kPageLimitBytes = 16u << 20;
// A registry that pages for ever, in circles or not, is cut off here.
constexpr int kPagesLimit = 10'000;

/// GET of all pages, each handed to `take`. not_found, unsupported and so on by the first answer.
Async<Result<void>> read_pages(RegistryClient& client, std::string target, std::string scope,
                               std::function<Result<void>(const json::Value& page)> take) {
    for (int page = 0; page < kPagesLimit; ++page) {
        auto request = client.request(Verb::get, target);
        request.headers.set("Accept", "application/json, " + std::string(media::kImageIndex));
        const auto url = request.url;
        CONSIGN_CO_TRY(response, co_await client.send(std::move(request), scope));
        if (!response.ok()) co_return std::unexpected(co_await client.error_of(response));
        const auto next = next_page(response.headers);
        CONSIGN_CO_TRY(text, co_await net::read_all(*response.body, kPageLimitBytes));
        CONSIGN_CO_TRY(parsed, json::parse(text));
        if (!parsed.is_object())
            co_return fail(Code::corrupt, url.str() + " did not answer with a JSON object");
        CONSIGN_CO_CHECK(take(parsed));
        if (!next) co_return Result<void>{};
        CONSIGN_CO_TRY(resolved, url.resolve(*next));
        if (resolved.origin() != url.origin())
            co_return fail(Code::unavailable, url.origin() + " continues its list at " + resolved.origin());
        if (resolved.target == target) co_return Result<void>{};
        target = resolved.target;
    }
    co_return fail(Code::too_large, client.registry().origin() + " lists without an end");
}

Async<Result<std::vector<std::string>>> read_names(RegistryClient& client, std::string target,
                                                   std::string scope, const char* key) {
    std::vector<std::string> out;
    CONSIGN_CO_CHECK(co_await read_pages(client, std::move(target), std::move(scope),
                                         [&out, key](const json::Value& page) -> Result<void> {
                                             const auto found = page.find(key);
                                             if (found == page.end() || found->is_null()) return {};
                                             if (!found->is_array())
                                                 return fail(Code::corrupt, std::string(key) + " is no list");
                                             for (const auto& name : *found)
                                                 if (name.is_string()) out.push_back(name.get<std::string>());
                                             return {};
                                         }));
    std::ranges::sort(out);
    const auto repeated = std::ranges::unique(out);
    out.erase(repeated.begin(), repeated.end());
    co_return out;
}

bool is_index(const ManifestBytes& manifest) {
    const auto parsed = Manifest::parse(manifest.body, manifest.descriptor.media_type);
    return parsed && parsed->is_index();
}

} // namespace

std::optional<std::string> next_page(const net::Headers& headers) {
    for (const auto field : headers.all("Link")) {
        const auto open = field.find('<');
        const auto close = field.find('>', open);
        if (open == std::string_view::npos || close == std::string_view::npos) continue;
        const auto parameters = field.substr(close);
        if (parameters.contains("rel=\"next\"") || parameters.contains("rel=next"))
            return std::string(field.substr(open + 1, close - open - 1));
    }
    return std::nullopt;
}

std::string fallback_tag(const Digest& digest) {
    return std::string(digest.algorithm()) + "-" + std::string(digest.hex());
}

Async<Result<std::vector<std::string>>> RemoteRepository::tags() {
    auto tags =
        co_await read_names(client_, "/v2/" + repository_ + "/tags/list?n=1000", scope(Access::pull), "tags");
    if (!tags) co_return std::unexpected(with_context(std::move(tags).error(), repository_));
    co_return tags;
}

Async<Result<std::vector<Descriptor>>> RemoteRepository::referrers(Digest subject) {
    std::vector<Descriptor> out;
    auto listed = co_await read_pages(client_, "/v2/" + repository_ + "/referrers/" + subject.str(),
                                      scope(Access::pull), [&out](const json::Value& page) -> Result<void> {
                                          const auto found = page.find("manifests");
                                          if (found == page.end() || found->is_null()) return {};
                                          CONSIGN_TRY(some, json::decode<std::vector<Descriptor>>(*found));
                                          std::ranges::move(some, std::back_inserter(out));
                                          return {};
                                      });
    if (listed) co_return out;
    // Those without the API answer in many ways: 404 by the spec, 405 and 400 by those that take the path for
    // something else.
    const auto code = listed.error().code;
    if (code != Code::not_found && code != Code::unsupported && code != Code::invalid_argument)
        co_return std::unexpected(std::move(listed).error());
    co_return co_await listed_by_tag(std::move(subject));
}

Async<Result<std::vector<Descriptor>>> RemoteRepository::listed_by_tag(Digest subject) {
    auto index = co_await fetch_manifest({.tag = fallback_tag(subject), .digest = {}});
    if (!index && index.error().code == Code::not_found) co_return std::vector<Descriptor>{};
    if (!index) co_return std::unexpected(std::move(index).error());
    // GitLab answers this tag with the image itself; other people's tags may be anything.
    if (!is_index(*index) || index->descriptor.digest == subject) co_return std::vector<Descriptor>{};
    CONSIGN_CO_TRY(parsed, Manifest::parse(index->body, index->descriptor.media_type));
    co_return std::move(parsed.manifests);
}

Async<Result<void>> RemoteRepository::list_by_tag(Descriptor subject, Descriptor referrer) {
    CONSIGN_CO_TRY(listed, co_await listed_by_tag(subject.digest));
    if (std::ranges::contains(listed, referrer.digest, &Descriptor::digest)) co_return Result<void>{};
    listed.push_back(std::move(referrer));
    auto entries = json::Value::array();
    for (const auto& one : listed) {
        auto entry = json::encode(one);
        if (one.annotations.empty()) entry.erase("annotations");
        entries.push_back(std::move(entry));
    }
    ManifestBytes index;
    index.body = json::dump(
        {{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", std::move(entries)}});
    index.descriptor.media_type = media::kImageIndex;
    index.descriptor.digest = Digest::sha256_of(index.body);
    index.descriptor.size = index.body.size();
    co_return co_await put_manifest(std::move(index), fallback_tag(subject.digest));
}

struct RemoteRegistry::Impl {
    RegistryClient client;
};

RemoteRegistry::RemoteRegistry(net::Client& client, RemoteOptions options)
    : impl_(new Impl{.client = {client, std::move(options)}}) {}
RemoteRegistry::~RemoteRegistry() = default;

Async<Result<void>> RemoteRegistry::ping() {
    auto& client = impl_->client;
    CONSIGN_CO_TRY(response, co_await client.send(client.request(Verb::get, "/v2/"), ""));
    if (response.status == 404)
        co_return fail(Code::not_found, client.registry().origin() + " is no OCI registry: it has no /v2/");
    if (!response.ok()) co_return std::unexpected(co_await client.error_of(response));
    co_await client.drop(response);
    co_return Result<void>{};
}

Async<Result<std::vector<std::string>>> RemoteRegistry::repositories() {
    auto names =
        co_await read_names(impl_->client, "/v2/_catalog?n=1000", "registry:catalog:*", "repositories");
    if (!names && names.error().code == Code::not_found)
        co_return fail(Code::unsupported,
                       impl_->client.registry().origin() + " does not list its repositories",
                       "name one: consign registry tags REGISTRY/REPOSITORY");
    co_return names;
}

} // namespace consign::oci
