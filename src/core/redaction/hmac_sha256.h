#pragma once

#include <sha2.h>

#include <array>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// HMAC-SHA-256 (RFC 2104, FIPS 180-4) with one key for many messages.
class HmacSha256 {
 public:
  using Digest = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

  explicit HmacSha256(std::string_view key);

  Digest of(std::string_view message) const;

 private:
  SHA2_CTX inner_;  // with the key's block taken in
  SHA2_CTX outer_;
};

}  // namespace tcp_sniffer
