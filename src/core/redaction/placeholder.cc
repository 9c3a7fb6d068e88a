#include "core/redaction/placeholder.h"

#include <algorithm>

#include "core/base/number_text.h"
#include "core/message/message.h"
#include "core/redaction/names.h"

namespace tcp_sniffer {

std::string_view Placeholder::of(std::string_view value, const Spans::Span& span) {
  if (!hmac_ || span.is_cut) return kRedacted;
  decoded_.assign(value);
  if (span.coding == ValueCoding::kPercent) {
    std::replace(decoded_.begin(), decoded_.end(), '+', ' ');
    undo_percent_encoding(decoded_);
  } else if (span.coding == ValueCoding::kJson) {
    undo_json_escapes(decoded_);
  }
  const HmacSha256::Digest digest = hmac_->of(decoded_);
  for (size_t i = 0; i < sizeof(digits_); i += 2) write_hex(digits_ + i, digest[i / 2], 2);
  return {digits_, sizeof(digits_)};
}

}  // namespace tcp_sniffer
