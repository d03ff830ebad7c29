#include "cli/command.hpp"
#include "consign/model/app_config.hpp"
#include <algorithm>
#include <charconv>
#include <format>

namespace consign::cli {
namespace {

std::optional<std::int64_t> whole_number(std::string_view text) {
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::string joined(const std::vector<std::string>& words) {
    std::string out;
    for (const auto& word : words) out += (out.empty() ? "" : ", ") + word;
    return out;
}

template <class T>
OptionSpec assigned(std::string names, std::string value, std::string help, T& into) {
    return {.names = std::move(names),
            .value = std::move(value),
            .help = std::move(help),
            .set = [&into](std::string_view text, Origin) -> Result<void> {
                into = T(std::string(text));
                return {};
            }};
}

} // namespace

std::string OptionSpec::long_name() const {
    const auto at = names.find("--");
    return at == std::string::npos ? std::string{} : names.substr(at + 2);
}

std::string OptionSpec::environment_name() const {
    std::string out = "CONSIGN_";
    for (const char c : long_name())
        out += c == '-' ? '_' : (c >= 'a' && c <= 'z') ? static_cast<char>(c - 'a' + 'A') : c;
    return out;
}

std::string OptionSpec::display() const {
    if (positional()) return value + (repeated ? "…" : "");
    std::string shown = names;
    if (const auto comma = shown.find(','); comma != std::string::npos) shown.insert(comma + 1, " ");
    return is_switch() ? shown : shown + " " + value;
}

OptionSpec option(std::string names, std::string value, std::string help, std::string& into) {
    return assigned(std::move(names), std::move(value), std::move(help), into);
}
OptionSpec option(std::string names, std::string value, std::string help, std::filesystem::path& into) {
    return assigned(std::move(names), std::move(value), std::move(help), into);
}
OptionSpec option(std::string names, std::string value, std::string help, Secret<std::string>& into) {
    return assigned(std::move(names), std::move(value), std::move(help), into);
}

OptionSpec option(std::string names, std::string value, std::string help, int& into, int low, int high) {
    return {.names = std::move(names),
            .value = std::move(value),
            .help = std::move(help),
            .set = [&into, low, high](std::string_view text, Origin) -> Result<void> {
                const auto number = whole_number(text);
                if (!number || *number < low || *number > high)
                    return fail(Code::invalid_argument,
                                std::format("'{}' is not a whole number from {} to {}", text, low, high));
                into = static_cast<int>(*number);
                return {};
            }};
}

OptionSpec option(std::string names, std::string value, std::string help, std::chrono::seconds& into) {
    return {.names = std::move(names),
            .value = std::move(value),
            .help = std::move(help),
            .set = [&into](std::string_view text, Origin) -> Result<void> {
                CONSIGN_TRY(duration, parse_duration(text));
                into = duration;
                return {};
            }};
}

OptionSpec option(std::string names, std::string value, std::string help, std::vector<std::string>& into) {
    return {.names = std::move(names),
            .value = std::move(value),
            .help = std::move(help),
            .set = [&into](std::string_view text, Origin) -> Result<void> {
                into.emplace_back(text);
                return {};
            },
            .repeated = true};
}

OptionSpec period(std::string names, std::string help, std::chrono::seconds& into) {
    return {.names = std::move(names),
            .value = "TIME",
            .help = std::move(help),
            .set = [&into](std::string_view text, Origin) -> Result<void> {
                if (text == "never") {
                    into = std::chrono::seconds(0);
                    return {};
                }
                CONSIGN_TRY(duration, parse_duration(text));
                into = duration;
                return {};
            }};
}

OptionSpec choice(std::string names, std::string value, std::string help, std::string& into,
                  std::vector<std::string> words) {
    help += " (" + joined(words) + ")";
    return {.names = std::move(names),
            .value = std::move(value),
            .help = std::move(help),
            .set = [&into, words = std::move(words)](std::string_view text, Origin) -> Result<void> {
                if (!std::ranges::contains(words, text)) {
                    const auto near = model::nearest(text, words);
                    return fail(Code::invalid_argument,
                                std::format("'{}' is not one of: {}", text, joined(words)),
                                near ? "did you mean '" + *near + "'?" : "");
                }
                into = text;
                return {};
            }};
}

OptionSpec toggle(std::string names, std::string help, bool& into) {
    return {.names = std::move(names),
            .help = std::move(help),
            .set = [&into](std::string_view text, Origin) -> Result<void> {
                if (text == "true" || text == "1" || text == "yes" || text == "on")
                    into = true;
                else if (text == "false" || text == "0" || text == "no" || text == "off" || text.empty())
                    into = false;
                else
                    return fail(Code::invalid_argument, std::format("'{}' is neither true nor false", text));
                return {};
            }};
}

OptionSpec positional(std::string value, std::string help, std::string& into) {
    return required(assigned({}, std::move(value), std::move(help), into));
}
OptionSpec positionals(std::string value, std::string help, std::vector<std::string>& into) {
    return required(option({}, std::move(value), std::move(help), into));
}
OptionSpec for_commands(OptionSpec spec) {
    spec.for_commands = true;
    return spec;
}

bool serves(const OptionSpec& option, std::size_t depth, const std::vector<const CommandSpec*>& path) {
    if (depth + 1 == path.size()) return true;
    return !option.positional() && (depth == 0 || option.for_commands);
}

OptionSpec required(OptionSpec spec) {
    spec.required = true;
    return spec;
}

Result<std::chrono::seconds> parse_duration(std::string_view text) {
    using namespace std::chrono;
    constexpr std::pair<std::string_view, seconds> kUnits[] = {
        {"s", seconds(1)}, {"min", minutes(1)}, {"m", minutes(1)}, {"h", hours(1)}, {"d", days(1)},
    };
    for (const auto& [unit, size] : kUnits) {
        if (!text.ends_with(unit)) continue;
        const auto number = whole_number(text.substr(0, text.size() - unit.size()));
        if (number && *number > 0 && *number <= 1'000'000) return size * *number;
    }
    return fail(Code::invalid_argument, std::format("'{}' is not a duration", text),
                "write it like 90s, 30m, 1h or 7d");
}

} // namespace consign::cli
