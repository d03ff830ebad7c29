#pragma once
#include "consign/base/bytes.hpp"
#include "consign/base/secret.hpp"
#include <filesystem>
#include <memory>

namespace consign {

/// A P-256 public key (ECDSA with SHA-256, "ES256" of RFC 7518). Immutable; any thread.
class PublicKey {
  public:
    static Result<PublicKey>
    from_pem(std::string_view pem); ///< SubjectPublicKeyInfo; other curves are refused
    std::string to_pem() const;
    std::string thumbprint() const; ///< SHA-256 of the DER form, hex: how a key is named
    /// `signature` is the 64-byte r||s form of RFC 7518 section 3.4.
    bool verify(ByteView message, ByteView signature) const;

  private:
    friend class PrivateKey;
    std::shared_ptr<void> key_;
};

/// A P-256 private key. Immutable; any thread.
class PrivateKey {
  public:
    static PrivateKey generate();
    static Result<PrivateKey> from_pem(std::string_view pem);
    Secret<std::string> to_pem() const;
    PublicKey public_key() const;
    Bytes sign(ByteView message) const; ///< 64 bytes, r||s

    /// Reads the key at `path`, or makes one there with mode 0600.
    static Result<PrivateKey> load_or_create(const std::filesystem::path& path);

  private:
    std::shared_ptr<void> key_;
};

} // namespace consign
