#include "consign/base/digest.hpp"
#include <cstdlib>
#include <openssl/evp.h>

namespace consign {
namespace {

// Fetched once: OpenSSL 3.0 looks an algorithm up by name on every use of EVP_sha256(), under a lock.
const EVP_MD* algorithm_named(std::string_view name) {
    static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    static const EVP_MD* const sha512 = EVP_MD_fetch(nullptr, "SHA512", nullptr);
    if (name == "sha256") return sha256;
    if (name == "sha512") return sha512;
    return nullptr;
}

void must(bool done) { // these fail only out of memory, or when the caller has a bug
    if (!done) std::abort();
}

} // namespace

struct Hasher::State {
    struct Free {
        void operator()(EVP_MD_CTX* spent) const { EVP_MD_CTX_free(spent); }
    };
    std::unique_ptr<EVP_MD_CTX, Free> context;
    std::string name;
};

Result<Digest> Digest::parse(std::string_view text) {
    const auto refuse = [&](std::string_view why) {
        return fail(Code::invalid_argument,
                    "'" + std::string(text.substr(0, 160)) + "' is not a digest: " + std::string(why),
                    "a digest looks like sha256:<64 hex digits>");
    };
    const auto colon = text.find(':');
    if (colon == std::string_view::npos) return refuse("there is no ':' after the algorithm");
    const auto name = text.substr(0, colon);
    const auto hex = text.substr(colon + 1);
    if (name != "sha256" && name != "sha512") return refuse("the algorithm is neither sha256 nor sha512");
    const std::size_t want = name == "sha256" ? 64 : 128;
    if (hex.size() != want)
        return refuse("it has " + std::to_string(hex.size()) + " hex digits instead of " +
                      std::to_string(want));
    if (hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
        return refuse("only 0-9 and lower-case a-f may follow the ':'");
    return Digest(std::string(text));
}

Digest Digest::sha256_of(ByteView bytes) { return Digest("sha256:" + to_hex(sha256(bytes))); }

Hasher::Hasher(std::string_view algorithm) : state_(std::make_unique<State>()) {
    state_->name = algorithm;
    state_->context.reset(EVP_MD_CTX_new());
    const EVP_MD* const type = algorithm_named(algorithm);
    must(type && state_->context && EVP_DigestInit_ex2(state_->context.get(), type, nullptr) == 1);
}
Hasher::~Hasher() = default;
Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;

void Hasher::update(ByteView bytes) {
    must(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
    Bytes out(EVP_MAX_MD_SIZE);
    unsigned size = 0;
    must(EVP_DigestFinal_ex(state_->context.get(), reinterpret_cast<unsigned char*>(out.data()), &size) == 1);
    out.resize(size);
    return Digest(state_->name + ":" + to_hex(out));
}

Bytes sha256(ByteView bytes) {
    Bytes out(32);
    must(EVP_Digest(bytes.data(), bytes.size(), reinterpret_cast<unsigned char*>(out.data()), nullptr,
                    algorithm_named("sha256"), nullptr) == 1);
    return out;
}

std::string sha256_hex(std::string_view text) { return to_hex(sha256(as_bytes(text))); }

} // namespace consign
