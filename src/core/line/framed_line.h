#pragma once

#include <cstddef>
#include <initializer_list>
#include <string_view>

#include "core/line/line_sink.h"

namespace tcp_sniffer {

// One message of `format: framed`:
//
//     0        4        8                 8 + n          8 + n + m
//     | n, LE  | m, LE  | JSON, n bytes   | body, m bytes |
//
// The stream begins with the 8 bytes kFramedMagic, which the output writes once; frames follow
// without anything between them. The JSON has no `body` and no line end.
inline constexpr std::string_view kFramedMagic = "TCPSNIF1";

class FramedMessage {
 public:
  static constexpr size_t kHeaderSize = 8;

  // The whole size of the message that begins with this header of kHeaderSize bytes.
  static size_t size_of(std::string_view header);

  // Leaves room for the lengths; the JSON is appended to the sink after it.
  explicit FramedMessage(LineSink& sink);
  // Appends the bodies and fills in the lengths. JSON and bodies are below 4 GiB each.
  void finish(std::initializer_list<std::string_view> bodies, LineSink& sink) const;

 private:
  size_t start_;
};

}  // namespace tcp_sniffer
