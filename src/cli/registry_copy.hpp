#pragma once
#include "cli/registry_place.hpp"

namespace consign::cli {

/// `consign registry copy`, and export and import, which are copies to and from an archive.
struct CopyFlags {
    std::string source, target;
    ReachFlags source_reach, target_reach;
    int jobs = 6;
    std::vector<std::string> platforms;
    bool all_platforms = false; ///< the default, and there to be said
    bool no_referrers = false;
    bool no_resume = false;
    std::filesystem::path state_directory;
};
std::vector<OptionSpec> copy_options(CopyFlags& flags);
Result<int> copy_image(Context& context, const CopyFlags& flags, Place source, Place target);

} // namespace consign::cli
