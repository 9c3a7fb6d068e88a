#pragma once

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <cstdint>
#include <string_view>
#include <vector>

#include "core/net/packet_block.h"

namespace tcp_sniffer::prepared {

// Any number of established keep-alive connections that each send an exchange when asked: one
// segment a request, one a response, both complete messages.
class Connections {
 public:
  explicit Connections(uint32_t count) : rounds_(count) {}

  uint32_t count() const { return static_cast<uint32_t>(rounds_.size()); }

  // Packet time moves by `ns` a segment.
  Segment request(uint32_t connection, int64_t ns = 1000) {
    Rounds& rounds = rounds_[connection];
    return make(connection, Side::kLow, kRequest, rounds.requests++, rounds.responses, ns);
  }
  Segment response(uint32_t connection, int64_t ns = 1000) {
    Rounds& rounds = rounds_[connection];
    return make(connection, Side::kHigh, kResponse, rounds.responses++, rounds.requests, ns);
  }
  int64_t clock_ns() const { return clock_ns_; }

  // The key of any connection: the hash is as good as a random one.
  static FlowKey key_of(uint32_t connection) {
    FlowKey key;
    key.low_ip = key.high_ip = kV4MappedPrefix;
    key.low_ip[12] = 10;
    key.low_ip[13] = static_cast<uint8_t>(connection >> 24);
    key.low_ip[14] = static_cast<uint8_t>(connection >> 16);
    key.low_ip[15] = static_cast<uint8_t>(connection >> 8);
    key.high_ip[12] = 192;
    key.low_port = static_cast<uint16_t>(30000 + (connection & 0xff));
    key.high_port = 80;
    return key;
  }

 private:
  static constexpr std::string_view kRequest =
      "GET /api/items/12345?page=2 HTTP/1.1\r\nHost: api.example.com\r\n"
      "User-Agent: load/1.0\r\nAccept: application/json\r\n\r\n";
  static constexpr std::string_view kResponse =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nServer: nginx\r\n"
      "Content-Length: 64\r\n\r\n"
      "{\"id\":12345,\"name\":\"something\",\"tags\":[\"a\",\"b\"],\"price\":1234567}";

  struct Rounds {
    uint32_t requests = 0;
    uint32_t responses = 0;
  };

  Segment make(uint32_t connection, Side side, std::string_view text, uint32_t sent,
               uint32_t received, int64_t ns) {
    const std::string_view other_text = side == Side::kLow ? kResponse : kRequest;
    Segment segment;
    segment.key = key_of(connection);
    segment.flow_hash = XXH3_64bits_withSeed(&segment.key, sizeof(FlowKey), 42);
    segment.side = side;
    segment.flags = kTcpAck | kTcpPsh;
    segment.window = 65535;
    segment.sequence = 1 + sent * static_cast<uint32_t>(text.size());
    segment.acknowledgment = 1 + received * static_cast<uint32_t>(other_text.size());
    clock_ns_ += ns;
    segment.clock_ns = segment.time_ns = clock_ns_;
    segment.frame = ++frame_;
    segment.payload = reinterpret_cast<const uint8_t*>(text.data());
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    return segment;
  }

  std::vector<Rounds> rounds_;
  int64_t clock_ns_ = 1'740'139'200'000'000'000;
  uint64_t frame_ = 0;
};

}  // namespace tcp_sniffer::prepared
