#include "build/source.hpp"
#include "consign/base/subprocess.hpp"
#include <catch2/catch.hpp>
#include <cstdlib>

using namespace consign;
using namespace consign::build;
namespace fs = std::filesystem;

namespace {

/// A repository with two commits, a tag on the first, and a branch.
struct Fixture {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("git"));
    fs::path repository = directory.path() / "upstream", scratch = directory.path() / "scratch";
    std::string first, second, said;

    Fixture() {
        REQUIRE(make_directories(repository));
        REQUIRE(make_directories(scratch));
        git({"init", "--quiet", "--initial-branch=main"});
        write("web/index.html", "one\n");
        write("README", "hello\n");
        fs::create_symlink("/etc", repository / "web" / "out");
        first = commit();
        git({"tag", "-a", "v1", "-m", "one"});
        write("web/index.html", "two\n");
        second = commit();
    }
    std::string git(std::vector<std::string> arguments) const {
        Command command{.argv = {"git"}, .directory = repository, .environment = minimal_environment()};
        for (const char* who : {"AUTHOR", "COMMITTER"}) {
            command.environment[std::string("GIT_") + who + "_NAME"] = "T";
            command.environment[std::string("GIT_") + who + "_EMAIL"] = "t@example.com";
            command.environment[std::string("GIT_") + who + "_DATE"] = "1700000000 +0000";
        }
        std::ranges::move(arguments, std::back_inserter(command.argv));
        std::string out;
        const auto status = run(command, [&](std::string_view text) { out += text; });
        REQUIRE(status);
        if (!status->ok()) FAIL(out);
        while (out.ends_with('\n')) out.pop_back();
        return out;
    }
    void write(const fs::path& file, std::string_view text) const {
        REQUIRE(make_directories((repository / file).parent_path()));
        REQUIRE(write_file_atomic(repository / file, text));
    }
    std::string commit() const {
        git({"add", "-A"});
        git({"commit", "--quiet", "-m", "change"});
        return git({"rev-parse", "HEAD"});
    }
    Result<SourceTree> fetch(std::string ref, std::string dir = "", std::string url = "") {
        const model::GitSource source{
            .url = url.empty() ? "file://" + repository.string() : url, .ref = ref, .dir = dir};
        return git_source(source, scratch, [this](std::string_view text) { said += text; }, {});
    }
};

} // namespace

TEST_CASE_METHOD(Fixture, "a git source is the tree of one commit, named by it and dated by it", "[build]") {
    struct Row {
        std::string ref, version, text;
    };
    const Row rows[] = {{"main", second, "two\n"},
                        {"v1", first, "one\n"},
                        {"refs/tags/v1", first, "one\n"},
                        {first, first, "one\n"},
                        {first.substr(0, 10), first, "one\n"}};
    for (const auto& row : rows) {
        CAPTURE(row.ref);
        fs::remove_all(scratch);
        REQUIRE(make_directories(scratch));
        const auto tree = fetch(row.ref);
        if (!tree) FAIL(to_string(tree.error()));
        CHECK(tree->version == row.version);
        CHECK(tree->mtime_s == 1700000000);
        CHECK(read_file(tree->directory / "web" / "index.html") == row.text);
        CHECK_FALSE(fs::exists(tree->directory / ".git"));
    }
}

TEST_CASE_METHOD(Fixture, "a directory of it is taken, if it is one and inside", "[build]") {
    const auto tree = fetch("main", "web");
    REQUIRE(tree);
    CHECK(read_file(tree->directory / "index.html") == "two\n");
    fs::remove_all(scratch);
    REQUIRE(make_directories(scratch));

    SECTION("missing") { CHECK(fetch("main", "nowhere").error().code == Code::not_found); }
    SECTION("a file") { CHECK(fetch("main", "README").error().code == Code::not_found); }
    SECTION("up") { CHECK(fetch("main", "web/../..").error().code == Code::invalid_argument); }
    SECTION("absolute") { CHECK(fetch("main", "/etc").error().code == Code::invalid_argument); }
    SECTION("through a link") { CHECK(fetch("main", "web/out").error().code == Code::invalid_argument); }
}

TEST_CASE_METHOD(Fixture, "what git would take for something else never reaches it", "[build]") {
    const auto ref =
        GENERATE(values<std::string>({"", "-v", "--upload-pack=touch x", "+main", "main:refs/heads/x", "a b",
                                      "main^", "main~1", "HEAD@{1}", "a..b", "refs/*", "a\nb"}));
    CAPTURE(ref);
    CHECK(fetch(ref).error().code == Code::invalid_argument);
    CHECK(said.empty());
    for (const std::string url : {"-oProxyCommand=x", "--upload-pack=touch x", "a\nb"})
        CHECK(fetch("main", "", url).error().code == Code::invalid_argument);
}

TEST_CASE_METHOD(Fixture, "protocols that run programs are refused", "[build]") {
    const auto mark = directory.path() / "mark";
    const auto tree = fetch("main", "", "ext::sh -c \"touch " + mark.string() + "\"");
    REQUIRE_FALSE(tree);
    CHECK(tree.error().code == Code::failed);
    CHECK_FALSE(fs::exists(mark));
}

TEST_CASE_METHOD(Fixture, "git's own words say what is wrong", "[build]") {
    const auto missing = fetch("v9");
    REQUIRE_FALSE(missing);
    CHECK(missing.error().code == Code::failed);
    CHECK(missing.error().message.contains("couldn't find remote ref"));
    CHECK_FALSE(missing.error().hint.empty());
    const auto nobody = fetch("main", "", "file:///nonexistent/repository");
    REQUIRE_FALSE(nobody);
    CHECK(nobody.error().message.contains("fatal: "));
}

TEST_CASE_METHOD(Fixture, "a machine without git is told so", "[build]") {
    const std::string path = std::getenv("PATH");
    ::setenv("PATH", scratch.c_str(), 1);
    const auto tree = fetch("main");
    ::setenv("PATH", path.c_str(), 1);
    REQUIRE_FALSE(tree);
    CHECK(tree.error().code == Code::unsupported);
    CHECK(tree.error().hint.contains("install git"));
}

TEST_CASE_METHOD(Fixture, "a fetch can be stopped", "[build]") {
    std::stop_source stop;
    stop.request_stop();
    const model::GitSource source{.url = "file://" + repository.string(), .ref = "main", .dir = ""};
    CHECK(git_source(
              source, scratch, [](std::string_view) {}, stop.get_token())
              .error()
              .code == Code::cancelled);
}

TEST_CASE("the password in a URL is known, so that it can be hidden", "[build]") {
    CHECK(password_in("https://me:s3cret@host/x.git") == "s3cret");
    CHECK(password_in("https://me:a:b@host:8443") == "a:b");
    CHECK(password_in("https://token@host/x:y@z") == "");
    CHECK(password_in("https://host:8443/x") == "");
    CHECK(password_in("git@host:path") == "");
}
