#include "consign/base/secret.hpp"
#include <openssl/crypto.h>

namespace consign {

void Secret<std::string>::wipe() noexcept {
    value_.resize(value_.capacity()); // an earlier, longer value may stand behind the end
    OPENSSL_cleanse(value_.data(), value_.size());
    value_.clear();
}

} // namespace consign
