#include "cli/commands.hpp"
#include "cli/config_file.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::cli;

namespace {
const std::vector<std::string>* find(const ConfigFile& file, std::vector<std::string> command,
                                     const std::string& flag) {
    return file.find(command, flag);
}
} // namespace

TEST_CASE("a command's table beats the top of the file") {
    const auto file =
        ConfigFile::parse("data = \"top\"\nslots = 3\n[ims]\ndata = \"server\"\ntls_cert = \"c.pem\"\n"
                          "[install.create]\ninput = [\"a=1\", \"b=2\"]\n",
                          "c.toml");
    REQUIRE(file);
    CHECK(*find(*file, {"ims"}, "data") == std::vector<std::string>{"server"});
    CHECK(*find(*file, {"build-agent"}, "data") == std::vector<std::string>{"top"});
    CHECK(*find(*file, {"build-agent"}, "slots") == std::vector<std::string>{"3"});
    CHECK(*find(*file, {"ims"}, "tls-cert") == std::vector<std::string>{"c.pem"});
    CHECK(*find(*file, {"install", "create"}, "input") == std::vector<std::string>{"a=1", "b=2"});
    CHECK(find(*file, {"install", "set"}, "input") == nullptr);
}

TEST_CASE("a setting that nothing has is a typo") {
    GlobalFlags flags;
    const auto tree = command_tree(flags);
    const auto check = [&](std::string_view toml) {
        return ConfigFile::parse(toml, "c.toml").value().check(tree);
    };
    CHECK(check("url = \"http://x\"\n[deploy]\nwait = true\nurl = \"http://y\"\n[ims]\ndata = \"d\"\n"));
    const auto typo = check("[deploy]\nwiat = true\n");
    REQUIRE_FALSE(typo);
    CHECK(typo.error().message == "c.toml: 'deploy.wiat' is not a setting");
    CHECK(typo.error().hint == "did you mean 'deploy.wait'?");
    CHECK_FALSE(check("[deploy]\nslots = 3\n"));
    CHECK_FALSE(check("help = true\n"));
}

TEST_CASE("a broken file names the place") {
    const auto broken = ConfigFile::parse("url = \n", "c.toml");
    REQUIRE_FALSE(broken);
    CHECK(broken.error().message.starts_with("c.toml:1:"));
    const auto odd = ConfigFile::parse("url = 1979-05-27\n", "c.toml");
    REQUIRE_FALSE(odd);
    CHECK(odd.error().message.starts_with("c.toml:1:"));
}
