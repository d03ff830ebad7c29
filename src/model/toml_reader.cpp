#include "model/toml_reader.hpp"
#include <algorithm>
#include <format>

namespace consign::model {
struct ParserConfused {};
} // namespace consign::model

// The library asserts what its own parser gets wrong on some malformed texts ("[[[1]]]" in 3.3), and in
// release builds it even lets the compiler assume it. Here an assertion that fails is one more syntax error:
// it throws through the parser as the parser's own errors do, and stops in parse_toml().
#undef NDEBUG
#define TOML_ASSERT(expr)                                                                                    \
    do {                                                                                                     \
        if (!(expr)) throw consign::model::ParserConfused();                                                 \
    } while (false)
#define TOML_EXCEPTIONS 1
#define TOML_ENABLE_FORMATTERS 0
#define TOML_MAX_NESTED_VALUES 32
#include <toml++/toml.h>

namespace consign::model {
namespace {

constexpr std::size_t kTextLimit = 1u << 20;
constexpr int kDotsLimit = 16;

Place place_of(const toml::source_region& region) {
    return {static_cast<int>(region.begin.line), static_cast<int>(region.begin.column)};
}

TomlNode convert(const toml::node& node) {
    TomlNode out;
    out.place = place_of(node.source());
    if (const auto* table = node.as_table()) {
        out.kind = TomlNode::Kind::table;
        for (const auto& [key, value] : *table)
            out.members.push_back({std::string(key.str()), place_of(key.source()), convert(value)});
    } else if (const auto* array = node.as_array()) {
        out.kind = TomlNode::Kind::array;
        for (const auto& item : *array) out.items.push_back(convert(item));
    } else if (const auto* text = node.as_string()) {
        out.kind = TomlNode::Kind::string;
        out.text = text->get();
    } else if (const auto* integer = node.as_integer()) {
        out.kind = TomlNode::Kind::integer;
        out.integer = integer->get();
    } else if (const auto* number = node.as_floating_point()) {
        out.kind = TomlNode::Kind::number;
        out.number = number->get();
    } else if (const auto* boolean = node.as_boolean()) {
        out.kind = TomlNode::Kind::boolean;
        out.boolean = boolean->get();
    } else {
        out.kind = TomlNode::Kind::time;
    }
    return out;
}

/// The line of the first key of more than kDotsLimit parts, or 0. The TOML library nests one table per part
/// and frees them recursively: half a megabyte of "a.a.a.a" would overflow the stack.
int line_of_overlong_key(std::string_view text) {
    int line = 1, dots = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (c == '\n') ++line;
        if (c == '.') {
            if (++dots > kDotsLimit) return line;
        } else if (c == '#') {
            i = std::min(text.find('\n', i), text.size()) - 1;
        } else if (c == '"' || c == '\'') {
            const bool many = text.substr(i).starts_with(std::string(3, c));
            const std::string end(many ? 3 : 1, c);
            for (i += end.size(); i < text.size() && !text.substr(i).starts_with(end); ++i) {
                if (c == '"' && text[i] == '\\') ++i;
                if (i < text.size() && text[i] == '\n') {
                    ++line;
                    if (!many) break; // a syntax error, which the parser names
                }
            }
            i += end.size() - 1;
        } else if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_' && c != '-' && c != ' ' &&
                   c != '\t') {
            dots = 0;
        }
    }
    return 0;
}

/// How the value could have been written, for the mistakes people make.
std::string rewrite_hint(const TomlNode& node, TomlNode::Kind wanted) {
    using Kind = TomlNode::Kind;
    if (wanted == Kind::string) {
        if (node.kind == Kind::integer) return std::format("write \"{}\"", node.integer);
        if (node.kind == Kind::boolean) return std::format("write \"{}\"", node.boolean);
        return node.kind == Kind::array || node.kind == Kind::table ? "" : "put it in quotes";
    }
    if (wanted == Kind::array && node.kind == Kind::string && node.text.size() < 64)
        return std::format("write [\"{}\"]", node.text);
    if (wanted == Kind::boolean) return "write true or false, without quotes";
    if (wanted == Kind::integer) return "write a whole number, without quotes";
    return "";
}

} // namespace

std::expected<TomlNode, Fault> parse_toml(std::string_view text, std::string_view file) {
    const auto refuse = [&](Place place, std::string message, std::string hint) {
        return std::unexpected(
            Fault{std::string(file), place.line, place.column, "", std::move(message), std::move(hint)});
    };
    if (text.size() > kTextLimit)
        return refuse({}, std::format("the file has {} bytes, more than {}", text.size(), kTextLimit), "");
    if (const int line = line_of_overlong_key(text))
        return refuse({line, 1}, std::format("a key has more than {} parts", kDotsLimit + 1), "");
    constexpr const char* kHint = "this is not TOML; see https://toml.io";
    try {
        return convert(toml::parse(text, file));
    } catch (const toml::parse_error& error) {
        return refuse(place_of(error.source()), std::string(error.description()), kHint);
    } catch (const ParserConfused&) {
        return refuse({}, "the text cannot be parsed; look for stray brackets", kHint);
    }
}

