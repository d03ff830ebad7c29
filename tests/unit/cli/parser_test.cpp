#include "cli/commands.hpp"
#include "cli/parser.hpp"
#include <catch2/catch.hpp>
#include <fstream>

using namespace consign;
using namespace consign::cli;

namespace {

struct Parsed {
    GlobalFlags flags;
    CommandSpec tree = command_tree(flags);
    std::map<std::string, std::string> environment;
    Result<Invocation> result = fail(Code::internal, "not parsed");

    explicit Parsed(std::vector<std::string> words, std::map<std::string, std::string> env = {})
        : environment(std::move(env)) {
        result = parse(tree, std::move(words), [this](const std::string& name) -> std::optional<std::string> {
            const auto found = environment.find(name);
            return found == environment.end() ? std::nullopt : std::optional(found->second);
        });
    }
    std::string command() const {
        return result ? words_of(result->path) : "error: " + result.error().message;
    }
    std::string message() const { return result ? "" : result.error().message; }
    std::string hint() const { return result ? "" : result.error().hint; }
};

} // namespace

TEST_CASE("words lead to commands") {
    struct Row {
        std::vector<std::string> words;
        std::string want;
    };
    const auto row = GENERATE(values<Row>({
        {{}, "consign"},
        {{"app", "list"}, "consign app list"},
        {{"build", "shop"}, "consign build"},
        {{"build", "shop/web", "shop/db", "--wait"}, "consign build"},
        {{"build", "list"}, "consign build list"},
        {{"build", "list", "--app", "shop"}, "consign build list"},
        {{"build", "show", "bld_1"}, "consign build show"},
        {{"deploy", "acme"}, "consign deploy"},
        {{"deploy", "show", "dep_1"}, "consign deploy show"},
        {{"build-agent", "--once"}, "consign build-agent"},
        {{"build-agent", "build", "shop", "--ims", "http://x"}, "consign build-agent build"},
        {{"build-agent", "--ims", "http://x", "build", "shop"}, "consign build-agent build"},
        // names that are also commands
        {{"install", "show", "status"}, "consign install show"},
        {{"install", "show", "list"}, "consign install show"},
        {{"build", "deploy"}, "consign build"},
        {{"release", "create", "ims"}, "consign release create"},
        {{"deploy", "app", "--release", "list"}, "consign deploy"},
        // global flags anywhere
        {{"-o", "json", "app", "list"}, "consign app list"},
        {{"app", "-o", "json", "list"}, "consign app list"},
        {{"app", "list", "-o", "json"}, "consign app list"},
        {{"app", "list", "--output=json"}, "consign app list"},
    }));
    CHECK(Parsed(row.words).command() == row.want);
}

TEST_CASE("flags beat the environment, the environment beats the file") {
    auto scratch = TemporaryDirectory::make("cli-test-").value();
    const auto file = (scratch.path() / "c.toml").string();
    std::ofstream(file) << "url = \"http://file\"\noutput = \"json\"\n";

    CHECK(Parsed({"status"}).flags.url == "http://127.0.0.1:8400");
    const Parsed from_file({"status", "--config", file});
    CHECK(from_file.command() == "consign status");
    CHECK(from_file.flags.url == "http://file");
    CHECK(from_file.flags.output == "json");
    CHECK(Parsed({"status"}, {{"CONSIGN_CONFIG", file}}).flags.url == "http://file");
    CHECK(Parsed({"status", "--config", file}, {{"CONSIGN_URL", "http://env"}}).flags.url == "http://env");
    CHECK(Parsed({"--url", "http://flag", "status", "--config", file}, {{"CONSIGN_URL", "http://env"}})
              .flags.url == "http://flag");
    CHECK(Parsed({"status"}, {{"CONSIGN_URL", ""}}).flags.url ==
          "http://127.0.0.1:8400"); // empty is as good as unset
}

TEST_CASE("the last one counts when a flag is given twice") {
    CHECK(Parsed({"status", "--url", "http://a", "--url", "http://b"}).flags.url == "http://b");
}

