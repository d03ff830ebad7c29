#include "consign/model/inputs.hpp"
#include <catch2/catch.hpp>
#include <limits>

using namespace consign;
using namespace consign::model;
using Catch::Matchers::Contains;

namespace {
AppConfig shop() {
    AppConfig config;
    config.app = "shop";
    config.inputs["port"] = {.type = InputType::number, .default_value = json::Value(8080)};
    config.inputs["db_password"] = {.sensitive = true};
    config.inputs["debug"] = {.type = InputType::boolean, .default_value = json::Value(false)};
    config.inputs["hosts"] = {.type = InputType::list, .default_value = json::Value::array()};
    config.inputs["labels"] = {.type = InputType::map, .default_value = json::Value::object()};
    return config;
}
} // namespace

TEST_CASE("resolve_inputs fills in defaults") {
    const auto resolved = resolve_inputs(shop(), {{"db_password", "hush"}, {"debug", true}});
    REQUIRE(resolved);
    CHECK(resolved->size() == 5);
    CHECK(resolved->at("port") == 8080);
    CHECK(resolved->at("debug") == true);
    CHECK(resolved->at("db_password") == "hush");
}

TEST_CASE("resolve_inputs lists every fault in one error, and no value") {
    const auto resolved =
        resolve_inputs(shop(), {{"prot", 1}, {"debug", "secret-value"}, {"hosts", json::Value::object()}});
    REQUIRE_FALSE(resolved);
    CHECK(resolved.error().code == Code::invalid_argument);
    const auto& message = resolved.error().message;
    CHECK_THAT(message, Contains("'prot' is not an input of app 'shop' (did you mean 'port'?)"));
    CHECK_THAT(message, Contains("input 'debug' must be true or false"));
    CHECK_THAT(message, Contains("input 'hosts' must be a list"));
    CHECK_THAT(message, Contains("input 'db_password' is missing"));
    CHECK_THAT(message, !Contains("secret-value"));
}

TEST_CASE("parse_input_assignment gives the declared type") {
    struct Row {
        std::string text;
        json::Value want;
    };
    const auto row = GENERATE(values<Row>({
        {"port=8081", 8081},
        {"port=1.5", 1.5},
        {"debug=true", true},
        {"db_password=a=b", "a=b"},
        {"db_password=", ""},
        {"hosts=[\"a\",2]", json::Value::parse(R"(["a",2])")},
        {"labels={\"k\":\"v\"}", json::Value::parse(R"({"k":"v"})")},
    }));
    CAPTURE(row.text);
    const auto got = parse_input_assignment(shop(), row.text);
    REQUIRE(got);
    CHECK(got->first == row.text.substr(0, row.text.find('=')));
    CHECK(got->second == row.want);
}

TEST_CASE("parse_input_assignment refuses what does not fit") {
    const auto* text = GENERATE("port", "=1", "port=", "port=abc", "port=\"1\"", "debug=yes", "hosts={}",
                                "labels=[]", "nope=1", "port=1e999");
    CAPTURE(text);
    const auto got = parse_input_assignment(shop(), text);
    REQUIRE_FALSE(got);
    CHECK(got.error().code == Code::invalid_argument);
}

TEST_CASE("values become text as a configuration file wants it") {
    CHECK(to_template_text("as it \"is\"") == "as it \"is\"");
    CHECK(to_template_text(8080) == "8080");
    CHECK(to_template_text(8080.0) == "8080");
    CHECK(to_template_text(-0.25) == "-0.25");
    CHECK(to_template_text(std::numeric_limits<std::uint64_t>::max()) == "18446744073709551615");
    CHECK(to_template_text(true) == "true");
    CHECK(to_template_text(json::Value::parse(R"({"b": [1.0, "x"], "a": {}})")) == R"({"a":{},"b":[1,"x"]})");
}
