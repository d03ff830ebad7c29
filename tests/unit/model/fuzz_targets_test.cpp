// The fuzz targets on a few thousand changed seeds, so that their promises are kept by every test run.
#define LLVMFuzzerTestOneInput app_config_fuzz
#include "fuzz/app_config_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#define LLVMFuzzerTestOneInput interpolate_fuzz
#include "fuzz/interpolate_fuzz.cpp"
#undef LLVMFuzzerTestOneInput
#include <catch2/catch.hpp>
#include <random>

namespace {
const unsigned char* raw(const std::string& text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}
} // namespace

TEST_CASE("changed configs either hold their promises or have faults") {
    const std::string seed = R"(app = "shop"
[inputs.port]
type = "number"
default = 8080
[[component]]
name = "a"
type = "bundle"
source = "./web"
depends_on = ["b"]
[component.run]
service = ["./serve", "{{ inputs.port }}"]
health = { tcp = "x:1", within_s = 9 }
[[component]]
name = "b"
type = "bundle"
source = { git = "https://x/y", ref = "v1" }
)";
    CHECK(app_config_fuzz(raw(seed), seed.size()) == 0);
    std::mt19937 random(5);
    for (int round = 0; round < 2000; ++round) {
        auto text = seed;
        for (auto changes = 1 + random() % 3; changes > 0; --changes) {
            const auto at = random() % text.size();
            switch (random() % 3) {
            case 0:
                text.erase(at, 1 + random() % 8);
                break;
            case 1:
                text[at] = "ab\"[]{}=.\n# "[random() % 12];
                break;
            default:
                text.insert(at, text.substr(random() % text.size(), random() % 30));
            }
        }
        CHECK(app_config_fuzz(raw(text), text.size()) == 0);
    }
}

TEST_CASE("random templates keep their promises") {
    std::mt19937 random(6);
    for (int round = 0; round < 5000; ++round) {
        std::string text;
        for (auto pieces = random() % 12; pieces > 0; --pieces) {
            constexpr std::string_view kPieces[] = {"{", "{{", "}}", "}",       "a.b",
                                                    " ", "\n", "-",  "{{ a }}", "{{{{"};
            text += kPieces[random() % std::size(kPieces)];
        }
        CHECK(interpolate_fuzz(raw(text), text.size()) == 0);
    }
}
