#include "consign/base/file.hpp"
#include "oci/file_blob_store.hpp"
#include "oci/source.hpp"
#include <catch2/catch.hpp>

using namespace consign;
using namespace consign::oci;

namespace {

struct Fixture {
    TemporaryDirectory directory = std::move(*TemporaryDirectory::make("blobs"));
    net::IoThread io;
    std::unique_ptr<BlobStore> store = reopen();

    std::unique_ptr<BlobStore> reopen() {
        return std::move(open_file_blob_store(directory.path(), io.blocking()).value());
    }
    std::string begin() { return io.run(store->begin_upload()).value(); }
    Result<std::uint64_t> append(const std::string& upload, std::string_view text) {
        TextSource source(text);
        return io.run(store->append(upload, source));
    }
    Result<std::uint64_t> finish(const std::string& upload, const Digest& digest) {
        auto done = io.run(store->finish(upload, digest));
        if (!done) return std::unexpected(done.error());
        return done->size;
    }
    /// `refuse`: what the check before the end says.
    Result<std::uint64_t> receive(const std::string& upload, std::string_view text, const Digest& digest,
                                  std::optional<Error> refuse = std::nullopt) {
        TextSource source(text);
        auto done = io.run(store->receive(upload, source, digest, [refuse] { return say(refuse); }));
        if (!done) return std::unexpected(done.error());
        return done->size;
    }
    static net::Async<Result<void>> say(std::optional<Error> refuse) {
        if (refuse) co_return std::unexpected(*refuse);
        co_return Result<void>{};
    }
    Result<std::string> load(const Digest& digest) {
        return io.run(load_blob(*store, digest, io.blocking(), 1u << 26));
    }
    std::size_t uploads() const {
        return static_cast<std::size_t>(
            std::distance(std::filesystem::directory_iterator(directory.path() / "uploads"), {}));
    }
};

/// Gives `text`, then breaks.
class BrokenSource final : public net::Source {
  public:
    explicit BrokenSource(std::string_view text) : text_(text) {}
    net::Async<Result<std::size_t>> read(std::span<std::byte> into) override {
        auto count = co_await text_.read(into);
        if (*count == 0) co_return fail(Code::unavailable, "the connection broke");
        co_return count;
    }

  private:
    TextSource text_;
};

} // namespace

TEST_CASE_METHOD(Fixture, "a blob goes in in chunks and comes out whole", "[oci]") {
    const std::string big(1'000'003, 'x');
    const auto digest = Digest::sha256_of(big + "tail");
    const auto upload = begin();
    CHECK(append(upload, big) == big.size());
    CHECK(append(upload, "") == big.size());
    CHECK(append(upload, "tail") == big.size() + 4);
    CHECK(!io.run(store->stat(digest)).value());
    CHECK(finish(upload, digest) == big.size() + 4);
    CHECK(io.run(store->stat(digest)).value()->size == big.size() + 4);
    CHECK(load(digest) == big + "tail");
    CHECK(uploads() == 0);
    CHECK(std::filesystem::exists(directory.path() / "blobs/sha256" / std::string(digest.hex().substr(0, 2)) /
                                  std::string(digest.hex())));
    REQUIRE(io.run(store->remove(digest)));
    CHECK(load(digest).error().code == Code::not_found);
}

TEST_CASE_METHOD(Fixture, "the empty blob and sha512 are blobs too", "[oci]") {
    CHECK(finish(begin(), Digest::sha256_of("")) == 0u);
    CHECK(load(Digest::sha256_of("")) == "");
    Hasher hasher("sha512");
    hasher.update(as_bytes("hello"));
    const auto digest = hasher.finish();
    const auto upload = begin();
    REQUIRE(append(upload, "hello"));
    REQUIRE(finish(upload, digest));
    CHECK(load(digest) == "hello");
}

TEST_CASE_METHOD(Fixture, "wrong bytes are refused and leave nothing", "[oci]") {
    const auto upload = begin();
    REQUIRE(append(upload, "this"));
    const auto done = finish(upload, Digest::sha256_of("that"));
    REQUIRE(!done);
    CHECK(done.error().code == Code::corrupt);
    CHECK(uploads() == 0);
    CHECK(io.run(store->upload_size(upload)).error().code == Code::not_found);
    CHECK(load(Digest::sha256_of("that")).error().code == Code::not_found);
}

