#pragma once
// What a directory tree holds, file by file, so that a later look can tell what has changed. All of it blocks.
#include "consign/base/error.hpp"
#include <filesystem>
#include <map>
#include <stop_token>
#include <string>

namespace consign::install {

/// Path below the root → what is there: "sha256 mode" of a file, "-> target" of a link. Directories are in the
/// names of what they hold.
using Listing = std::map<std::string, std::string>;

Result<Listing> list_tree(const std::filesystem::path& root, const std::stop_token& stop = {});
Result<void> save_listing(const std::filesystem::path& file, const Listing& listing);
Result<Listing> load_listing(const std::filesystem::path& file); ///< not_found, corrupt

/// What of `before` is gone or another below `root` now: "etc/web.conf changed, bin/serve missing and 3 more"; empty:
/// nothing. Only what is listed is looked at: programs write where they run.
Result<std::string> differences(const Listing& before, const std::filesystem::path& root,
                                const std::stop_token& stop = {});

} // namespace consign::install
