#include "copy_plan.hpp"
#include <algorithm>
#include <format>
#include <set>

namespace consign::oci {

namespace {

using net::Async;

constexpr int kDepthLimit = 8;
constexpr std::size_t kReferrersLimit = 10'000;
// Where cosign keeps what it makes for a manifest, when it does not use referrers.
constexpr const char* kCosignSuffixes[] = {".sig", ".att", ".sbom"};

std::string text_at(const json::Value& object, const char* key) {
    const auto found = object.find(key);
    return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::string platform_of(const Descriptor& entry) {
    if (!entry.platform || !entry.platform->is_object()) return {};
    auto out = text_at(*entry.platform, "os") + "/" + text_at(*entry.platform, "architecture");
    if (const auto variant = text_at(*entry.platform, "variant"); !variant.empty()) out += "/" + variant;
    return out;
}

class Planner {
  public:
    Planner(Repository& source, CopyOptions options, std::size_t limit)
        : source_(source), options_(std::move(options)), limit_(limit) {}

    Async<Result<CopyPlan>> run(TagOrDigest which, std::string tag) {
        CONSIGN_CO_TRY(found, co_await source_.fetch_manifest(std::move(which)));
        CONSIGN_CO_TRY(root, co_await filtered(std::move(found)));
        const auto digest = root.descriptor.digest;
        CONSIGN_CO_CHECK(co_await gather(std::move(root), 1, std::move(tag)));
        if (options_.referrers) {
            CONSIGN_CO_CHECK(co_await gather_referrers());
            // The root last: whoever sees its tag finds everything there.
            std::ranges::stable_partition(plan_.manifests, [&](const CopyPlan::Item& item) {
                return item.manifest.descriptor.digest != digest;
            });
        }
        co_return std::move(plan_);
    }

  private:
    Async<Result<void>> gather(ManifestBytes bytes, int depth, std::string tag) {
        if (!seen_manifests_.insert(bytes.descriptor.digest).second) co_return Result<void>{};
        if (depth > kDepthLimit)
            co_return fail(Code::unsupported,
                           std::format("{} of {} is nested deeper than {} indexes",
                                       bytes.descriptor.digest.str(), source_.describe(), kDepthLimit));
        plan_.manifest_bytes += bytes.body.size();
        if (plan_.manifest_bytes > limit_)
            co_return fail(Code::too_large,
                           std::format("the manifests of {} have more than {} bytes together",
                                       source_.describe(), limit_));
        auto parsed = Manifest::parse(bytes.body, bytes.descriptor.media_type);
        if (!parsed) co_return std::unexpected(with_context(std::move(parsed).error(), source_.describe()));
        for (auto& blob : parsed->blobs())
            if (seen_blobs_.insert(blob.digest).second) plan_.blobs.push_back(std::move(blob));
        for (const auto& child : parsed->manifests) {
            CONSIGN_CO_TRY(fetched,
                           co_await source_.fetch_manifest(TagOrDigest{.tag = {}, .digest = child.digest}));
            if (fetched.body.size() != child.size)
                co_return fail(Code::corrupt, std::format("manifest {} of {} has {} bytes, its index says {}",
                                                          child.digest.str(), source_.describe(),
                                                          fetched.body.size(), child.size));
            fetched.descriptor.media_type = child.media_type;
            CONSIGN_CO_CHECK(co_await gather(std::move(fetched), depth + 1, ""));
        }
        plan_.manifests.push_back({.manifest = std::move(bytes), .tag = std::move(tag)});
        co_return Result<void>{};
    }

    /// What refers to the manifests so far, and to what is found on the way.
    Async<Result<void>> gather_referrers() {
        for (std::size_t i = 0; i < plan_.manifests.size(); ++i) {
            if (i > kReferrersLimit)
                co_return fail(Code::too_large, source_.describe() + " has too many referrers",
                               "copy without them: --no-referrers");
            const auto subject = plan_.manifests[i].manifest.descriptor.digest;
            CONSIGN_CO_TRY(listed, co_await source_.referrers(subject));
            for (const auto& one : listed) {
                if (seen_manifests_.contains(one.digest)) continue;
                auto fetched = co_await source_.fetch_manifest(TagOrDigest{.tag = {}, .digest = one.digest});
                if (!fetched && fetched.error().code == Code::not_found) continue; // a list may be behind
                if (!fetched) co_return std::unexpected(std::move(fetched).error());
                CONSIGN_CO_CHECK(co_await gather(std::move(*fetched), 1, ""));
            }
            CONSIGN_CO_CHECK(co_await gather_cosign(subject));
        }
        co_return Result<void>{};
    }

    Async<Result<void>> gather_cosign(Digest subject) {
        const auto prefix = std::string(subject.algorithm()) + "-" + std::string(subject.hex());
        for (const char* suffix : kCosignSuffixes) {
            const auto tag = prefix + suffix;
            auto fetched = co_await source_.fetch_manifest(TagOrDigest{.tag = tag, .digest = {}});
            if (!fetched && fetched.error().code == Code::not_found) continue;
            if (!fetched) co_return std::unexpected(std::move(fetched).error());
            if (fetched->descriptor.digest == subject) continue; // see remote_lists.cpp on GitLab
            CONSIGN_CO_CHECK(co_await gather(std::move(*fetched), 1, tag));
        }
        co_return Result<void>{};
    }

    /// The root that the platforms ask for.
    Async<Result<ManifestBytes>> filtered(ManifestBytes root) {
        if (options_.platforms.empty()) co_return std::move(root);
        auto parsed = Manifest::parse(root.body, root.descriptor.media_type);
        if (!parsed) co_return std::unexpected(with_context(std::move(parsed).error(), source_.describe()));
        if (!parsed->is_index()) co_return std::move(root);
        std::set<Digest> kept;
        const Descriptor* first = nullptr;
        for (const auto& wanted : options_.platforms) {
            bool any = false;
            for (const auto& entry : parsed->manifests) {
                if (!takes_in(wanted, entry)) continue;
                any = true;
                if (!first) first = &entry;
                kept.insert(entry.digest);
            }
            if (!any) co_return unknown_platform(wanted, *parsed);
        }
        if (options_.platforms.size() == 1) {
            CONSIGN_CO_TRY(only,
                           co_await source_.fetch_manifest(TagOrDigest{.tag = {}, .digest = first->digest}));
            only.descriptor.media_type = first->media_type;
            co_return std::move(only);
        }
        co_return smaller_index(root, kept);
    }

    std::unexpected<Error> unknown_platform(std::string_view wanted, const Manifest& index) const {
        std::string there;
        for (const auto& entry : index.manifests)
            if (const auto name = platform_of(entry); !name.empty())
                there += (there.empty() ? "" : ", ") + name;
        return fail(Code::not_found, std::format("{} has nothing for {}", source_.describe(), wanted),
                    there.empty() ? "its index names no platforms" : "it has: " + there);
    }

    static Result<ManifestBytes> smaller_index(const ManifestBytes& root, const std::set<Digest>& kept) {
        CONSIGN_TRY(document, json::parse(root.body));
        auto entries = json::Value::array();
        for (const auto& entry : document.at("manifests")) {
            // BuildKit's attestations stand beside what they are about, and name it in an annotation.
            const auto annotations = entry.find("annotations");
            const auto about = annotations != entry.end() && annotations->is_object()
                                   ? text_at(*annotations, "vnd.docker.reference.digest")
                                   : std::string();
            const auto is_kept = [&](const std::string& text) {
                const auto digest = Digest::parse(text);
                return digest && kept.contains(*digest);
            };
            if (is_kept(text_at(entry, "digest")) || is_kept(about)) entries.push_back(entry);
        }
        document["manifests"] = std::move(entries);
        ManifestBytes out;
        out.body = json::dump(document);
        out.descriptor = root.descriptor;
        out.descriptor.digest = Digest::sha256_of(out.body);
        out.descriptor.size = out.body.size();
        return out;
    }

    Repository& source_;
    CopyOptions options_;
    std::size_t limit_;
    CopyPlan plan_;
    std::set<Digest> seen_manifests_, seen_blobs_;
};

} // namespace

bool takes_in(std::string_view wanted, const Descriptor& entry) {
    const auto has = platform_of(entry);
    return has == wanted ||
           (std::ranges::count(wanted, '/') == 1 && has.starts_with(std::string(wanted) + "/"));
}

Async<Result<CopyPlan>> plan_copy(Repository& source, TagOrDigest which, std::string tag, CopyOptions options,
                                  std::size_t limit) {
    Planner planner(source, std::move(options), limit);
    co_return co_await planner.run(std::move(which), std::move(tag));
}

} // namespace consign::oci
