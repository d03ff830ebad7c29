// What parses is within the depth limit, and writing it and reading it again changes nothing.
#include "consign/base/json.hpp"
#include <cstdlib>

using namespace consign;

namespace {

int depth_of(const json::Value& value) {
    int deepest = 0;
    if (!value.is_structured()) return 0;
    for (const auto& item : value) deepest = std::max(deepest, depth_of(item));
    return deepest + 1;
}

struct Node {
    std::string name;
    std::optional<std::int32_t> size;
    std::vector<Node> children;
    static constexpr auto fields(auto& self, auto&& f) {
        f("name", self.name);
        f("size", self.size);
        f("children", self.children, json::kDefaulted);
    }
    bool operator==(const Node&) const = default;
};

} // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = json::parse(text);
    if (!value) {
        if (value.error().code != Code::invalid_argument || value.error().message.empty()) std::abort();
        return 0;
    }
    if (depth_of(*value) > 64) std::abort();
    for (const int indent : {-1, 2}) {
        const auto again = json::parse(json::dump(*value, indent));
        if (!again || *again != *value) std::abort();
    }
    if (const auto node = json::decode<Node>(*value)) {
        const auto again = json::decode<Node>(json::encode(*node), json::Unknown::refuse);
        if (!again || *again != *node) std::abort();
    }
    return 0;
}
