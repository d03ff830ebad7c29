#include "conditional.hpp"

namespace consign::oci {

namespace {

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
    while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
    return text;
}

} // namespace

bool if_none_match(std::string_view field, std::string_view etag) {
    field = trimmed(field);
    if (field == "*") return true;
    // A comma may stand inside of the quotes: the list is read tag by tag.
    while (!field.empty()) {
        if (field.starts_with(',')) {
            field = trimmed(field.substr(1));
            continue;
        }
        if (field.starts_with("W/")) field.remove_prefix(2);
        const auto close = field.starts_with('"') ? field.find('"', 1) : std::string_view::npos;
        if (close == std::string_view::npos) return false; // no entity-tag: as if the field were not there
        if (field.substr(0, close + 1) == etag) return true;
        field = trimmed(field.substr(close + 1));
    }
    return false;
}

bool if_range(std::string_view field, std::string_view etag) {
    field = trimmed(field);
    return field.empty() || field == etag;
}

} // namespace consign::oci
