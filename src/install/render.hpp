#pragma once
// Interpolation on the install's side: the values that a component's templates may name
// (model/template_scope.hpp lists the paths), and the texts they are put into. It happens here, so that
// secrets stay in the account.
#include "consign/model/interpolate.hpp"
#include "consign/protocol/specs.hpp"
#include "install/paths.hpp"
#include <set>

namespace consign::install {

struct Scope {
    std::map<std::string, std::string, std::less<>> values; ///< path → text
    std::set<std::string, std::less<>> sensitive;           ///< paths whose text must not be logged
    std::string component;

    model::Lookup lookup() const; ///< valid while the scope lives
    /// components.<component>.directory: where this release is being prepared. It follows from all other
    /// values.
    std::string own_directory() const { return "components." + component + ".directory"; }
};

/// `registry` is "host:port" of the install registry. A dependency's directory is its `current` link, not the
/// release behind it: what was rendered once stays right when the dependency is updated or rolled back.
Scope make_scope(const protocol::ApplySpec& spec, const std::filesystem::path& data,
                 std::string_view registry);

/// Every secret text in the spec: each sensitive input as templates see it, and each string and line inside
/// it.
std::vector<std::string> secrets_of(const protocol::ApplySpec& spec);

/// All texts of `run` rendered. invalid_argument names where ("web: run.service[2]: line 1: …").
Result<model::BundleRun> render_run(const model::BundleRun& run, const Scope& scope);

/// Renders the file in place, keeping its mode; without access for group and others if a sensitive value went
/// in. Blocks. `name` is the declared path below `directory`; refused if it leads out of it.
Result<void> render_file(const std::filesystem::path& directory, const std::string& name, const Scope& scope);

/// The paths that the texts of `run` and its template files in `directory` name. Blocks.
Result<std::set<std::string>> paths_used(const model::BundleRun& run, const std::filesystem::path& directory,
                                         const std::string& component);

/// Hex digest of what `run` becomes with these values: two renderings differ only if their fingerprints do.
/// Paths that are not used do not count, so a component is left alone when an input changes that it does not
/// read.
std::string fingerprint(const model::BundleRun& run, const std::set<std::string>& paths, const Scope& scope);

} // namespace consign::install
