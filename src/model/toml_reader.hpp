#pragma once
// TOML text as plain nodes that know their place, and a strict reader over them that collects every fault instead
// of stopping at the first. The TOML library stays behind toml_reader.cpp: it is the slow part to compile.
#include "consign/model/app_config.hpp"
#include <set>

namespace consign::model {

/// 1-based; 0: unknown.
struct Place {
    int line = 0, column = 0;
};

struct TomlMember;
struct TomlNode {
    enum class Kind { string, integer, number, boolean, time, array, table };
    Kind kind = Kind::table;
    Place place;
    std::string text;
    std::int64_t integer = 0;
    double number = 0;
    bool boolean = false;
    std::vector<TomlNode> items;
    std::vector<TomlMember> members;
};
struct TomlMember {
    std::string key;
    Place place; ///< of the key
    TomlNode value;
};

std::expected<TomlNode, Fault> parse_toml(std::string_view text, std::string_view file);
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

} // namespace consign::model
