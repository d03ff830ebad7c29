#include "install/release_directory.hpp"
#include "consign/base/file.hpp"
#include "install/listing.hpp"
#include <algorithm>
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;

/// Beside each complete release directory; written after it, so that its presence says "whole".
struct Description {
    Digest digest;
    std::vector<std::string> paths; ///< that its templates name
    std::string fingerprint;

    static constexpr auto fields(auto& self, auto&& f) {
        f("digest", self.digest);
        f("paths", self.paths);
        f("fingerprint", self.fingerprint);
    }
};

fs::path description_file(const ComponentPaths& paths, std::string_view name) {
    return paths.releases() / (std::string(name) + ".json");
}

fs::path listing_file(const ComponentPaths& paths, std::string_view name) {
    return paths.releases() / (std::string(name) + ".files");
}

bool is_there(const fs::path& path) {
    std::error_code error;
    return fs::exists(fs::symlink_status(path, error));
}

/// A version is free text to us: only what is harmless in a file name stays.
std::string base_name(std::string version, const Digest& digest) {
    static constexpr std::string_view kHarmless =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
    version.resize(std::min<std::size_t>(version.size(), 64));
    std::ranges::replace_if(version, [](char c) { return !kHarmless.contains(c); }, '_');
    if (version.starts_with('.')) version[0] = '_';
    return version + "-" + std::string(digest.hex().substr(0, 12));
}

/// The complete directory with this content, whatever release it was made for.
std::optional<std::string> find_prepared(const ComponentPaths& paths, const protocol::ApplySpec& spec,
                                         const Scope& scope) {
    std::error_code error;
    for (fs::directory_iterator it(paths.releases(), error), end; !error && it != end; it.increment(error)) {
        if (it->path().extension() != ".json") continue;
        const auto text = read_file(it->path());
        if (!text) continue;
        const auto description = json::decode_text<Description>(*text);
        if (!description || description->digest != spec.artifact.digest) continue;
        const std::set<std::string> used(description->paths.begin(), description->paths.end());
        const auto name = it->path().stem().string();
        if (fingerprint(spec.component.run, used, scope) == description->fingerprint &&
            is_there(paths.release(name)))
            return name;
    }
    return std::nullopt;
}

/// A name without a description is free: whatever is there is the rest of a crash.
std::string free_name(const ComponentPaths& paths, const protocol::ApplySpec& spec) {
    const auto base = base_name(spec.release, spec.artifact.digest);
    for (int n = 1;; ++n) {
        auto name = n == 1 ? base : base + "." + std::to_string(n);
        if (!is_there(description_file(paths, name))) return name;
    }
}

/// Sets the one value that follows from all the others.
Result<model::BundleRun> render_in(const ComponentPaths& paths, const std::string& name,
                                   const protocol::ApplySpec& spec, Scope& scope) {
    scope.values[scope.own_directory()] = paths.release(name).string();
    return render_run(spec.component.run, scope);
}

Result<PreparedRelease> make_release(const ComponentPaths& paths, const protocol::ApplySpec& spec,
                                     Scope scope, const Unpack& unpack, const fs::path& unfinished) {
    const auto& run = spec.component.run;
    CONSIGN_CHECK(make_directories(unfinished));
    CONSIGN_CHECK(unpack(unfinished));
    CONSIGN_TRY(used, paths_used(run, unfinished, scope.component));
    const Description description{.digest = spec.artifact.digest,
                                  .paths = {used.begin(), used.end()},
                                  .fingerprint = fingerprint(run, used, scope)};

    const auto name = free_name(paths, spec);
    CONSIGN_TRY(rendered, render_in(paths, name, spec, scope));
    for (const auto& file : run.templates) CONSIGN_CHECK(render_file(unfinished, file, scope));

    CONSIGN_TRY(listing, list_tree(unfinished));
    CONSIGN_CHECK(save_listing(listing_file(paths, name), listing));
    CONSIGN_CHECK(remove_tree(paths.release(name)));
    if (::rename(unfinished.c_str(), paths.release(name).c_str()) != 0)
        return fail_errno("cannot move the new release to '" + paths.release(name).string() + "'", errno);
    // Its fsync of releases/ makes the rename durable as well.
    CONSIGN_CHECK(write_file_atomic(description_file(paths, name), json::to_text(description), 0600));
    return PreparedRelease{.name = name, .run = std::move(rendered), .reused = false};
}

} // namespace

Result<PreparedRelease> prepare_release(const ComponentPaths& paths, const protocol::ApplySpec& spec,
                                        Scope scope, const Unpack& unpack) {
    CONSIGN_CHECK(make_directories(paths.releases()));
    CONSIGN_CHECK(make_directories(paths.data()));
    if (const auto name = find_prepared(paths, spec, scope)) {
        CONSIGN_TRY(rendered, render_in(paths, *name, spec, scope));
        return PreparedRelease{.name = *name, .run = std::move(rendered), .reused = true};
    }
    // One writer per component: what bears the name is the rest of a crash.
    const auto unfinished = paths.releases() / ".unfinished";
    CONSIGN_CHECK(remove_tree(unfinished));
    auto made = make_release(paths, spec, std::move(scope), unpack, unfinished);
    if (!made) (void)remove_tree(unfinished); // the next attempt, and keep_only(), remove it as well
    return made;
}

Result<protocol::Finding> compare_release(const ComponentPaths& paths, const std::string& name,
                                          const std::stop_token& stop) {
    const auto before = load_listing(listing_file(paths, name));
    if (!before && before.error().code == Code::not_found) // prepared by a version that made none
        return protocol::Finding{true, "not known: its release was prepared without a listing"};
    if (!before) return std::unexpected(before.error());
    if (!is_there(paths.release(name))) return protocol::Finding{false, "its release directory is gone"};
    CONSIGN_TRY(found, differences(*before, paths.release(name), stop));
    const bool same = found.empty();
    return protocol::Finding{same, std::move(found)};
}

Result<void> keep_only(const ComponentPaths& paths, const std::set<std::string>& names) {
    std::vector<fs::path> superfluous;
    std::error_code error;
    for (fs::directory_iterator it(paths.releases(), error), end; !error && it != end; it.increment(error)) {
        const auto& path = it->path();
        const bool beside = path.extension() == ".json" || path.extension() == ".files";
        const auto name = beside ? path.stem().string() : path.filename().string();
        if (!names.contains(name) && !names.contains(path.filename().string())) superfluous.push_back(path);
    }
    // Descriptions first: a directory that is half removed must not look whole.
    std::ranges::stable_partition(superfluous,
                                  [](const fs::path& path) { return path.extension() == ".json"; });
    for (const auto& path : superfluous) CONSIGN_CHECK(remove_tree(path));
    return {};
}

} // namespace consign::install
