#include "xml.hpp"
#include <charconv>
#include <format>
#include <optional>
#include <vector>

namespace consign::oci::aws {

namespace {

constexpr std::size_t kDepthLimit = 32;
constexpr std::string_view kSpace = " \t\r\n";

bool is_name_char(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.' || c == ':';
}

void append_utf8(std::string& out, std::uint32_t code) {
    const auto put = [&](std::uint32_t byte) { out += static_cast<char>(byte); };
    if (code < 0x80) return put(code);
    if (code < 0x800) {
        put(0xc0 | code >> 6);
    } else {
        if (code < 0x10000) {
            put(0xe0 | code >> 12);
        } else {
            put(0xf0 | code >> 18);
            put(0x80 | (code >> 12 & 0x3f));
        }
        put(0x80 | (code >> 6 & 0x3f));
    }
    put(0x80 | (code & 0x3f));
}

/// What stands between '&' and ';'.
bool append_entity(std::string& out, std::string_view entity) {
    constexpr std::pair<std::string_view, char> kNamed[] = {
        {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    for (const auto& [name, c] : kNamed)
        if (entity == name) {
            out += c;
            return true;
        }
    if (!entity.starts_with('#')) return false;
    entity.remove_prefix(1);
    const bool hex = entity.starts_with('x');
    if (hex) entity.remove_prefix(1);
    std::uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(entity.data(), entity.data() + entity.size(), code, hex ? 16 : 10);
    if (entity.empty() || error != std::errc{} || end != entity.data() + entity.size()) return false;
    if (code == 0 || code > 0x10ffff || (code >= 0xd800 && code < 0xe000)) return false;
    append_utf8(out, code);
    return true;
}

class Reader {
  public:
    explicit Reader(std::string_view document) : whole_(document), rest_(document) {}

    Result<std::map<std::string, std::string>> run() {
        while (!rest_.empty()) CONSIGN_CHECK(rest_.front() == '<' ? markup() : text());
        if (!open_.empty()) return bad("the document ends inside <" + open_.back().name + ">");
        if (!rooted_) return bad("there is no element");
        return std::move(leaves_);
    }

  private:
    struct Element {
        std::string name, text;
        bool leaf = true;
    };

    std::unexpected<Error> bad(std::string_view what) const {
        return fail(Code::invalid_argument,
                    std::format("malformed XML at byte {}: {}", whole_.size() - rest_.size(), what));
    }
    bool skip(std::string_view word) {
        if (!rest_.starts_with(word)) return false;
        rest_.remove_prefix(word.size());
        return true;
    }
    Result<void> skip_past(std::string_view end) {
        const auto at = rest_.find(end);
        if (at == std::string_view::npos) return bad("no '" + std::string(end) + "'");
        rest_.remove_prefix(at + end.size());
        return {};
    }
    void skip_space() { rest_.remove_prefix(std::min(rest_.find_first_not_of(kSpace), rest_.size())); }
    Result<std::string> name() {
        std::size_t size = 0;
        while (size < rest_.size() && is_name_char(rest_[size])) ++size;
        if (size == 0) return bad("a name is missing");
        std::string out(rest_.substr(0, size));
        rest_.remove_prefix(size);
        return out;
    }

    Result<void> text() {
        const auto piece = rest_.substr(0, rest_.find('<'));
        if (open_.empty() && piece.find_first_not_of(kSpace) != std::string_view::npos)
            return bad("text outside of the element");
        std::string decoded;
        for (std::size_t i = 0; i < piece.size(); ++i) {
            if (piece[i] != '&') {
                decoded += piece[i];
                continue;
            }
            const auto end = piece.find(';', i);
            if (end == std::string_view::npos || !append_entity(decoded, piece.substr(i + 1, end - i - 1)))
                return bad("an entity that is none");
            i = end;
        }
        if (!open_.empty()) open_.back().text += decoded;
        rest_.remove_prefix(piece.size());
        return {};
    }

    Result<void> markup() {
        if (skip("<?")) return skip_past("?>");
        if (skip("<!--")) return skip_past("-->");
        if (rest_.starts_with("<!")) return bad("document types and CDATA are not for us");
        return skip("</") ? close() : (rest_.remove_prefix(1), begin());
    }

    Result<void> begin() {
        if (open_.empty() && rooted_) return bad("a second root element");
        if (open_.size() == kDepthLimit) return bad("nested too deep");
        CONSIGN_TRY(found, name());
        for (skip_space(); !rest_.starts_with('>') && !rest_.starts_with("/>"); skip_space())
            CONSIGN_CHECK(attribute());
        rooted_ = true;
        if (!open_.empty()) open_.back().leaf = false;
        open_.push_back({.name = std::move(found), .text = {}});
        if (skip(">")) return {};
        rest_.remove_prefix(2);
        end();
        return {};
    }

    Result<void> attribute() {
        CONSIGN_CHECK(name());
        skip_space();
        if (!skip("=")) return bad("an attribute without a value");
        skip_space();
        if (skip("\"")) return skip_past("\"");
        if (skip("'")) return skip_past("'");
        return bad("an attribute's value stands in quotes");
    }

    Result<void> close() {
        CONSIGN_TRY(found, name());
        skip_space();
        if (!skip(">")) return bad("'>' is missing");
        if (open_.empty() || open_.back().name != found) return bad("</" + found + "> closes nothing");
        end();
        return {};
    }

    void end() {
        if (open_.back().leaf) {
            std::string path;
            for (const auto& element : open_) path += (path.empty() ? "" : "/") + element.name;
            leaves_.try_emplace(std::move(path), std::move(open_.back().text));
        }
        open_.pop_back();
    }

    const std::string_view whole_;
    std::string_view rest_;
    std::vector<Element> open_;
    std::map<std::string, std::string> leaves_;
    bool rooted_ = false;
};

} // namespace

Result<std::map<std::string, std::string>> xml_leaves(std::string_view document) {
    return Reader(document).run();
}

} // namespace consign::oci::aws
