#include "core/net/tcp_decoder.h"

namespace tcp_sniffer {

namespace {

// Option kinds, RFC 9293 section 3.1, RFC 7323 sections 2.2 and 3.2.
enum TcpOptionKind : uint8_t {
  kEndOfOptions = 0,
  kNoOperation = 1,
  kMaximumSegmentSize = 2,
  kWindowScale = 3,
  kTimestamps = 8,
};

void read_option(uint8_t kind, const uint8_t* option, uint32_t size, Segment& segment) {
  switch (kind) {
    case kMaximumSegmentSize:
      if (size == 4) segment.maximum_segment_size = load_be16(option + 2);
      break;
    case kWindowScale:
      // Values above 14 count as 14, RFC 7323 section 2.3.
      if (size == 3) segment.window_scale = std::min<uint8_t>(option[2], 14);
      break;
    case kTimestamps:
      if (size == 10) segment.timestamp_value = load_be32(option + 2);
      break;
    default:
      break;
  }
}

}  // namespace

void read_tcp_options(const uint8_t* options, uint32_t size, Segment& segment) {
  uint32_t at = 0;
  while (at < size) {
    const uint8_t kind = options[at];
    if (kind == kEndOfOptions) return;
    if (kind == kNoOperation) {
      ++at;
      continue;
    }
    if (size - at < 2) return;
    const uint32_t option_size = options[at + 1];
    if (option_size < 2 || option_size > size - at) return;
    read_option(kind, options + at, option_size, segment);
    at += option_size;
  }
}

void set_endpoints(const IpAddress& source, const IpAddress& destination, const uint8_t* ports,
                   Segment& segment) {
  const uint16_t source_port = load_be16(ports);
  const uint16_t destination_port = load_be16(ports + 2);
  const int order = std::memcmp(source.data(), destination.data(), source.size());
  const bool from_high = order > 0 || (order == 0 && source_port > destination_port);
  segment.key.low_ip = from_high ? destination : source;
  segment.key.high_ip = from_high ? source : destination;
  segment.key.low_port = from_high ? destination_port : source_port;
  segment.key.high_port = from_high ? source_port : destination_port;
  segment.side = from_high ? Side::kHigh : Side::kLow;
}

}  // namespace tcp_sniffer
