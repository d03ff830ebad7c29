#include "consign/model/app_config.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::model;
using Catch::Matchers::Contains;

namespace {

constexpr auto* kShop = R"(app = "shop"
description = "sells things"

[inputs.port]
type = "number"          # string | number | bool | list | map
default = 8080
description = "where the shop listens"

[inputs.db_password]
sensitive = true

[[component]]
name = "web"
type = "bundle"
source = "./web"
depends_on = ["db"]
[component.run]
provision = [["./bin/migrate", "--to", "{{ components.db.directory }}"]]
service = ["./bin/serve", "--port", "{{ inputs.port }}"]
environment = { HOME = "{{ install.data }}", VERSION = "{{ release.version }}" }
templates = ["etc/web.conf"]
health = { http = "http://127.0.0.1:{{ inputs.port }}/healthz", within_s = 45 }

[[component]]
name = "db"
type = "bundle"
source = { git = "https://git.example/db.git", ref = "v1.2.0", dir = "db" }
)";

std::string minimal(std::string_view more = "") {
    return std::string("app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = \".\"\n") +
           std::string(more);
}

std::vector<std::string> faults_of(std::string_view toml) {
    const auto got = parse_app_config(toml, "consign.toml");
    std::vector<std::string> out;
    if (!got)
        for (const auto& fault : got.error()) out.push_back(to_string(fault));
    return out;
}

} // namespace

TEST_CASE("the example of the design reads as it is meant") {
    const auto config = parse_app_config(kShop, "consign.toml");
    REQUIRE(config);
    CHECK(config->app == "shop");
    CHECK(config->description == "sells things");
    CHECK(config->inputs.at("port").type == InputType::number);
    CHECK(config->inputs.at("port").default_value == json::Value(8080));
    CHECK(config->inputs.at("db_password").sensitive);
    CHECK_FALSE(config->inputs.at("db_password").default_value);
    REQUIRE(config->components.size() == 2);
    CHECK(config->components[0].name == "db"); // before what depends on it
    CHECK(config->components[0].source.git->ref == "v1.2.0");
    CHECK(config->components[0].source.git->dir == "db");
    const auto* web = config->component("web");
    REQUIRE(web);
    CHECK(web->source.directory == "./web");
    CHECK(web->run.provision ==
          std::vector<Argv>{{"./bin/migrate", "--to", "{{ components.db.directory }}"}});
    CHECK(web->run.service.size() == 3);
    CHECK(web->run.environment.at("HOME") == "{{ install.data }}");
    CHECK(web->run.templates == std::vector<std::string>{"etc/web.conf"});
    CHECK(web->run.health->within_s == 45);
    CHECK(config->component("nobody") == nullptr);
}

TEST_CASE("a config survives the way through JSON") {
    const auto config = parse_app_config(kShop, "consign.toml");
    REQUIRE(config);
    const auto text = json::to_text(*config);
    const auto back = json::decode_text<AppConfig>(text, json::Unknown::refuse);
    REQUIRE(back);
    CHECK(json::to_text(*back) == text);
}

TEST_CASE("every fault comes at once, in the order of the file, with its place and what to write") {
    const auto faults = faults_of(R"(app = "Shop"
colour = "red"

[inputs.Port]
type = "nubmer"
default = 3

[inputs.size]
type = "number"
default = "big"

[[component]]
name = "web"
type = "bundle"
source = "../web"
depends_on = ["dbb"]
[component.run]
sevrice = ["x"]
service = ["./serve", "{{ inputs.sze }}"]
health = { http = "http://x/", tcp = "x:1", within_s = 0 }

[[component]]
name = "db"
type = "bundle"
source = "./db"
)");
    const std::vector<std::string> want{
        "consign.toml:1:7: app: 'Shop' is not a name (use a-z, 0-9 and '-', at most 63 characters, such as "
        "\"web-1\")",
        "consign.toml:2:1: colour: is not a known key (known keys: app, component, description, inputs)",
        "consign.toml:4:9: inputs.Port: 'Port' is not the name of an input (begin with a-z and go on with "
        "a-z, 0-9 and '_', such as \"db_port\")",
        "consign.toml:5:8: inputs.Port.type: 'nubmer' is not a type (did you mean 'number'?)",
        "consign.toml:10:11: inputs.size.default: expected a value of type number, got a string (give a "
        "default of that type, or change the type)",
        "consign.toml:15:10: component[web].source: '../web' leaves its directory with '..' (write a path "
        "below it, such as \"./web\")",
        "consign.toml:16:15: component[web].depends_on[0]: no component is named 'dbb' (did you mean 'db'?)",
        "consign.toml:18:1: component[web].run.sevrice: is not a known key (did you mean 'service'?)",
        "consign.toml:19:23: component[web].run.service[1]: nothing is known by the path 'inputs.sze' (did "
        "you mean 'inputs.size'?)",
        "consign.toml:20:10: component[web].run.health: has more than one probe (give exactly one of http, "
        "tcp and command)",
        "consign.toml:20:56: component[web].run.health.within_s: 0 is out of range (write a number of "
        "seconds from 1 to 3600)",
    };
    CHECK(faults == want);
}

