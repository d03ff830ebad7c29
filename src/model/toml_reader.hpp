#pragma once
// A strict reader over TOML nodes that collects every fault instead of stopping at the first.
#include "consign/model/toml.hpp"
#include <set>

namespace consign::model {

std::string describe(TomlNode::Kind kind); ///< "a string", "an array"

/// The faults found, and where each value stands, so that a later check can name the line by the path alone.
class Report {
  public:
    explicit Report(std::string_view file) : file_(file) {}
    void remember(const std::string& path, Place place) { places_.emplace(path, place); }
    /// At the place of `path`, or of the nearest value around it.
    void fault(const std::string& path, std::string message, std::string hint = {});
    void fault_at(Place place, const std::string& path, std::string message, std::string hint = {});
    bool empty() const { return faults_.empty(); }
    std::vector<Fault> take(); ///< in the order of the file

  private:
    std::string file_;
    std::map<std::string, Place> places_;
    std::vector<Fault> faults_;
};

/// Reads the keys of one table. What is absent or of the wrong type comes back empty; the latter is a fault.
class TableReader {
  public:
    TableReader(const TomlNode& table, std::string path, Report& report);

    const TomlNode* value(std::string_view key); ///< of any kind; nullptr: absent
    std::optional<std::string> text(std::string_view key);
    std::optional<std::string> required_text(std::string_view key, std::string_view example);
    std::optional<bool> boolean(std::string_view key);
    std::optional<std::int64_t> integer(std::string_view key);
    std::vector<std::string> texts(std::string_view key);
    std::optional<TableReader> table(std::string_view key);
    /// Every member that no other call asked for is a fault.
    void refuse_others();

    const std::vector<TomlMember>& members() const { return table_->members; }
    const std::string& path() const { return path_; }
    std::string path_of(std::string_view key) const;

  private:
    const TomlNode* typed(std::string_view key, TomlNode::Kind kind);
    const TomlNode* table_;
    std::string path_;
    Report* report_;
    std::set<std::string, std::less<>> known_;
};

/// The node as a string or a list of strings, with a fault at `path` if it is something else.
std::optional<std::string> read_text(const TomlNode& node, const std::string& path, Report& report);
std::vector<std::string> read_texts(const TomlNode& node, const std::string& path, Report& report);
/// A fault unless the node is of that kind.
bool expect(const TomlNode& node, TomlNode::Kind kind, const std::string& path, Report& report);
/// A fault at `path` that `text` is none of the names.
void refuse_name(const std::string& text, const std::vector<std::string>& names, const std::string& path,
                 Report& report);

template <json::NamedEnum E>
std::optional<E> read_enum(const std::string& text, const std::string& path, Report& report) {
    if (const auto value = json::enum_from<E>(text)) return value;
    std::vector<std::string> names;
    for (const auto& [value, name] : json::EnumNames<E>::names) names.emplace_back(name);
    refuse_name(text, names, path, report);
    return std::nullopt;
}

} // namespace consign::model
