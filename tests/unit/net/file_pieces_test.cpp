#include "net/file_pieces.hpp"
#include <catch2/catch.hpp>
#include <fcntl.h>
#include <unistd.h>

using namespace consign;
using namespace consign::net;

namespace {

constexpr std::size_t kSize = (20u << 20) + 777; // large enough to be read around the cache, and not aligned

std::string content() {
    std::string bytes(kSize, '\0');
    std::uint32_t state = 1;
    for (auto& byte : bytes) byte = static_cast<char>((state = state * 1664525 + 1013904223) >> 24);
    return bytes;
}

/// A file whose bytes are on disk and, as far as the file system obeys, not in the page cache.
struct ColdFile {
    explicit ColdFile(std::string_view bytes) : directory(*TemporaryDirectory::make("pieces")) {
        const auto path = directory.path() / "file";
        REQUIRE(write_file_atomic(path, bytes, 0600));
        file = std::move(*open_file(path, O_RDONLY));
        REQUIRE(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED) == 0);
    }
    TemporaryDirectory directory;
    Fd file;
};

std::string read_all(FilePieces& pieces) {
    std::string out;
    for (;;) {
        const auto piece = pieces.next();
        REQUIRE(piece);
        REQUIRE(piece->size() <= FilePieces::kPiece);
        if (piece->empty()) return out;
        out.append(reinterpret_cast<const char*>(piece->data()), piece->size());
    }
}

} // namespace

TEST_CASE("pieces of a cold file are its bytes, whatever range is asked for") {
    const auto bytes = content();
    const auto [offset, size] = GENERATE(std::pair<std::size_t, std::size_t>{0, kSize}, std::pair{1ul, kSize - 1},
                                         std::pair{4097ul, std::size_t{12} << 20}, std::pair{kSize - 5, 5ul},
                                         std::pair{100ul, 0ul});
    ColdFile cold(bytes);
    FilePieces pieces(cold.file.get(), offset, size);
    CHECK(read_all(pieces) == bytes.substr(offset, size));
}

TEST_CASE("a file that two read at once gives both the same bytes") {
    const auto bytes = content();
    ColdFile cold(bytes);
    FilePieces one(cold.file.get(), 0, kSize);
    REQUIRE(one.next());
    FilePieces two(cold.file.get(), 0, kSize);
    CHECK(read_all(two) == bytes);
    CHECK(read_all(one) == bytes.substr(FilePieces::kPiece));
    FilePieces again(cold.file.get(), 0, kSize);
    CHECK(read_all(again) == bytes);
}

TEST_CASE("a file that is shorter than announced is an error, not a short answer") {
    const auto bytes = content();
    ColdFile cold(bytes);
    FilePieces pieces(cold.file.get(), 0, kSize + 1);
    for (;;) {
        const auto piece = pieces.next();
        if (piece) {
            REQUIRE_FALSE(piece->empty());
            continue;
        }
        CHECK(piece.error().code == Code::internal);
        break;
    }
}