TEST_CASE("one fault, told well") {
    struct Row {
        std::string toml, want;
    };
    const auto row = GENERATE(values<Row>({
        {"", "app: is missing (write app = \"shop\")"},
        {"app = \"shop\"", "component: the app has no component"},
        {"app = \"shop\"\n[component]\nname = \"web\"", "write [[component]], with two brackets"},
        {"app = ", "consign.toml:1:"},
        {"app = 3", "app: expected a string, got an integer (write \"3\")"},
        {"app = \"a\"\napp = \"b\"", "consign.toml:2:"},
        {minimal("[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = \".\""),
         "component[#2].name: a second component is named 'web'"},
        {minimal("[[component]]\ntype = \"bundle\"\nsource = \".\""), "component[#2].name: is missing"},
        {minimal("depends_on = [\"web\"]"), "components depend on each other in a circle: web → web"},
        {minimal("depends_on = \"web\""),
         "component[web].depends_on: expected an array, got a string (write [\"web\"])"},
        {minimal("[component.run]\nservice = []"), "component[web].run.service: names no program"},
        {minimal("[component.run]\nservice = [\"\"]"), "component[web].run.service: names no program"},
        {minimal("[component.run]\nservice = [\"a\\u0000b\"]"),
         "component[web].run.service[0]: holds a NUL character"},
        {minimal("[component.run]\nprovision = [\"./migrate\"]"), "put it in another pair of brackets"},
        {minimal("[component.run]\ntemplates = [\"/etc/passwd\"]"), "'/etc/passwd' is absolute"},
        {minimal("[component.run]\ntemplates = [\"a/../../b\"]"), "leaves its directory with '..'"},
        {minimal("[component.run]\ntemplates = [\"a\", \"a\"]"),
         "component[web].run.templates[1]: 'a' is listed twice"},
        {minimal("[component.run.environment]\n\"1A\" = \"x\""), "'1A' is not the name of a variable"},
        {minimal("[component.run]\nhealth = {}"), "component[web].run.health: has no probe"},
        {minimal("[component.run]\nhealth = { http = \"localhost\" }"), "'localhost' is not a URL"},
        {minimal("[component.run]\nhealth = { tcp = \"localhost\" }"), "'localhost' names no port"},
        {minimal("[component.run]\nhealth = { command = [] }"), "run.health.command: names no program"},
        {minimal("[component.run]\nservice = [\"{{ inputs.port }}\"]"),
         "nothing is known by the path 'inputs.port' (declare it: [inputs.port])"},
        {minimal("[component.run]\nservice = [\"{{ secrets.x }}\"]"), "a template may name inputs.*"},
        {minimal("[component.run]\nservice = [\"{{ inputs.port\"]"), "'{{' is never closed"},
        {minimal("[component.run]\nservice = [\"{{ components.db.directory }}\"]\n[[component]]\nname = "
                 "\"db\"\ntype = \"bundle\"\nsource = \".\""),
         "add 'db' to depends_on"},
        {minimal("[inputs.a]\ndefault = 2020-01-01"), "a date or time is no input value (put it in quotes)"},
        {minimal("[inputs.a]\ntype = \"number\"\ndefault = nan"), "is not a finite number"},
        {minimal("[inputs]\na = 3"), "inputs.a: expected a table, got an integer"},
        {minimal("[inputs.a]\nsensitive = \"yes\""), "write true or false, without quotes"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"helm_chart\"\nsource = \".\"\nchart = 1",
         "component[web].type: this version deploys only bundle components, not helm_chart"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundel\"\nsource = \".\"",
         "'bundel' is not a type (did you mean 'bundle'?)"},
        {"app = \"shop\"\n[[component]]\nname = \"\"\ntype = \"bundle\"\nsource = \".\"", "'' is not a name"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = "
         "\"--upload-pack=x\", ref = \"v1\" }",
         "component[web].source.git: '--upload-pack=x' is not the URL of a git repository"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = \"ext::sh -c "
         "x\", ref = \"v1\" }",
         "is not the URL of a git repository"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = "
         "\"https://x/y\", ref = \"-x\" }",
         "'-x' is not a branch, tag or commit"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = \"https://x/y\" "
         "}",
         "component[web].source.ref: is missing"},
        {"app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = "
         "\"https://x/y\", ref = \"v1\", dir = \"/x\" }",
         "'/x' is absolute"},
    }));
    CAPTURE(row.toml);
    const auto faults = faults_of(row.toml);
    REQUIRE_FALSE(faults.empty());
    INFO(faults.front());
    CHECK(std::ranges::any_of(faults, [&](const std::string& fault) { return fault.contains(row.want); }));
    for (const auto& fault : faults) CHECK_THAT(fault, Contains("consign.toml"));
}

