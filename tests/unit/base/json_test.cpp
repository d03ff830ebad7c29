#include "consign/base/json.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using json::Value;

namespace {

enum class Mood { calm, wild };

struct Item {
    std::string name;
    std::uint8_t size = 0;
    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("size", self.size);
    }
    bool operator==(const Item&) const = default;
};

struct Sample {
    JobId job;
    std::int64_t epoch = 0;
    Time at{};
    bool ready = false;
    double ratio = 0;
    Mood mood = Mood::calm;
    std::vector<Item> items;
    std::map<std::string, Item> named;
    std::optional<std::string> note;
    int wait_s = 50;
    static constexpr auto fields(auto& self, auto&& f) {
        f("job", self.job);
        f("epoch", self.epoch);
        f("at", self.at);
        f("ready", self.ready);
        f("ratio", self.ratio);
        f("mood", self.mood);
        f("items", self.items);
        f("named", self.named);
        f("note", self.note);
        f("wait_s", self.wait_s, json::kDefaulted);
    }
    bool operator==(const Sample&) const = default;
};

const std::string kJob = "job_01ARZ3NDEKTSV4RRFFQ69G5FAV";

Value sample() {
    return {{"job", kJob},
            {"epoch", 7},
            {"at", "2026-01-31T12:00:00.000Z"},
            {"ready", true},
            {"ratio", 0.5},
            {"mood", "wild"},
            {"items", {{{"name", "a"}, {"size", 1}}}},
            {"named", {{"b", {{"name", "b"}, {"size", 2}}}}}};
}

std::string fault(const Value& value, json::Unknown unknown = json::Unknown::skip) {
    const auto decoded = json::decode<Sample>(value, unknown);
    if (decoded) return "";
    CHECK(decoded.error().code == Code::invalid_argument);
    return decoded.error().message;
}

} // namespace

template <>
struct consign::json::EnumNames<Mood> {
    static constexpr std::array<std::pair<Mood, std::string_view>, 2> names{
        {{Mood::calm, "calm"}, {Mood::wild, "wild"}}};
};

TEST_CASE("one list of fields gives both directions") {
    const auto decoded = json::decode<Sample>(sample(), json::Unknown::refuse);
    REQUIRE(decoded);
    CHECK(decoded->job.str() == kJob);
    CHECK(decoded->at == parse_rfc3339("2026-01-31T12:00:00Z"));
    CHECK(decoded->mood == Mood::wild);
    CHECK(decoded->items == std::vector<Item>{{"a", 1}});
    CHECK(decoded->named.at("b").size == 2);
    CHECK_FALSE(decoded->note);
    CHECK(decoded->wait_s == 50);

    auto want = sample();
    want["wait_s"] = 50;
    CHECK(json::encode(*decoded) == want); // an absent optional is not written
    CHECK(json::decode_text<Sample>(json::to_text(*decoded)) == *decoded);
}

TEST_CASE("absent, null and given optionals and defaults") {
    auto value = sample();
    value["note"] = nullptr;
    CHECK_FALSE(json::decode<Sample>(value)->note);
    value["note"] = "hello";
    CHECK(json::decode<Sample>(value)->note == "hello");
    value["wait_s"] = 3;
    CHECK(json::decode<Sample>(value)->wait_s == 3);
    value["wait_s"] = nullptr;
    CHECK(fault(value) == "wait_s: expected an integer, got null");
}

