#include "core/message/body_text.h"

#include "core/base/text_encoding.h"

namespace tcp_sniffer {

std::string_view body_text(const Message& message) {
  if (message.body_cut_is_none) return message.body;
  const bool may_be_cut = message.body_truncated || message.incomplete != Incomplete::kNo ||
                          message.content_decode_error != ContentDecodeError::kNo;
  return may_be_cut ? without_cut_character(message.body) : message.body;
}

}  // namespace tcp_sniffer
