#include "build/builder.hpp"

namespace consign::build {
namespace {

struct Row {
    model::ComponentType type;
    std::unique_ptr<Builder> (*make)();
};
constexpr Row kBuilders[] = {
    {model::ComponentType::bundle, make_bundle_builder},
};

} // namespace

Result<std::unique_ptr<Builder>> builder_for(model::ComponentType type) {
    for (const Row& row : kBuilders)
        if (row.type == type) return row.make();
    return fail(Code::unsupported, "this version cannot build a " + std::string(json::name_of(type)),
                "update the build agent");
}

} // namespace consign::build
