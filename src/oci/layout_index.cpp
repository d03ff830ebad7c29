#include "layout_index.hpp"
#include <algorithm>
#include <set>

namespace consign::oci {

namespace {

constexpr std::size_t kReferrersScanned = 10'000;

std::string tag_of(const Descriptor& entry) {
    const auto name = entry.annotations.find(kRefName);
    return name == entry.annotations.end() ? std::string() : name->second;
}

} // namespace

LayoutIndex::LayoutIndex()
    : document_(
          {{"schemaVersion", 2}, {"mediaType", media::kImageIndex}, {"manifests", json::Value::array()}}) {}

Result<LayoutIndex> LayoutIndex::parse(std::string_view text, const std::string& where) {
    LayoutIndex out;
    auto parsed = json::parse(text);
    if (!parsed || !parsed->is_object() || !parsed->contains("manifests") ||
        !parsed->at("manifests").is_array())
        return fail(Code::corrupt, where + " is not an image index");
    out.document_ = std::move(*parsed);
    auto entries = json::decode<std::vector<Descriptor>>(out.document_.at("manifests"));
    if (!entries) return fail(Code::corrupt, where + ": manifests" + entries.error().message);
    out.entries_ = std::move(*entries);
    return out;
}

Result<void> LayoutIndex::check_marker(std::string_view text, const std::string& where) {
    const auto parsed = json::parse(text);
    if (parsed && parsed->is_object() && parsed->value("imageLayoutVersion", json::Value()) == "1.0.0")
        return {};
    return fail(Code::unsupported, where + " names an image layout version that is not 1.0.0");
}

std::string LayoutIndex::text() const {
    auto out = document_;
    auto& entries = out["manifests"] = json::Value::array();
    for (const auto& entry : entries_) {
        auto one = json::encode(entry);
        if (entry.annotations.empty()) one.erase("annotations");
        entries.push_back(std::move(one));
    }
    return json::dump(out);
}

Result<std::optional<Descriptor>> LayoutIndex::find(const TagOrDigest& which) const {
    std::set<Digest> all, tagged;
    const Descriptor* found = nullptr;
    const bool any = !which.digest && which.tag.empty();
    for (const auto& entry : entries_) {
        const auto tag = tag_of(entry);
        all.insert(entry.digest);
        if (!tag.empty()) tagged.insert(entry.digest);
        if (!any && (which.digest ? entry.digest == *which.digest : tag == which.tag)) found = &entry;
    }
    if (any) {
        const auto& candidates = all.size() == 1 ? all : tagged;
        if (candidates.size() > 1 || (candidates.empty() && !all.empty())) {
            std::string names;
            for (const auto& tag : tags()) names += (names.empty() ? "" : ", ") + tag;
            return fail(Code::invalid_argument, "there are several images, and none was named",
                        names.empty() ? "name one by its digest" : "name one of: " + names);
        }
        for (const auto& entry : entries_)
            if (!candidates.empty() && entry.digest == *candidates.begin()) found = &entry;
    }
    if (!found) return std::nullopt;
    auto out = *found;
    out.annotations.erase(kRefName);
    return out;
}

std::vector<std::string> LayoutIndex::tags() const {
    std::set<std::string> out;
    for (const auto& entry : entries_)
        if (auto tag = tag_of(entry); !tag.empty()) out.insert(std::move(tag));
    return {out.begin(), out.end()};
}

void LayoutIndex::set(Descriptor descriptor, const std::string& tag) {
    if (tag.empty()) {
        if (!std::ranges::contains(entries_, descriptor.digest, &Descriptor::digest))
            entries_.push_back(std::move(descriptor));
        return;
    }
    std::erase_if(entries_, [&](const Descriptor& old) {
        return tag_of(old) == tag || (tag_of(old).empty() && old.digest == descriptor.digest);
    });
    descriptor.annotations[kRefName] = tag;
    entries_.push_back(std::move(descriptor));
}

bool LayoutIndex::remove(const TagOrDigest& which) {
    return std::erase_if(entries_, [&](const Descriptor& entry) {
               return which.digest ? entry.digest == *which.digest : tag_of(entry) == which.tag;
           }) > 0;
}

Result<ManifestBytes> manifest_from(Descriptor descriptor, std::string body) {
    descriptor.size = body.size();
    if (descriptor.media_type.empty()) {
        CONSIGN_TRY(parsed, Manifest::parse(body, ""));
        descriptor.media_type = parsed.media_type;
    }
    return ManifestBytes{.descriptor = std::move(descriptor), .body = std::move(body)};
}

net::Async<Result<std::vector<Descriptor>>>
listed_referrers(LayoutIndex index, Digest subject,
                 std::function<net::Async<Result<std::string>>(Digest digest)> load) {
    std::vector<Descriptor> out;
    std::set<Digest> seen;
    for (const auto& entry : index.all()) {
        if (seen.size() >= kReferrersScanned || !seen.insert(entry.digest).second) continue;
        const auto body = co_await load(entry.digest);
        if (!body) continue; // whoever fetches it will say why
        const auto parsed = Manifest::parse(*body, entry.media_type);
        if (!parsed || !parsed->subject || parsed->subject->digest != subject) continue;
        out.push_back(entry);
        out.back().annotations = parsed->annotations;
        out.back().artifact_type = parsed->artifact_type;
    }
    co_return out;
}

} // namespace consign::oci
