#pragma once
#include <format>
#include <initializer_list>
#include <string>
#include <string_view>

namespace consign::log {

enum class Level { debug, info, warn, error };

/// One line to stderr: "2026-01-31T12:00:00.000Z info message key=value". Any thread; a line is never torn.
/// Values with spaces or quotes are quoted. Never pass a secret.
struct Field {
    Field(std::string_view k, std::string_view v) : key(k), value(v) {}
    Field(std::string_view k, const char* v) : key(k), value(v) {}
    Field(std::string_view k, const std::string& v) : key(k), value(v) {}
    template <class T>
        requires std::is_arithmetic_v<T>
    Field(std::string_view k, T v) : key(k), value(std::format("{}", v)) {}
    std::string_view key;
    std::string value;
};

void set_level(Level level); ///< default info
void write(Level level, std::string_view message, std::initializer_list<Field> fields = {});

inline void debug(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::debug, m, f); }
inline void info(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::info, m, f); }
inline void warn(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::warn, m, f); }
inline void error(std::string_view m, std::initializer_list<Field> f = {}) { write(Level::error, m, f); }

} // namespace consign::log
