#include "core/line/framed_line.h"

#include <cstdint>

#include "core/base/byte_order.h"
#include "core/line/json_string.h"

namespace tcp_sniffer {
namespace {

void write_le32(char* out, size_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

size_t FramedMessage::size_of(std::string_view header) {
  const auto* lengths = reinterpret_cast<const uint8_t*>(header.data());
  return kHeaderSize + load_le32(lengths) + load_le32(lengths + 4);
}

FramedMessage::FramedMessage(LineSink& sink) : start_(sink.size()) {
  sink.commit(sink.reserve(kHeaderSize) + kHeaderSize);
}

void FramedMessage::finish(std::initializer_list<std::string_view> bodies, LineSink& sink) const {
  const size_t json_size = sink.size() - start_ - kHeaderSize;
  size_t body_size = 0;
  for (const std::string_view body : bodies) {
    append_verbatim(body, sink);
    body_size += body.size();
  }
  char* header = sink.reserve(0) - (sink.size() - start_);
  write_le32(header, json_size);
  write_le32(header + 4, body_size);
}

}  // namespace tcp_sniffer