std::string describe(TomlNode::Kind kind) {
    switch (kind) {
    case TomlNode::Kind::string:
        return "a string";
    case TomlNode::Kind::integer:
        return "an integer";
    case TomlNode::Kind::number:
        return "a number";
    case TomlNode::Kind::boolean:
        return "true or false";
    case TomlNode::Kind::time:
        return "a date or time";
    case TomlNode::Kind::array:
        return "an array";
    case TomlNode::Kind::table:
        return "a table";
    }
    return "a value";
}

void Report::fault(const std::string& path, std::string message, std::string hint) {
    std::string around = path;
    auto found = places_.find(around);
    while (found == places_.end() && !around.empty()) {
        const auto cut = around.find_last_of(".[");
        around.resize(cut == std::string::npos ? 0 : cut);
        found = places_.find(around);
    }
    fault_at(found == places_.end() ? Place{} : found->second, path, std::move(message), std::move(hint));
}

void Report::fault_at(Place place, const std::string& path, std::string message, std::string hint) {
    faults_.push_back({file_, place.line, place.column, path, std::move(message), std::move(hint)});
}

std::vector<Fault> Report::take() {
    std::ranges::stable_sort(faults_, {},
                             [](const Fault& fault) { return std::pair(fault.line, fault.column); });
    return std::move(faults_);
}

bool expect(const TomlNode& node, TomlNode::Kind kind, const std::string& path, Report& report) {
    if (node.kind == kind) return true;
    report.fault_at(node.place, path, std::format("expected {}, got {}", describe(kind), describe(node.kind)),
                    rewrite_hint(node, kind));
    return false;
}

std::optional<std::string> read_text(const TomlNode& node, const std::string& path, Report& report) {
    report.remember(path, node.place);
    if (!expect(node, TomlNode::Kind::string, path, report)) return std::nullopt;
    if (node.text.contains('\0')) {
        report.fault(path, "holds a NUL character", "no program, path or variable can take one");
        return std::nullopt;
    }
    return node.text;
}

std::vector<std::string> read_texts(const TomlNode& node, const std::string& path, Report& report) {
    report.remember(path, node.place);
    std::vector<std::string> out;
    if (!expect(node, TomlNode::Kind::array, path, report)) return out;
    for (std::size_t i = 0; i < node.items.size(); ++i)
        if (auto text = read_text(node.items[i], std::format("{}[{}]", path, i), report))
            out.push_back(std::move(*text));
    return out;
}

void refuse_name(const std::string& text, const std::vector<std::string>& names, const std::string& path,
                 Report& report) {
    std::string all;
    for (const auto& name : names) all += (all.empty() ? "" : ", ") + name;
    const auto near = nearest(text, names);
    report.fault(path, std::format("'{}' is not a type", text),
                 near ? std::format("did you mean '{}'?", *near) : "write one of: " + all);
}

TableReader::TableReader(const TomlNode& table, std::string path, Report& report)
    : table_(&table), path_(std::move(path)), report_(&report) {
    report.remember(path_, table.place);
}

std::string TableReader::path_of(std::string_view key) const {
    return path_.empty() ? std::string(key) : path_ + "." + std::string(key);
}

const TomlNode* TableReader::value(std::string_view key) {
    known_.emplace(key);
    for (const auto& member : table_->members) {
        if (member.key != key) continue;
        report_->remember(path_of(key), member.value.place);
        return &member.value;
    }
    return nullptr;
}

const TomlNode* TableReader::typed(std::string_view key, TomlNode::Kind kind) {
    const auto* node = value(key);
    return node && expect(*node, kind, path_of(key), *report_) ? node : nullptr;
}

std::optional<std::string> TableReader::text(std::string_view key) {
    const auto* node = value(key);
    return node ? read_text(*node, path_of(key), *report_) : std::nullopt;
}

std::optional<std::string> TableReader::required_text(std::string_view key, std::string_view example) {
    if (!value(key)) {
        report_->fault(path_of(key), "is missing", std::format("write {} = \"{}\"", key, example));
        return std::nullopt;
    }
    return text(key);
}

std::optional<bool> TableReader::boolean(std::string_view key) {
    const auto* node = typed(key, TomlNode::Kind::boolean);
    return node ? std::optional(node->boolean) : std::nullopt;
}

std::optional<std::int64_t> TableReader::integer(std::string_view key) {
    const auto* node = typed(key, TomlNode::Kind::integer);
    return node ? std::optional(node->integer) : std::nullopt;
}

std::vector<std::string> TableReader::texts(std::string_view key) {
    const auto* node = value(key);
    return node ? read_texts(*node, path_of(key), *report_) : std::vector<std::string>{};
}

std::optional<TableReader> TableReader::table(std::string_view key) {
    const auto* node = typed(key, TomlNode::Kind::table);
    return node ? std::optional(TableReader(*node, path_of(key), *report_)) : std::nullopt;
}

void TableReader::refuse_others() {
    const std::vector<std::string> known(known_.begin(), known_.end());
    for (const auto& member : table_->members) {
        if (known_.contains(member.key)) continue;
        std::string hint;
        if (const auto near = nearest(member.key, known)) {
            hint = std::format("did you mean '{}'?", *near);
        } else {
            for (const auto& key : known) hint += (hint.empty() ? "known keys: " : ", ") + key;
        }
        report_->fault_at(member.place, path_of(member.key), "is not a known key", std::move(hint));
    }
}

} // namespace consign::model
