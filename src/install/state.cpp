#include "install/state.hpp"
#include "consign/base/file.hpp"

namespace consign::install {

Result<std::optional<ComponentState>> load_state(const ComponentPaths& paths) {
    auto text = read_file(paths.state());
    if (!text && text.error().code == Code::not_found) return std::nullopt;
    if (!text) return std::unexpected(std::move(text).error());

    const auto damaged = [&](const Error& error) {
        return fail(Code::corrupt, "'" + paths.state().string() + "' is damaged: " + error.message,
                    "restore it from a backup, or tear the component down by hand");
    };
    const auto value = json::parse(*text);
    if (!value) return damaged(value.error());
    // Before the rest: a newer format may have other fields.
    if (value->is_object() && value->contains("format") && (*value)["format"].is_number_integer() &&
        (*value)["format"].get<std::int64_t>() > ComponentState::kFormat)
        return fail(Code::unsupported,
                    "'" + paths.state().string() + "' was written by a newer version of consign",
                    "run that version, or a later one");
    auto state = json::decode<ComponentState>(*value);
    if (!state) return damaged(state.error());
    return std::move(*state);
}

Result<void> save_state(const ComponentPaths& paths, const ComponentState& state) {
    CONSIGN_CHECK(make_directories(paths.home));
    return write_file_atomic(paths.state(), json::dump(json::encode(state), 2), 0600);
}

protocol::ApplyResult result_of(const ComponentState& state) {
    if (!state.active) return {};
    return {.active_release = state.active->version, .active = state.active->artifact.digest};
}

} // namespace consign::install
