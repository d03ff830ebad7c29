#include "oci/small_blobs.hpp"
#include "registry_site.hpp"
#include <filesystem>
#include <fstream>
#include <sqlite3.h>

using namespace consign;
using namespace consign::oci;
using namespace consign::oci::testing;
using net::Verb;

namespace {

struct Journal : Site {
    std::filesystem::path root() const { return directory.path() / "registry"; }
    std::filesystem::path file(const std::string& text) const {
        const auto hex = std::string(Digest::sha256_of(text).hex());
        return root() / "blobs/sha256" / hex.substr(0, 2) / hex;
    }
    int push(const std::string& text, const std::string& repository = "shop/web") {
        return send(Verb::post,
                    "/v2/" + repository + "/blobs/uploads/?digest=" + Digest::sha256_of(text).str(), text)
            .status;
    }
    Answer pull(const std::string& text) {
        return get("/v2/shop/web/blobs/" + Digest::sha256_of(text).str());
    }
    int journaled() const {
        sqlite3* database = nullptr;
        REQUIRE(sqlite3_open((root() / "registry.db").c_str(), &database) == SQLITE_OK);
        int rows = -1;
        const auto count = [](void* out, int, char** values, char**) {
            *static_cast<int*>(out) = std::stoi(values[0]);
            return 0;
        };
        REQUIRE(sqlite3_exec(database, "SELECT COUNT(*) FROM unsynced_blobs", count, &rows, nullptr) ==
                SQLITE_OK);
        sqlite3_close(database);
        return rows;
    }
};

const std::string kLarge(32 * 1024 + 1, 'l');

} // namespace

TEST_CASE_METHOD(Journal, "a small blob's bytes are committed with its link, a larger one is synced",
                 "[oci]") {
    CHECK(push("small") == 201);
    CHECK(journaled() == 1);
    CHECK(pull("small").body == "small");
    CHECK(push(kLarge) == 201);
    CHECK(journaled() == 1);
    SECTION("a file that is there, and durable, is not replaced by one that is not") {
        CHECK(push("small", "shop/db") == 201);
        CHECK(journaled() == 1);
    }
    SECTION("what is collected leaves the journal, and does not come back") {
        CHECK(send(Verb::delete_, "/v2/shop/web/blobs/" + Digest::sha256_of("small").str()).status == 202);
        CHECK(io.run(registry->gc({.grace = {}}))->files_removed == 2);
        CHECK(journaled() == 0);
        reopen({});
        CHECK_FALSE(std::filesystem::exists(file("small")));
    }
}

TEST_CASE_METHOD(Journal, "after a crash the files of small blobs are written again", "[oci]") {
    CHECK(push("kept") == 201);
    CHECK(push("lost") == 201);
    CHECK(push("torn") == 201);
    std::filesystem::remove(file("lost")); // what a power cut leaves of files that nobody synced
    std::ofstream(file("torn"), std::ios::trunc);
    reopen({});
    CHECK(journaled() == 0);
    for (const std::string text : {"kept", "lost", "torn"}) {
        CAPTURE(text);
        CHECK(pull(text).body == text);
    }
}

TEST_CASE_METHOD(Journal, "the journal is emptied every few hundred blobs", "[oci]") {
    for (int i = 0; i < SmallBlobs::kSettleAfter + 3; ++i) REQUIRE(push("blob " + std::to_string(i)) == 201);
    CHECK(journaled() == 3);
    reopen({});
    CHECK(pull("blob 1").body == "blob 1");
}