TEST_CASE_METHOD(Fixture, "an upload goes on after a restart and after a broken connection", "[oci]") {
    const auto upload = begin();
    BrokenSource broken("first ");
    CHECK(io.run(store->append(upload, broken)).error().code == Code::unavailable);
    CHECK(io.run(store->upload_size(upload)) == 6u);
    store.reset();
    store = reopen();
    CHECK(append(upload, "second") == 12u);
    CHECK(finish(upload, Digest::sha256_of("first second")) == 12u);
    CHECK(load(Digest::sha256_of("first second")) == "first second");
}

TEST_CASE_METHOD(Fixture, "upload names that are no names", "[oci]") {
    for (const char* bad : {"", "..", "../../etc/passwd", "0123", "0123456789ABCDEF0123456789ABCDEF"}) {
        CAPTURE(bad);
        CHECK(io.run(store->upload_size(bad)).error().code == Code::not_found);
        CHECK(append(bad, "x").error().code == Code::not_found);
        CHECK(finish(bad, Digest::sha256_of("x")).error().code == Code::not_found);
        CHECK(io.run(store->abandon(bad)).error().code == Code::not_found);
    }
    const auto upload = begin();
    REQUIRE(io.run(store->abandon(upload)));
    CHECK(io.run(store->abandon(upload)).error().code == Code::not_found);
    CHECK(uploads() == 0);
}

TEST_CASE_METHOD(Fixture, "two uploads of the same content end as one blob", "[oci]") {
    const auto digest = Digest::sha256_of("same");
    const auto a = begin(), b = begin();
    REQUIRE(append(a, "same"));
    REQUIRE(append(b, "same"));
    CHECK(finish(a, digest));
    CHECK(finish(b, digest));
    CHECK(load(digest) == "same");
}

TEST_CASE_METHOD(Fixture, "a blob damaged on disk is corrupt when read", "[oci]") {
    const auto digest = Digest::sha256_of("precious");
    Descriptor expected{.media_type = "x", .digest = digest, .size = 8};
    TextSource content("precious");
    REQUIRE(io.run(store_blob(*store, expected, content)));
    const auto path = directory.path() / "blobs/sha256" / std::string(digest.hex().substr(0, 2)) /
                      std::string(digest.hex());
    REQUIRE(write_file_atomic(path, std::string_view("PRECIOUS")));
    CHECK(load(digest).error().code == Code::corrupt);
}

TEST_CASE_METHOD(Fixture, "a blob of another size than announced is refused", "[oci]") {
    Descriptor expected{.media_type = "x", .digest = Digest::sha256_of("four"), .size = 5};
    TextSource content("four");
    CHECK(io.run(store_blob(*store, expected, content)).error().code == Code::corrupt);
    CHECK(uploads() == 0);
}

TEST_CASE_METHOD(Fixture, "a big upload of another algorithm than was guessed is hashed in stretches",
                 "[oci]") {
    const std::string big(20'000'000, 'x'); // more than one stretch
    Hasher hasher("sha512");
    hasher.update(as_bytes(big));
    const auto digest = hasher.finish();
    const auto upload = begin();
    REQUIRE(append(upload, big));
    CHECK(finish(upload, digest) == big.size());
    CHECK(load(digest) == big);
    const auto told = begin();
    TextSource first(std::string_view(big).substr(0, 100)), rest(std::string_view(big).substr(100));
    CHECK(io.run(store->append(told, first, "sha512")) == 100u);
    CHECK(io.run(store->append(told, rest)) == big.size()); // goes on as it began
    CHECK(finish(told, digest) == big.size());
}

TEST_CASE_METHOD(Fixture, "a pinned blob is not discarded, and a repaired one not set aside", "[oci]") {
    const auto digest = Digest::sha256_of("precious");
    Descriptor expected{.media_type = "x", .digest = digest, .size = 8};
    const auto store_it = [&] {
        TextSource content("precious");
        auto stored = io.run(store_blob(*store, expected, content));
        REQUIRE(stored);
        return std::move(*stored);
    };
    auto stored = store_it();
    CHECK(store->discard(digest) == false);
    stored.pin.reset();
    auto pin = io.run(store->pin(digest)).value();
    CHECK(store->discard(digest) == false);
    pin.reset();
    CHECK(store->discard(digest) == true);
    CHECK(load(digest).error().code == Code::not_found);
    CHECK(store->discard(digest) == true); // there is nothing to keep
    REQUIRE(io.run(store->purge()));
    CHECK(std::filesystem::is_empty(directory.path() / "trash"));

    const auto old = store_it().stamp;
    const auto repaired = store_it().stamp;
    CHECK(old != repaired);
    CHECK(io.run(store->quarantine(digest, old)) == false);
    CHECK(load(digest) == "precious");
    CHECK(io.run(store->quarantine(digest, repaired)) == true);
    CHECK(load(digest).error().code == Code::not_found);
    store_it();
    CHECK(std::filesystem::is_empty(directory.path() / "quarantine"));
    const auto shard = static_cast<unsigned>(std::stoi(std::string(digest.hex().substr(0, 2)), nullptr, 16));
    const auto listed = io.run(store->list(shard)).value();
    REQUIRE(listed.size() == 1);
    CHECK(listed[0].digest == digest);
    CHECK(listed[0].size == 8);
    CHECK(io.run(store->list((shard + 1) % 256)).value().empty());
}