TEST_CASE("git sources that are fine") {
    const auto* url = GENERATE("https://git.example/x.git", "ssh://git@host/x", "git@host:x/y.git",
                               "file:///srv/x.git", "/srv/x.git");
    CAPTURE(url);
    CHECK(faults_of(
              std::string(
                  "app = \"shop\"\n[[component]]\nname = \"web\"\ntype = \"bundle\"\nsource = { git = \"") +
              url + "\", ref = \"v1\" }")
              .empty());
}

TEST_CASE("a cycle is named whole") {
    const auto faults = faults_of(R"(app = "shop"
component = [
  { name = "a", type = "bundle", source = ".", depends_on = ["b"] },
  { name = "b", type = "bundle", source = ".", depends_on = ["c"] },
  { name = "c", type = "bundle", source = ".", depends_on = ["a"] },
])");
    REQUIRE(faults.size() == 1);
    CHECK(faults[0] == "consign.toml:3:61: component[a].depends_on: components depend on each other in a "
                       "circle: a → b → c → a "
                       "(take one of them out of the other's depends_on)");
}

TEST_CASE("text made to hurt the parser is refused in words") {
    CHECK_THAT(faults_of(std::string(2u << 20, '\n')).at(0), Contains("more than"));
    std::string deep = "a";
    for (int i = 0; i < 100'000; ++i) deep += ".a";
    CHECK_THAT(faults_of(deep + " = 1").at(0), Contains("consign.toml:1:1: a key has more than 17 parts"));
    CHECK_THAT(faults_of("\n[" + deep + "]").at(0), Contains("consign.toml:2:1: a key has more than"));
    CHECK_THAT(faults_of("x = \"\\\"\" \n'a\"'." + deep + " = 1").at(0), Contains("a key has more than"));
    for (const auto* confusing : {"[[[1]]]", "[[[a]]]", "[[=", "a = {]", "x = [[[", "[", "[[", "a.", "\"",
                                  "[a]]"}) { // some hit asserts of toml++
        CAPTURE(confusing);
        CHECK_FALSE(faults_of(confusing).empty());
    }
    CHECK_FALSE(faults_of("x = " + std::string(10'000, '[')).empty());
    std::string inline_tables = "x = ";
    for (int i = 0; i < 10'000; ++i) inline_tables += "{a=";
    CHECK_FALSE(faults_of(inline_tables).empty());
    CHECK_FALSE(faults_of("app = \"\xff\"").empty());
    CHECK(
        faults_of(minimal("[inputs.a]\ndescription = \"1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19.20\" "
                          "# 1.2.3.4.5.6.7.8.9.10.11.12.13.14.15.16.17.18.19"))
            .empty());
    std::string many = "app = \"shop\"\n";
    for (int i = 0; i < 300; ++i)
        many += "[[component]]\nname = \"c" + std::to_string(i) + "\"\ntype = \"bundle\"\nsource = \".\"\n";
    CHECK_THAT(faults_of(many).at(0), Contains("300 components are more than 256"));
}
