#include "consign/protocol/schema.hpp"
#include "consign/protocol/user_api.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::protocol;

namespace {
struct Inner {
    JobId job;
    static constexpr auto fields(auto& self, auto&& f) { f("job", self.job); }
};
struct Thing {
    std::string name;
    std::optional<Inner> inner;
    int count = 3;
    std::vector<Role> roles;
    std::map<std::string, json::Value> values;
    Time at{};
    Digest digest;
    bool flag = false;
    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("inner", self.inner);
        f("count", self.count, json::kDefaulted);
        f("roles", self.roles);
        f("values", self.values, json::kDefaulted);
        f("at", self.at);
        f("digest", self.digest);
        f("flag", self.flag, json::kDefaulted);
    }
};
} // namespace

TEST_CASE("a schema says what the fields of a type are", "[schema]") {
    Schemas schemas;
    CHECK(schemas.of<Thing>(Direction::request) == json::Value{{"$ref", "#/components/schemas/InThing"}});
    const auto& thing = schemas.known().at("InThing");
    CHECK(thing["additionalProperties"] == false);
    const auto& properties = thing["properties"];
    CHECK(properties["name"] == json::Value{{"type", "string"}});
    CHECK(properties["inner"] == json::Value{{"$ref", "#/components/schemas/InInner"}});
    CHECK(properties["count"]["type"] == "integer");
    CHECK(properties["roles"]["items"]["enum"] == json::Value{"viewer", "ci", "operator", "owner"});
    CHECK(properties["values"]["additionalProperties"] == json::Value::object());
    CHECK(properties["at"]["format"] == "date-time");
    CHECK(properties["flag"]["type"] == "boolean");
    CHECK(schemas.known().at("InInner")["properties"]["job"]["pattern"] == "^job_[0-9A-HJKMNP-TV-Z]{26}$");
}

TEST_CASE("a request needs what has no default, an answer has all that is not optional", "[schema]") {
    Schemas schemas;
    schemas.of<Thing>(Direction::request);
    schemas.of<Thing>(Direction::answer);
    CHECK(schemas.known().at("InThing")["required"] == json::Value{"name", "roles", "at", "digest"});
    CHECK(schemas.known().at("Thing")["required"] ==
          json::Value{"name", "count", "roles", "values", "at", "digest", "flag"});
    CHECK_FALSE(schemas.known().at("Thing").contains("additionalProperties"));
}

TEST_CASE("each type is described once, under a name that says what it is", "[schema]") {
    CHECK(Schemas::name_of<List<JobView>>(Direction::answer) == "JobViewList");
    CHECK(Schemas::name_of<JobView>(Direction::answer) == "JobView");
    CHECK(Schemas::name_of<CreateTokenRequest>(Direction::request) == "CreateTokenRequest");
    CHECK(Schemas::name_of<ArtifactRef>(Direction::request) == "InArtifactRef");
    Schemas schemas;
    schemas.of<List<JobView>>(Direction::answer);
    const auto before = schemas.known().size();
    schemas.of<JobView>(Direction::answer);
    CHECK(schemas.known().size() == before);
    for (const auto& [name, schema] : schemas.known()) CHECK(schema.contains("properties"));
}

TEST_CASE("what is encoded has the members that the schema requires, and no others", "[schema]") {
    Schemas schemas;
    schemas.of<DeployView>(Direction::answer);
    const auto& schema = schemas.known().at("DeployView");
    const auto encoded = json::encode(DeployView{});
    for (const auto& name : schema["required"]) CHECK(encoded.contains(name.get<std::string>()));
    for (const auto& [name, value] : encoded.items()) CHECK(schema["properties"].contains(name));
}
