#include "consign/base/log.hpp"
#include "consign/base/clock.hpp"
#include <atomic>
#include <cerrno>
#include <mutex>
#include <unistd.h>

namespace consign::log {
namespace {

std::atomic<Level> minimum = Level::info;

constexpr std::string_view kNames[] = {"debug", "info", "warn", "error"};

bool is_control(char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

/// Control characters are escaped, so that text from outside cannot forge a line or drive a terminal.
void append_escaped(std::string& out, std::string_view text, bool quoted) {
    for (const char c : text) {
        if (c == '\n')
            out += "\\n";
        else if (c == '\t')
            out += "\\t";
        else if (is_control(c))
            out += std::format("\\x{:02x}", static_cast<unsigned char>(c));
        else if (quoted && (c == '"' || c == '\\'))
            (out += '\\') += c;
        else
            out += c;
    }
}

void append_value(std::string& out, std::string_view value) {
    bool plain = !value.empty();
    for (const char c : value)
        plain = plain && !is_control(c) && c != ' ' && c != '"' && c != '=' && c != '\\';
    if (!plain) out += '"';
    append_escaped(out, value, !plain);
    if (!plain) out += '"';
}

} // namespace

void set_level(Level level) { minimum = level; }

void write(Level level, std::string_view message, std::initializer_list<Field> fields) {
    if (level < minimum.load(std::memory_order_relaxed)) return;
    std::string line = to_rfc3339(SystemClock().now());
    ((line += ' ') += kNames[static_cast<std::size_t>(level)]) += ' ';
    append_escaped(line, message, false);
    for (const auto& field : fields) {
        ((line += ' ') += field.key) += '=';
        append_value(line, field.value);
    }
    line += '\n';

    static std::mutex mutex;
    const std::lock_guard lock(mutex);
    for (std::string_view rest = line; !rest.empty();) {
        const auto written = ::write(STDERR_FILENO, rest.data(), rest.size());
        if (written < 0 && errno == EINTR) continue;
        if (written <= 0) return; // nobody listens; that is no reason to stop working
        rest.remove_prefix(static_cast<std::size_t>(written));
    }
}

} // namespace consign::log
