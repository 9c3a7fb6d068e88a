#pragma once

#include <gtest/gtest.h>

#include <string>

#include "core/net/frame_decoder.h"
#include "packets/packet_builder.h"

// Decodes single frames and says what came out.
namespace tcp_sniffer::packets {

struct Decoded {
  FrameFate fate = FrameFate::kNotIp;
  Segment segment;
  Fragment fragment;
  EncapsulationCounters counters;

  std::string payload() const {
    return {reinterpret_cast<const char*>(segment.payload), segment.payload_size};
  }
};

inline Decoded decode(LinkType link_type, const Packet& frame, const DecodeOptions& options = {},
                      size_t wire_size = 0) {
  Decoded decoded;
  // A copy of exactly the frame's size, so that the address sanitizer sees every byte too far.
  static Packet exact;
  exact = Packet(frame.begin(), frame.end());
  exact.shrink_to_fit();
  const FrameDecoder decoder(options, &decoded.counters);
  decoded.fate = decoder.decode(link_type, exact, static_cast<uint32_t>(wire_size), decoded.segment,
                                decoded.fragment);
  return decoded;
}

inline Decoded decode_ethernet_frame(const Packet& frame, const DecodeOptions& options = {},
                                     size_t wire_size = 0) {
  return decode(LinkType::kEthernet, frame, options, wire_size);
}

inline void expect_client_segment(const Decoded& decoded, const std::string& payload) {
  ASSERT_EQ(decoded.fate, FrameFate::kSegment);
  EXPECT_EQ(decoded.payload(), payload);
  EXPECT_EQ(decoded.segment.payload_wire_size, payload.size());
  EXPECT_EQ(decoded.segment.key.low_port, 40000);
  EXPECT_EQ(decoded.segment.key.high_port, 80);
  EXPECT_EQ(decoded.segment.side, Side::kLow);
}

inline void expect_client4_segment(const Decoded& decoded, const std::string& payload) {
  expect_client_segment(decoded, payload);
  EXPECT_EQ(decoded.segment.key.low_ip, mapped(kClient4));
  EXPECT_EQ(decoded.segment.key.high_ip, mapped(kServer4));
}

}  // namespace tcp_sniffer::packets