TEST_CASE("the first fault is named with its path") {
    struct Row {
        const char* pointer;
        Value value;
        std::string want;
    };
    const Row rows[] = {
        {"/epoch", "7", "epoch: expected an integer, got a string"},
        {"/epoch", 7.5, "epoch: expected an integer, got a number"},
        {"/epoch", 9'223'372'036'854'775'808ull, "epoch: number out of range"},
        {"/ready", 1, "ready: expected true or false, got an integer"},
        {"/ratio", "x", "ratio: expected a number, got a string"},
        {"/items", Value::object(), "items: expected an array, got an object"},
        {"/items/0", 1, "items[0]: expected an object, got an integer"},
        {"/items/0/size", 256, "items[0].size: number out of range"},
        {"/items/0/size", -1, "items[0].size: number out of range"},
        {"/items/0/name", nullptr, "items[0].name: expected a string, got null"},
        {"/named/b/name", true, "named.b.name: expected a string, got true"},
        {"/named", Value::array(), "named: expected an object, got an array"},
        {"/mood", "sad", "mood: 'sad' is not one of: calm, wild"},
        {"/at", "noon", "at: 'noon' is not a time"},
        {"/job", "agt_1", "job: 'agt_1' is not an id of the form job_<ULID>"},
    };
    for (const auto& row : rows) {
        auto value = sample();
        value[nlohmann::json::json_pointer(row.pointer)] = row.value;
        CHECK(fault(value) == row.want);
    }
    CHECK(fault(Value::array()) == "the document: expected an object, got an array");
}

TEST_CASE("missing fields") {
    auto value = sample();
    value.erase("epoch");
    CHECK(fault(value) == "epoch is missing");
    value = sample();
    value["items"].push_back({{"name", "second"}});
    CHECK(fault(value) == "items[1].size is missing");
}

TEST_CASE("unknown fields: a server refuses, a client skips") {
    auto value = sample();
    value["extra"] = 1;
    CHECK(fault(value).empty());
    CHECK(fault(value, json::Unknown::refuse) == "extra is not a known field");
    value = sample();
    value["items"][0]["sise"] = 1;
    CHECK(fault(value, json::Unknown::refuse) == "items[0].sise is not a known field");
}

TEST_CASE("malformed text is refused with line and column") {
    const auto [text, where] = GENERATE(table<std::string, std::string>({
        {"", "line 1, column 1"},
        {"{\n  \"a\": 1,\n  \"b\" 2\n}", "line 3, column 7"},
        {"[1, 2", "line 1, column 6"},
        {"nul", "line 1, column 4"},
        {"{} x", "line 1, column 4"},
        {"\"\xff\"", "line 1, column 2"},
    }));
    const auto value = json::parse(text);
    CAPTURE(text);
    REQUIRE_FALSE(value);
    CHECK(value.error().code == Code::invalid_argument);
    CHECK(value.error().message.find(where + ": ") != std::string::npos);
}

TEST_CASE("a syntax error does not repeat the input, which may hold a secret") {
    const auto message = json::parse(R"({"password": "hunter2)").error().message;
    CHECK(message.find("hunter2") == std::string::npos);
    CHECK(message.find("missing closing quote") != std::string::npos);
    CHECK(json::parse(R"({"a": 1e999})").error().message.find("malformed JSON") == 0);
}

TEST_CASE("nesting is limited to 64 levels") {
    const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    CHECK(json::parse(nested(64)));
    const auto deep = json::parse(nested(65));
    REQUIRE_FALSE(deep);
    CHECK(deep.error().message == "malformed JSON at line 1, column 65: nested deeper than 64 levels");
    CHECK_FALSE(json::parse(nested(1'000'000)));
    CHECK(json::parse("\"" + std::string(100, '[') + "\""));     // brackets in a string are text
    CHECK(json::parse("\"\\\"" + std::string(100, '{') + "\"")); // also behind an escaped quote
    std::string siblings = "[[]";
    for (int i = 0; i < 1000; ++i) siblings += ",{\"a\":[]}";
    CHECK(json::parse(siblings + "]")); // depth, not number
}

TEST_CASE("a large flat array of objects takes linear time") {
    std::string text = "[{}";
    for (int i = 0; i < 200'000; ++i) text += ",{}";
    const auto start = std::chrono::steady_clock::now();
    CHECK(json::parse(text + "]"));
    CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(20)); // quadratic: many minutes
}

TEST_CASE("dumping replaces invalid UTF-8 and never throws") {
    CHECK(json::dump(Value("a\xff")) == "\"a\xef\xbf\xbd\"");
    CHECK(json::dump(Value{{"a", 1}}) == R"({"a":1})");
    CHECK(json::dump(Value{{"a", 1}}, 2) == "{\n  \"a\": 1\n}");
}
