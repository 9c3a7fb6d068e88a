#pragma once

#include <cstddef>
#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// The name of the file for a response's body (extractDir), without a path:
//
//     0123456789abcdef-12.html                connectionId, exchange, type
//     0123456789abcdef-u1740139200000000000.bin   no known exchange: packet time, nanoseconds
//     0123456789abcdef-12-incomplete.json.gz      not all of it; still coded
//
// Nothing of it comes from the wire: the type is one word of a closed table, chosen by the media
// type, and so is the word for the content coding.
class BodyFileName {
 public:
  explicit BodyFileName(const Message& message);

  std::string_view view() const { return {text_, size_}; }
  // Named by its time, so that another body may have the same name.
  bool by_time() const { return by_time_; }

 private:
  void append(std::string_view part);

  char text_[96];
  size_t size_ = 0;
  bool by_time_ = false;
};

// Bytes are missing, or were left out, or were not decoded to the end.
bool body_is_incomplete(const Message& message);

}  // namespace tcp_sniffer
