#include "install/listing.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include "consign/base/json.hpp"
#include <array>
#include <fcntl.h>
#include <format>
#include <sys/stat.h>
#include <unistd.h>

namespace consign::install {
namespace {

namespace fs = std::filesystem;
constexpr std::size_t kNamed = 3; // differences that are told by name

Result<std::string> describe_file(const fs::path& path, unsigned mode) {
    CONSIGN_TRY(file, open_file(path, O_RDONLY | O_NOFOLLOW));
    Hasher hash;
    std::array<std::byte, 64 * 1024> piece;
    for (;;) {
        const auto got = ::read(file.get(), piece.data(), piece.size());
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return fail_errno("cannot read '" + path.string() + "'", errno);
        if (got == 0) return std::format("{} {:o}", hash.finish().hex(), mode & 07777);
        hash.update(std::span(piece).first(static_cast<std::size_t>(got)));
    }
}

/// Empty for what is neither a file nor a link.
Result<std::string> describe(const fs::path& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return fail_errno("cannot look at '" + path.string() + "'", errno);
    std::error_code error;
    if (S_ISLNK(status.st_mode)) return "-> " + fs::read_symlink(path, error).string();
    return S_ISREG(status.st_mode) ? describe_file(path, status.st_mode) : Result<std::string>("");
}

} // namespace

Result<Listing> list_tree(const fs::path& root, const std::stop_token& stop) {
    Listing out;
    std::error_code error;
    for (fs::recursive_directory_iterator at(root, error), end; !error && at != end; at.increment(error)) {
        if (stop.stop_requested()) return fail(Code::cancelled, "cancelled");
        if (at->is_directory(error) && !at->is_symlink(error)) continue;
        CONSIGN_TRY(described, describe(at->path()));
        if (!described.empty()) out[at->path().lexically_relative(root).string()] = std::move(described);
    }
    if (error) return fail(Code::internal, "cannot read '" + root.string() + "': " + error.message());
    return out;
}

Result<void> save_listing(const fs::path& file, const Listing& listing) {
    return write_file_atomic(file, std::string_view(json::to_text(listing)), 0600);
}

Result<Listing> load_listing(const fs::path& file) {
    CONSIGN_TRY(text, read_file(file));
    auto listing = json::decode_text<Listing>(text);
    if (!listing) return fail(Code::corrupt, file.string() + " is damaged: " + listing.error().message);
    return std::move(*listing);
}

Result<std::string> differences(const Listing& before, const fs::path& root, const std::stop_token& stop) {
    std::string out;
    std::size_t count = 0;
    for (const auto& [name, what] : before) {
        if (stop.stop_requested()) return fail(Code::cancelled, "cancelled");
        const auto now = describe(root / name);
        if (now && *now == what) continue;
        if (++count <= kNamed)
            out += std::format("{}{} {}", out.empty() ? "" : ", ", name, now ? "changed" : "missing");
    }
    if (count > kNamed) out += std::format(" and {} more", count - kNamed);
    return out;
}

} // namespace consign::install
