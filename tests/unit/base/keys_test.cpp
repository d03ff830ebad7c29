#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include "consign/base/keys.hpp"
#include <catch2/catch.hpp>
#include <sys/stat.h>

using namespace consign;

namespace {

// The key of RFC 7515 appendix A.3 (its JWK's x and y) as SubjectPublicKeyInfo.
Bytes rfc7515_der() {
    Bytes der = from_hex("3059301306072a8648ce3d020106082a8648ce3d03010703420004").value();
    for (const char* part :
         {"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}) {
        const auto coordinate = from_base64url(part).value();
        der.insert(der.end(), coordinate.begin(), coordinate.end());
    }
    return der;
}
std::string pem_of(ByteView der) {
    return "-----BEGIN PUBLIC KEY-----\n" + to_base64(der) + "\n-----END PUBLIC KEY-----\n";
}

} // namespace

TEST_CASE("the ES256 signature of RFC 7515 appendix A.3 verifies") {
    const auto key = PublicKey::from_pem(pem_of(rfc7515_der()));
    REQUIRE(key);
    CHECK(key->thumbprint() == to_hex(sha256(rfc7515_der())));
    const std::string message =
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt"
        "cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    const auto signature =
        from_base64url(
            "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")
            .value();
    CHECK(key->verify(as_bytes(message), signature));
    CHECK_FALSE(key->verify(as_bytes(message + "x"), signature));
}

TEST_CASE("a signature belongs to one message and one key") {
    const auto key = PrivateKey::generate();
    const auto other = PrivateKey::generate();
    const auto message = as_bytes("message");
    auto signature = key.sign(message);
    CHECK(signature.size() == 64);
    CHECK(key.public_key().verify(message, signature));
    CHECK_FALSE(other.public_key().verify(message, signature));
    CHECK_FALSE(key.public_key().verify(as_bytes("massage"), signature));
    CHECK_FALSE(key.public_key().verify(message, ByteView(signature).first(63)));
    CHECK_FALSE(key.public_key().verify(message, Bytes(64)));
    CHECK_FALSE(key.public_key().verify(message, {}));
    for (std::size_t i = 0; i < signature.size(); ++i) {
        signature[i] ^= std::byte{1};
        CHECK_FALSE(key.public_key().verify(message, signature));
        signature[i] ^= std::byte{1};
    }
    for (int i = 0; i < 300; ++i) // r or s with leading zeros are still 32 bytes
        REQUIRE(key.public_key().verify(message, key.sign(message)));
}

TEST_CASE("keys survive PEM") {
    const auto key = PrivateKey::generate();
    const auto again = PrivateKey::from_pem(key.to_pem().reveal());
    REQUIRE(again);
    CHECK(again->public_key().thumbprint() == key.public_key().thumbprint());
    const auto pem = key.public_key().to_pem();
    CHECK(pem.starts_with("-----BEGIN PUBLIC KEY-----"));
    const auto public_again = PublicKey::from_pem(pem);
    REQUIRE(public_again);
    CHECK(public_again->thumbprint() == key.public_key().thumbprint());
    CHECK(public_again->verify(as_bytes("m"), again->sign(as_bytes("m"))));
}

TEST_CASE("what is not a P-256 key is refused") {
    CHECK(PublicKey::from_pem("").error().code == Code::invalid_argument);
    CHECK(PublicKey::from_pem("garbage").error().code == Code::invalid_argument);
    CHECK(PrivateKey::from_pem("garbage").error().code == Code::invalid_argument);
    const auto key = PrivateKey::generate();
    CHECK_FALSE(PrivateKey::from_pem(key.public_key().to_pem()));
    CHECK_FALSE(PublicKey::from_pem(key.to_pem().reveal()));
    // Ed25519, RFC 8410 section 10.1.
    CHECK(PublicKey::from_pem(
              "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n"
              "-----END PUBLIC KEY-----\n")
              .error()
              .code == Code::unsupported);
    // The same point, compressed: another DER, hence another thumbprint of the same key.
    const auto der = rfc7515_der();
    Bytes compressed = from_hex("3039301306072a8648ce3d020106082a8648ce3d03010703220003").value();
    compressed.insert(compressed.end(), der.begin() + 27, der.begin() + 59);
    CHECK(PublicKey::from_pem(pem_of(compressed)).error().code == Code::unsupported);
    // A point that is not on the curve.
    Bytes off_curve = der;
    off_curve.back() ^= std::byte{1};
    CHECK_FALSE(PublicKey::from_pem(pem_of(off_curve)));
}

TEST_CASE("a key file is made once, for its owner only") {
    const auto directory = TemporaryDirectory::make("keys").value();
    const auto path = directory.path() / "agent.key";
    const auto made = PrivateKey::load_or_create(path);
    REQUIRE(made);
    struct stat status{};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0600);
    const auto loaded = PrivateKey::load_or_create(path);
    REQUIRE(loaded);
    CHECK(loaded->public_key().thumbprint() == made->public_key().thumbprint());

    REQUIRE(write_file_atomic(path, "damaged", 0600));
    const auto damaged = PrivateKey::load_or_create(path);
    REQUIRE_FALSE(damaged); // never replaced: the server knows the old key
    CHECK(damaged.error().message.find(path.string()) != std::string::npos);
    CHECK(read_file(path) == "damaged");
}
