#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "core/redaction/hmac_sha256.h"
#include "core/redaction/spans.h"

namespace tcp_sniffer {

// What stands in the place of a hidden value: "[redacted]", or with a key 16 hexadecimal digits
// that are the same for the same value wherever it stands, so that values can be joined and not be
// read. A value whose end is not known has no such digits. One per shard.
class Placeholder {
 public:
  explicit Placeholder(const std::string& hash_key) {
    if (!hash_key.empty()) hmac_.emplace(hash_key);
  }

  // Valid until the next call.
  std::string_view of(std::string_view value, const Spans::Span& span);

 private:
  std::optional<HmacSha256> hmac_;
  std::string decoded_;
  char digits_[16] = {};
};

}  // namespace tcp_sniffer