TEST_CASE("mistakes are named with what to write instead") {
    struct Row {
        std::vector<std::string> words;
        std::string message, hint;
    };
    const auto row = GENERATE(values<Row>({
        {{"deplyo", "acme"}, "'consign' has no command 'deplyo'", "did you mean 'deploy'?"},
        {{"app", "aply"}, "'consign app' has no command 'aply'", "did you mean 'apply'?"},
        {{"xyzzy"}, "'consign' has no command 'xyzzy'", "see 'consign --help'"},
        {{"deploy", "acme", "--relese", "1.0"},
         "'consign deploy' has no flag '--relese'",
         "did you mean '--release'?"},
        {{"deploy", "acme", "--wiat"}, "'consign deploy' has no flag '--wiat'", "did you mean '--wait'?"},
        {{"status", "--urll=http://x"}, "'consign status' has no flag '--urll'", "did you mean '--url'?"},
        {{"app", "list", "extra"},
         "'consign app list' has no use for 'extra'",
         "see 'consign app list --help'"},
        {{"build", "list", "extra"},
         "'consign build list' has no use for 'extra'",
         "see 'consign build list --help'"},
        {{"build", "list", "--wait"},
         "'consign build list' has no flag '--wait'",
         "see 'consign build list --help'"},
        {{"build-agent", "--slots", "3", "build", "shop"},
         "'consign build-agent build' has no flag '--slots'",
         "see 'consign build-agent build --help'"},
        {{"app"}, "'consign app' needs a command: apply, list, show", "see 'consign app --help'"},
        {{"app", "show"}, "'consign app show' needs APP", "the app's name; see 'consign app show --help'"},
        {{"build"},
         "'consign build' needs APP[/COMPONENT]…",
         "what to build; an app means all its components; see 'consign build --help'"},
        {{"app", "apply"},
         "'consign app apply' needs -f, --file FILE",
         "the app's consign.toml; - is standard input; see 'consign app apply --help'"},
        {{"ims", "--threads", "many"}, "--threads: 'many' is not a whole number from 1 to 256", ""},
        {{"ims", "--registry-mode", "proxy"}, "--registry-mode: 'proxy' is not one of: gateway, direct", ""},
        {{"app", "list", "-o", "jsn"}, "--output: 'jsn' is not one of: table, json", "did you mean 'json'?"},
    }));
    const Parsed parsed(row.words);
    CHECK(parsed.message() == row.message);
    CHECK(parsed.hint() == row.hint);
}

TEST_CASE("a bad value names where it came from") {
    CHECK(Parsed({"ims"}, {{"CONSIGN_THREADS", "many"}}).message().starts_with("CONSIGN_THREADS: 'many'"));
    auto scratch = TemporaryDirectory::make("cli-test-").value();
    const auto file = (scratch.path() / "c.toml").string();
    std::ofstream(file) << "[ims]\nthreads = \"many\"\n";
    CHECK(Parsed({"ims", "--config", file}).message().starts_with("threads in " + file + ": 'many'"));
    CHECK(Parsed({"status", "--config", file + ".missing"}).message().find("c.toml.missing") !=
          std::string::npos);
}

TEST_CASE("a flag without its value is a mistake") { CHECK_FALSE(Parsed({"status", "--url"}).result); }

TEST_CASE("help and version ask for nothing else") {
    CHECK(Parsed({"--help"}).result->help);
    CHECK(Parsed({"app", "show", "--help"}).command() == "consign app show");
    CHECK(Parsed({"app", "show", "-h"}).result->help);
    CHECK(Parsed({"--version"}).result->version);
    // `release create --version V` is another flag
    const Parsed release({"release", "create", "shop", "--version", "1.0"});
    REQUIRE(release.result);
    CHECK_FALSE(release.result->version);
}

TEST_CASE("the stronger of token and token file wins") {
    auto scratch = TemporaryDirectory::make("cli-test-").value();
    const auto file = (scratch.path() / "token").string();
    std::ofstream(file) << "from-file\n";
    const auto token = [&](std::vector<std::string> words, std::map<std::string, std::string> environment) {
        const Parsed parsed(std::move(words), std::move(environment));
        const Modes modes;
        return Context(parsed.flags, modes, {}).token().value().reveal();
    };
    CHECK(token({"status"}, {{"CONSIGN_TOKEN", "env"}}) == "env");
    CHECK(token({"status"}, {{"CONSIGN_TOKEN_FILE", file}}) == "from-file");
    CHECK(token({"status", "--token-file", file}, {{"CONSIGN_TOKEN", "env"}}) == "from-file");
    CHECK(token({"status", "--token", "flag"}, {{"CONSIGN_TOKEN_FILE", file}}) == "flag");
    CHECK(token({"status"}, {}).empty());
}
