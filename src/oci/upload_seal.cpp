#include "upload_seal.hpp"
#include "consign/base/bytes.hpp"
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdexcept>

namespace consign::oci {

namespace {
constexpr std::size_t kMacBytes = 32;
}

std::string UploadSeal::mac(std::string_view repository, std::string_view place) const {
    const auto text =
        std::string(repository) + "\n" + std::string(place); // no repository's name has a line's end
    std::string out(kMacBytes, '\0');
    unsigned size = 0;
    if (!HMAC(EVP_sha256(), key_.reveal().data(), static_cast<int>(key_.reveal().size()),
              reinterpret_cast<const unsigned char*>(text.data()), text.size(),
              reinterpret_cast<unsigned char*>(out.data()), &size))
        throw std::runtime_error("OpenSSL has no HMAC-SHA256");
    return out;
}

std::string UploadSeal::close(std::string_view repository, std::string_view place) const {
    return to_base64url(as_bytes(mac(repository, place) + std::string(place)));
}

Result<std::string> UploadSeal::open(std::string_view repository, std::string_view sealed) const {
    const auto bytes = from_base64url(sealed);
    if (bytes && bytes->size() > kMacBytes) {
        const auto text = as_text(*bytes);
        const auto wanted = mac(repository, text.substr(kMacBytes));
        if (CRYPTO_memcmp(wanted.data(), text.data(), kMacBytes) == 0)
            return std::string(text.substr(kMacBytes));
    }
    return fail(Code::not_found, "there is no such upload", "begin it again");
}

} // namespace consign::oci
