#include "consign/base/keys.hpp"
#include "consign/base/digest.hpp"
#include "consign/base/file.hpp"
#include "consign/base/log.hpp"
#include <cstdlib>
#include <cstring>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <sys/stat.h>

namespace consign {
namespace {

template <auto Free>
struct Freed {
    void operator()(auto* pointer) const { Free(pointer); }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free_all>>;
using Context = std::unique_ptr<EVP_MD_CTX, Freed<EVP_MD_CTX_free>>;
using KeyContext = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Freed<ECDSA_SIG_free>>;

/// An error left in OpenSSL's per-thread queue would be taken for one of the next TLS call.
struct ErrorQueueGuard {
    ~ErrorQueueGuard() { ERR_clear_error(); }
};

EVP_PKEY* pkey(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }
std::shared_ptr<void> owned(EVP_PKEY* key) {
    return {key, [](void* p) { EVP_PKEY_free(static_cast<EVP_PKEY*>(p)); }};
}

void must(bool done) { // fails only out of memory, or on a bug
    if (!done) std::abort();
}

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }

std::string text_of(BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    return {data, static_cast<std::size_t>(size)};
}

/// Without it OpenSSL asks for a passphrase on the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

/// SubjectPublicKeyInfo.
Bytes der_of(EVP_PKEY* key) {
    unsigned char* data = nullptr;
    const int size = i2d_PUBKEY(key, &data);
    must(size > 0);
    Bytes out(static_cast<std::size_t>(size));
    std::memcpy(out.data(), data, out.size());
    OPENSSL_free(data);
    return out;
}

// A P-256 key by curve name with an uncompressed point: this header, then 64 bytes. Every other form of
// the same key (explicit parameters, compressed point) would have another thumbprint, so it is refused.
constexpr unsigned char kP256Header[] = {0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
                                         0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04};

bool is_p256(EVP_PKEY* key) {
    if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
    const Bytes der = der_of(key);
    return der.size() == sizeof kP256Header + 64 &&
           std::memcmp(der.data(), kP256Header, sizeof kP256Header) == 0;
}

/// A key from PEM; `read` is OpenSSL's reader for the kind that `label` names ("PUBLIC KEY").
template <class Read>
Result<std::shared_ptr<void>> key_in(std::string_view pem, Read read, const std::string& what,
                                     const std::string& label) {
    const Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    auto key = owned(read(bio.get(), nullptr, no_passphrase, nullptr));
    if (!key)
        return fail(Code::invalid_argument, "this is not " + what,
                    "it starts with -----BEGIN " + label + "-----");
    if (!is_p256(pkey(key)))
        return fail(Code::unsupported,
                    "the key is not a P-256 key with a named curve and an uncompressed point",
                    "make one with: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256");
    return key;
}

} // namespace

Result<PublicKey> PublicKey::from_pem(std::string_view pem) {
    const ErrorQueueGuard guard;
    CONSIGN_TRY(key, key_in(pem, PEM_read_bio_PUBKEY, "a public key in PEM form", "PUBLIC KEY"));
    PublicKey out;
    out.key_ = std::move(key);
    return out;
}

std::string PublicKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));
    must(bio && PEM_write_bio_PUBKEY(bio.get(), pkey(key_)) == 1);
    return text_of(bio.get());
}

std::string PublicKey::thumbprint() const { return to_hex(sha256(der_of(pkey(key_)))); }

bool PublicKey::verify(ByteView message, ByteView signature) const {
    const ErrorQueueGuard guard;
    if (signature.size() != 64) return false;
    const Signature parts(ECDSA_SIG_new());
    BIGNUM* r = BN_bin2bn(raw(signature), 32, nullptr);
    BIGNUM* s = BN_bin2bn(raw(signature) + 32, 32, nullptr);
    must(parts && r && s && ECDSA_SIG_set0(parts.get(), r, s) == 1); // takes r and s over
    unsigned char* der = nullptr;
    const int size = i2d_ECDSA_SIG(parts.get(), &der);
    must(size > 0);
    const Context context(EVP_MD_CTX_new());
    must(context && EVP_DigestVerifyInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, pkey(key_),
                                            nullptr) == 1);
    const int verdict =
        EVP_DigestVerify(context.get(), der, static_cast<std::size_t>(size), raw(message), message.size());
    OPENSSL_free(der);
    return verdict == 1;
}

PrivateKey PrivateKey::generate() {
    PrivateKey out;
    out.key_ = owned(EVP_EC_gen("P-256"));
    must(out.key_ != nullptr);
    return out;
}

Result<PrivateKey> PrivateKey::from_pem(std::string_view pem) {
    const ErrorQueueGuard guard;
    CONSIGN_TRY(key, key_in(pem, PEM_read_bio_PrivateKey, "a private key in PEM form without a passphrase",
                            "PRIVATE KEY"));
    PrivateKey out;
    out.key_ = std::move(key);
    const KeyContext context(EVP_PKEY_CTX_new_from_pkey(nullptr, pkey(out.key_), nullptr));
    must(context != nullptr);
    if (EVP_PKEY_pairwise_check(context.get()) != 1)
        return fail(Code::corrupt,
                    "the private key and the public key stored with it do not belong together");
    return out;
}

Secret<std::string> PrivateKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_secmem())); // wiped when freed
    must(bio &&
         PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey(key_), nullptr, nullptr, 0, nullptr, nullptr) == 1);
    return Secret<std::string>(text_of(bio.get()));
}

PublicKey PrivateKey::public_key() const {
    PublicKey out;
    const Bytes der = der_of(pkey(key_));
    const unsigned char* next = raw(der);
    out.key_ =
        owned(d2i_PUBKEY(nullptr, &next, static_cast<long>(der.size()))); // a copy without the private half
    must(out.key_ != nullptr);
    return out;
}

Bytes PrivateKey::sign(ByteView message) const {
    const Context context(EVP_MD_CTX_new());
    must(context &&
         EVP_DigestSignInit_ex(context.get(), nullptr, "SHA256", nullptr, nullptr, pkey(key_), nullptr) == 1);
    unsigned char der[80]; // a P-256 signature takes at most 72
    std::size_t size = sizeof der;
    must(EVP_DigestSign(context.get(), der, &size, raw(message), message.size()) == 1);
    const unsigned char* next = der;
    const Signature parts(d2i_ECDSA_SIG(nullptr, &next, static_cast<long>(size)));
    must(parts != nullptr);
    Bytes out(64);
    auto* to = reinterpret_cast<unsigned char*>(out.data());
    must(BN_bn2binpad(ECDSA_SIG_get0_r(parts.get()), to, 32) == 32 &&
         BN_bn2binpad(ECDSA_SIG_get0_s(parts.get()), to + 32, 32) == 32);
    return out;
}

Result<PrivateKey> PrivateKey::load_or_create(const std::filesystem::path& path) {
    auto found = read_file(path, 64u << 10);
    if (!found && found.error().code != Code::not_found) return std::unexpected(found.error());
    if (!found) {
        auto key = generate();
        CONSIGN_CHECK(write_file_atomic(path, key.to_pem().reveal(), 0600));
        return key;
    }
    const Secret<std::string> pem(std::move(*found));
    struct stat status {};
    if (::stat(path.c_str(), &status) == 0 && (status.st_mode & 077) != 0)
        log::warn("others may read this private key: run chmod 600 on it", {{"path", path.string()}});
    auto key = from_pem(pem.reveal());
    if (!key) return std::unexpected(with_context(key.error(), "'" + path.string() + "'"));
    return key;
}

} // namespace consign
