#pragma once
// Where a component's source comes from: a directory here, a git repository, or a tree that the client
// uploaded.
#include "consign/model/app_config.hpp"
#include "consign/oci/repository.hpp"
#include "consign/protocol/types.hpp"
#include <filesystem>
#include <functional>
#include <stop_token>

namespace consign::build {

/// A source tree on disk, ready to be packed.
struct SourceTree {
    std::filesystem::path directory;
    std::string version = {}; ///< commit of a git source, digest of an uploaded one; empty: none of its own
    std::int64_t mtime_s = 0; ///< of every packed entry: the commit's time, or 0
};

/// `directory` below `root`, as it is. not_found if it is none.
Result<SourceTree> local_source(const std::filesystem::path& root, const std::string& directory);

/// Fetches one commit into `scratch`/source with the git program: no history, no hooks, no submodules, no
/// questions. `log` gets what git says. Blocks. Errors: invalid_argument (a URL, ref or dir that git must not
/// see, a dir that leaves the tree), unsupported (no git program), failed (git's own words), cancelled.
Result<SourceTree> git_source(const model::GitSource& source, const std::filesystem::path& scratch,
                              const std::function<void(std::string_view)>& log, std::stop_token stop);

/// The password in a URL like https://user:password@host/, which must not be logged; empty: none.
std::string password_in(std::string_view url);

/// Downloads and unpacks an uploaded tree into `scratch`/source. On the executor of `repository`.
net::Async<Result<SourceTree>> uploaded_source(oci::Repository& repository, Digest digest,
                                               std::filesystem::path scratch, net::BlockingPool& pool,
                                               std::stop_token stop);

} // namespace consign::build
