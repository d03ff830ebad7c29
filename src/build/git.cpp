// The git program does the transfer. What a consign.toml says reaches its command line, so everything that
// git could take for an option or for more than one ref is refused here, and git itself is held to four
// protocols: "ext::sh -c" is a URL, too.
#include "build/source.hpp"
#include "consign/base/subprocess.hpp"
#include <algorithm>
#include <charconv>
#include <cstdlib>

namespace consign::build {
namespace {

namespace fs = std::filesystem;
using Log = std::function<void(std::string_view)>;

constexpr std::size_t kKeptBytes = 4096; // of what git said: enough for its last words

Error refused(std::string_view what, const std::string& value) {
    return {Code::invalid_argument,
            "the git source's " + std::string(what) + " '" + value + "' cannot be used",
            "see `source` of the component in consign.toml"};
}

Result<void> check(const model::GitSource& source) {
    const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
    if (source.url.empty() || source.url.starts_with('-') || std::ranges::any_of(source.url, is_control))
        return std::unexpected(refused("url", source.url));
    // What git-check-ref-format forbids; ':' and '+' make a refspec, '^' and '@{' an expression.
    if (source.ref.empty() || source.ref.starts_with('-') || source.ref.starts_with('+') ||
        source.ref.contains("..") || source.ref.contains("@{") ||
        source.ref.find_first_of(" ~^:?*[\\") != source.ref.npos ||
        std::ranges::any_of(source.ref, is_control))
        return std::unexpected(refused("ref", source.ref));
    const fs::path dir(source.dir);
    if (dir.is_absolute() || std::ranges::contains(dir, fs::path("..")) || source.dir.contains('\0'))
        return std::unexpected(refused("dir", source.dir));
    return {};
}

/// One repository in the scratch directory, its files beside it: the tree holds what was committed and
/// nothing else.
class Git {
  public:
    Git(const fs::path& scratch, const Log& log, std::stop_token stop)
        : tree_(scratch / "source"), log_(log), stop_(std::move(stop)) {
        environment_ = minimal_environment();
        environment_["GIT_DIR"] = scratch / "git";
        environment_["GIT_WORK_TREE"] = tree_;
        environment_["GIT_TERMINAL_PROMPT"] = "0"; // a question would wait for ever
        environment_["GIT_ALLOW_PROTOCOL"] = "https:ssh:git:file";
        environment_["GIT_SSH_COMMAND"] = "ssh -o BatchMode=yes";
        environment_["LC_ALL"] = "C";
        if (const char* agent = std::getenv("SSH_AUTH_SOCK")) environment_["SSH_AUTH_SOCK"] = agent;
    }
    const fs::path& tree() const { return tree_; }

    /// The last line of what it said. failed: git's words. `quiet`: not in the log.
    Result<std::string> run(std::vector<std::string> arguments, bool quiet = false) {
        const std::string verb = arguments.front();
        Command command{.argv = {"git", "-c", "core.hooksPath=/dev/null", "-c", "core.autocrlf=false", "-c",
                                 "submodule.recurse=false", "-c", "advice.detachedHead=false"},
                        .directory = tree_,
                        .environment = environment_};
        std::ranges::move(arguments, std::back_inserter(command.argv));
        std::string said;
        auto status = consign::run(
            command,
            [&](std::string_view text) {
                if (!quiet) log_(text);
                said += text;
                if (said.size() > kKeptBytes) said.erase(0, said.size() - kKeptBytes);
            },
            stop_);
        if (!status && status.error().code == Code::not_found)
            return fail(Code::unsupported,
                        "the source is a git repository, and this machine has no git program",
                        "install git where the build runs (apt-get install git)");
        if (!status) return std::unexpected(with_context(std::move(status).error(), "git " + verb));
        if (!status->ok())
            return fail(Code::failed, "git " + verb + ": " + status->describe() + ": " + cause(said));
        return last_line(said);
    }

