#include "core/line/framed_line.h"

#include <cstdint>

#include "core/line/json_string.h"

namespace tcp_sniffer {
namespace {

void write_le32(char* out, size_t value) {
  for (size_t i = 0; i < 4; ++i) out[i] = static_cast<char>((value >> (8 * i)) & 0xff);
}

}  // namespace

FramedMessage::FramedMessage(LineSink& sink) : start_(sink.size()) {
  sink.commit(sink.reserve(kHeaderSize) + kHeaderSize);
}

void FramedMessage::finish(std::string_view body, LineSink& sink) const {
  const size_t json_size = sink.size() - start_ - kHeaderSize;
  append_verbatim(body, sink);
  char* header = sink.reserve(0) - (sink.size() - start_);
  write_le32(header, json_size);
  write_le32(header + 4, body.size());
}

}  // namespace tcp_sniffer
