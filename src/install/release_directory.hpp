#pragma once
// Versioned release directories: releases/<version>-<12 hex of the digest>[.N], with releases/<name>.json
// beside each that is complete. The same artifact with the same rendering is one directory, whatever the
// release is called; other input values for the same release get the next N. (The values' hash is not part of
// the name: names are logged, and a hash of a short secret gives it away.)
#include "install/render.hpp"
#include <functional>
#include <set>
#include <stop_token>

namespace consign::install {

struct PreparedRelease {
    std::string name;
    model::BundleRun run; ///< rendered
    bool reused = false;  ///< it was there already; nothing was unpacked
};

/// Unpacks the artifact's layer into an empty directory.
using Unpack = std::function<Result<void>(const std::filesystem::path& target)>;

/// Finds or makes the directory of `spec`: unpacked and rendered beside it, then renamed, so that a directory
/// with a name is whole after any crash. Nothing that runs is touched. Blocks; one caller per component at a
/// time.
Result<PreparedRelease> prepare_release(const ComponentPaths& paths, const protocol::ApplySpec& spec,
                                        Scope scope, const Unpack& unpack);

/// Whether the files of a prepared release are still as they were prepared. Blocks.
Result<protocol::Finding> compare_release(const ComponentPaths& paths, const std::string& name,
                                          const std::stop_token& stop);

/// Removes everything below releases/ but these (leftovers of crashes too). Blocks.
Result<void> keep_only(const ComponentPaths& paths, const std::set<std::string>& names);

} // namespace consign::install