  private:
    static std::string last_line(std::string_view text) {
        while (text.ends_with('\n') || text.ends_with('\r')) text.remove_suffix(1);
        const auto start = text.find_last_of("\r\n");
        return std::string(start == text.npos ? text : text.substr(start + 1));
    }
    /// From git's first "fatal:" or "error:" on: that line says why. Later ones only say what could not be
    /// done then.
    static std::string cause(std::string_view text) {
        for (const std::string_view mark : {"fatal: ", "error: "})
            if (const auto at = text.find(mark); at != text.npos)
                return std::string(text.substr(at, text.find('\n', at) - at));
        return last_line(text);
    }

    const fs::path tree_;
    const Log& log_;
    std::stop_token stop_;
    std::map<std::string, std::string> environment_;
};

bool looks_like_commit(std::string_view ref) {
    return ref.size() >= 7 && ref.size() <= 64 &&
           std::ranges::all_of(ref, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

/// Fetches `ref` and returns its commit.
Result<std::string> fetch(Git& git, const model::GitSource& source) {
    auto shallow = git.run(
        {"fetch", "--depth", "1", "--no-tags", "--no-recurse-submodules", "--", source.url, source.ref});
    if (shallow) return git.run({"rev-parse", "--verify", "--end-of-options", "FETCH_HEAD^{commit}"}, true);
    if (shallow.error().code != Code::failed || !looks_like_commit(source.ref)) return shallow;
    // Some servers give a commit by its name only to whoever has a branch with it, and none a short name.
    CONSIGN_CHECK(git.run({"fetch", "--no-recurse-submodules", "--", source.url,
                           "+refs/heads/*:refs/remotes/all/*", "+refs/tags/*:refs/tags/*"}));
    return git.run({"rev-parse", "--verify", "--end-of-options", source.ref + "^{commit}"}, true);
}

/// `dir` below the tree, its symlinks followed: they may lead anywhere.
Result<fs::path> subdirectory(const fs::path& tree, const std::string& dir) {
    if (dir.empty()) return tree;
    std::error_code error;
    const auto root = fs::canonical(tree, error);
    const auto path = error ? fs::path() : fs::canonical(tree / dir, error);
    if (error || !fs::is_directory(path, error))
        return fail(Code::not_found, "the git source has no directory '" + dir + "'",
                    "see `source.dir` in consign.toml");
    const auto below = path.lexically_relative(root);
    if (below.empty() || *below.begin() == "..") return std::unexpected(refused("dir", dir));
    return path;
}

} // namespace

std::string password_in(std::string_view url) {
    const auto start = url.find("://");
    if (start == url.npos) return {};
    const auto authority = url.substr(start + 3, url.find('/', start + 3) - start - 3);
    const auto at = authority.rfind('@');
    const auto colon = authority.find(':');
    if (at == authority.npos || colon == authority.npos || colon > at) return {};
    return std::string(authority.substr(colon + 1, at - colon - 1));
}

Result<SourceTree> git_source(const model::GitSource& source, const fs::path& scratch, const Log& log,
                              std::stop_token stop) {
    CONSIGN_CHECK(check(source));
    Git git(scratch, log, std::move(stop));
    CONSIGN_CHECK(make_directories(git.tree(), 0700));
    CONSIGN_CHECK(git.run({"init", "--quiet", "--template="}));
    auto commit = fetch(git, source);
    if (!commit) {
        if (commit.error().code == Code::failed)
            commit.error().hint = "check url and ref of the component's source in consign.toml";
        return std::unexpected(std::move(commit).error());
    }
    CONSIGN_CHECK(git.run({"checkout", "--quiet", "--detach", *commit}));
    CONSIGN_TRY(time, git.run({"log", "-1", "--no-show-signature", "--format=%ct", *commit}, true));
    SourceTree tree{.directory = {}, .version = *commit};
    if (std::from_chars(time.data(), time.data() + time.size(), tree.mtime_s).ec != std::errc{} ||
        tree.mtime_s < 0)
        return fail(Code::failed, "commit " + *commit + " has no usable time: " + time);
    CONSIGN_TRY(directory, subdirectory(git.tree(), source.dir));
    tree.directory = std::move(directory);
    return tree;
}

} // namespace consign::build