TEST_CASE_METHOD(Fixture, "the last of a blob, or all of it, is received in one go", "[oci]") {
    const auto size = GENERATE(0u, 5u, 32u * 1024, 32u * 1024 + 1, 1'000'003u);
    CAPTURE(size);
    const std::string text(size, 'y');
    const auto digest = Digest::sha256_of(text);
    CHECK(receive(begin(), text, digest) == size);
    CHECK(load(digest) == text);
    CHECK(receive(begin(), text, digest) == size); // once more
    const auto chunked = Digest::sha256_of("head" + text);
    auto upload = begin();
    CHECK(append(upload, "head") == 4u);
    store = reopen(); // nobody remembers the hash
    CHECK(receive(upload, text, chunked) == size + 4);
    CHECK(load(chunked) == "head" + text);

    Hasher hasher("sha512");
    hasher.update(as_bytes(text));
    const auto longer = hasher.finish();
    CHECK(receive(begin(), text, longer) == size);
    CHECK(load(longer) == text);
    hasher = Hasher("sha512");
    hasher.update(as_bytes("head" + text));
    const auto other = hasher.finish();
    upload = begin();
    CHECK(append(upload, "head") == 4u); // hashed as if it were to be sha256
    CHECK(receive(upload, text, other) == size + 4);
    CHECK(load(other) == "head" + text);

    CHECK(receive(begin(), text + "!", digest).error().code == Code::corrupt);
    CHECK(uploads() == 0);
}

TEST_CASE_METHOD(Fixture, "nothing is visible when the check before the end refuses", "[oci]") {
    const auto size = GENERATE(5u, 1'000'003u);
    const std::string text(size, 'z');
    const auto digest = Digest::sha256_of(text);
    const auto upload = begin();
    CHECK(receive(upload, text, digest, Error{Code::unauthenticated, "revoked"}).error().code ==
          Code::unauthenticated);
    CHECK(load(digest).error().code == Code::not_found);
    REQUIRE(io.run(store->abandon(upload)));
    CHECK(uploads() == 0);
    CHECK(io.run(store->upload_size(upload)).error().code == Code::not_found);
}

TEST_CASE_METHOD(Fixture, "more uploads may wait than are remembered", "[oci]") {
    std::vector<std::string> waiting;
    for (int i = 0; i < 1100; ++i) waiting.push_back(begin());
    for (const auto& upload : waiting) REQUIRE(io.run(store->upload_size(upload)) == 0u);
    CHECK(append(waiting.front(), "12") == 2u);
    CHECK(io.run(store->upload_size(waiting.front())) == 2u);
    CHECK(receive(waiting.back(), "ab", Digest::sha256_of("ab")) == 2u);
    CHECK(io.run(store->upload_size(waiting.back())).error().code == Code::not_found);
    CHECK(io.run(store->expire_uploads(std::chrono::seconds(-1))) == 1099u);
    CHECK(io.run(store->upload_size(waiting[1])).error().code == Code::not_found);
}

TEST_CASE("large blobs are stored whole, wherever their pieces begin and end", "[oci]") {
    Fixture fixture;
    // The first piece, pieces past the page cache, and ends that are no multiple of a block.
    const auto size = GENERATE(values<std::size_t>({256 * 1024, 32 * 1024 + 256 * 1024, 1'000'001, 3 << 20}));
    const auto head = GENERATE(values<std::size_t>({0, 1, 4096, 100'000}));
    CAPTURE(size, head);
    std::string text(size, '\0');
    for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>(i * 31 + i / 4096);
    const auto digest = Digest::sha256_of(text);
    const auto upload = fixture.begin();
    if (head > 0) CHECK(fixture.append(upload, text.substr(0, head)) == head);
    CHECK(fixture.receive(upload, text.substr(head), digest) == size);
    CHECK(fixture.load(digest) == text);
}
