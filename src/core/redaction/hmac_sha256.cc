#include "core/redaction/hmac_sha256.h"

#include <algorithm>

namespace tcp_sniffer {
namespace {

using Block = std::array<uint8_t, SHA256_BLOCK_LENGTH>;

void update(SHA2_CTX& context, const void* bytes, size_t size) {
  SHA256Update(&context, static_cast<const uint8_t*>(bytes), size);
}

SHA2_CTX begun_with(Block block, uint8_t pad) {
  for (uint8_t& byte : block) byte ^= pad;
  SHA2_CTX context;
  SHA256Init(&context);
  update(context, block.data(), block.size());
  return context;
}

}  // namespace

HmacSha256::HmacSha256(std::string_view key) {
  Block block{};
  if (key.size() <= block.size()) {
    std::copy(key.begin(), key.end(), block.begin());
  } else {
    SHA2_CTX context;
    SHA256Init(&context);
    update(context, key.data(), key.size());
    SHA256Final(block.data(), &context);
  }
  inner_ = begun_with(block, 0x36);
  outer_ = begun_with(block, 0x5c);
}

HmacSha256::Digest HmacSha256::of(std::string_view message) const {
  Digest digest;
  SHA2_CTX context = inner_;
  update(context, message.data(), message.size());
  SHA256Final(digest.data(), &context);
  context = outer_;
  update(context, digest.data(), digest.size());
  SHA256Final(digest.data(), &context);
  return digest;
}

}  // namespace tcp_sniffer
