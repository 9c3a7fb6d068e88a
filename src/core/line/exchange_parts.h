#pragma once

#include <cstdint>
#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// What the line of an exchange is made of: each message either as such, or as the text that
// write_part of the line writer has made of it before.
struct ExchangeParts {
  const Message* about = nullptr;  // one of its messages, or what they have in common
  Orphan orphan;
  const Message* request = nullptr;
  std::string_view request_text;   // instead of it
  std::string_view request_body;   // … and what write_part returned
  int64_t request_first_ns = 0;    // … and its time; of the request in any case
  std::string_view interim_texts;  // with part_separator() between them
  const Message* interim = nullptr;
  const Message* response = nullptr;

  bool has_request() const { return request != nullptr || !request_text.empty(); }
};

}  // namespace tcp_sniffer
