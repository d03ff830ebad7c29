#include "cli/registry_inspect.hpp"
#include <format>
#include <set>

namespace consign::cli {
namespace {

constexpr int kDepthLimit = 8;
constexpr std::size_t kManifestsLimit = 2'000;

Inspected::Blob blob_of(const oci::Descriptor& descriptor) {
    return {.digest = descriptor.digest, .media_type = descriptor.media_type, .size = descriptor.size};
}

std::optional<std::string> platform_of(const oci::Descriptor& entry) {
    if (!entry.platform || !entry.platform->is_object()) return std::nullopt;
    std::string out;
    for (const char* key : {"os", "architecture", "variant"})
        if (const auto found = entry.platform->find(key);
            found != entry.platform->end() && found->is_string())
            out += (out.empty() ? "" : "/") + found->get<std::string>();
    return out;
}

net::Async<Result<Inspected>> look(oci::Repository* repository, oci::TagOrDigest which, int depth,
                                   std::shared_ptr<std::set<Digest>> seen) {
    CONSIGN_CO_TRY(fetched, co_await repository->fetch_manifest(std::move(which)));
    auto parsed = oci::Manifest::parse(fetched.body, fetched.descriptor.media_type);
    if (!parsed) co_return std::unexpected(with_context(std::move(parsed).error(), repository->describe()));
    Inspected out{.digest = fetched.descriptor.digest,
                  .media_type = parsed->media_type,
                  .size = fetched.body.size(),
                  .platform = {},
                  .artifact_type = parsed->artifact_type,
                  .annotations = parsed->annotations};
    if (parsed->config) out.config = blob_of(*parsed->config);
    for (const auto& layer : parsed->layers) out.layers.push_back(blob_of(layer));
    const bool deeper = depth < kDepthLimit && seen->size() < kManifestsLimit;
    if (!seen->insert(out.digest).second || !deeper) co_return out;
    for (const auto& child : parsed->manifests) {
        auto one = co_await look(repository, {.tag = {}, .digest = child.digest}, depth + 1, seen);
        if (!one && one.error().code != Code::not_found) co_return std::unexpected(std::move(one).error());
        if (!one) { // a copy of some platforms only: it is named, and not there
            Inspected missing{.digest = child.digest, .media_type = child.media_type, .size = child.size};
            missing.platform = platform_of(child);
            missing.annotations = {{"missing", "not in this repository"}};
            out.manifests.push_back(std::move(missing));
            continue;
        }
        one->platform = platform_of(child);
        out.manifests.push_back(std::move(*one));
    }
    CONSIGN_CO_TRY(referrers, co_await repository->referrers(out.digest));
    for (const auto& referrer : referrers) {
        auto one = co_await look(repository, {.tag = {}, .digest = referrer.digest}, depth + 1, seen);
        if (one) out.referrers.push_back(std::move(*one));
    }
    co_return out;
}

void add_bytes(const Inspected& node, std::map<Digest, std::uint64_t>& sizes) {
    sizes[node.digest] = node.size;
    if (node.config) sizes[node.config->digest] = node.config->size;
    for (const auto& layer : node.layers) sizes[layer.digest] = layer.size;
    for (const auto& child : node.manifests) add_bytes(child, sizes);
}

std::string short_type(std::string_view type) {
    for (const std::string_view prefix :
         {"application/vnd.oci.image.", "application/vnd.docker.", "application/vnd."})
        if (type.starts_with(prefix)) return std::string(type.substr(prefix.size()));
    return std::string(type);
}

std::string headline(const Inspected& node) {
    std::string out;
    if (node.platform && !node.platform->empty()) out += *node.platform + "  ";
    out += node.digest.str() + "  " + short_type(node.artifact_type.value_or(node.media_type)) + "  " +
           human_size(node.size);
    if (node.annotations.contains("missing")) out += "  (not here)";
    return out;
}

void draw(const Inspected& node, const std::string& indent, std::vector<std::string>& out) {
    std::vector<std::pair<std::string, const Inspected*>> below;
    const auto blob = [](const char* what, const Inspected::Blob& one) {
        return std::format("{:<7} {}  {}  {}", what, one.digest.str(), human_size(one.size),
                           short_type(one.media_type));
    };
    if (node.config) below.emplace_back(blob("config", *node.config), nullptr);
    for (const auto& layer : node.layers) below.emplace_back(blob("layer", layer), nullptr);
    for (const auto& child : node.manifests) below.emplace_back(headline(child), &child);
    for (const auto& referrer : node.referrers)
        below.emplace_back("referrer " + headline(referrer), &referrer);
    for (std::size_t i = 0; i < below.size(); ++i) {
        const bool last = i + 1 == below.size();
        out.push_back(indent + (last ? "└─ " : "├─ ") + below[i].first);
        if (below[i].second) draw(*below[i].second, indent + (last ? "   " : "│  "), out);
    }
}

} // namespace

net::Async<Result<Inspected>> inspect(oci::Repository* repository, oci::TagOrDigest which) {
    return look(repository, std::move(which), 1, std::make_shared<std::set<Digest>>());
}

std::uint64_t total_bytes(const Inspected& root) {
    std::map<Digest, std::uint64_t> sizes;
    add_bytes(root, sizes);
    std::uint64_t out = 0;
    for (const auto& [digest, size] : sizes) out += size;
    return out;
}

std::vector<std::string> tree_of(const Inspected& root) {
    std::vector<std::string> out{headline(root)};
    draw(root, "", out);
    return out;
}

} // namespace consign::cli
