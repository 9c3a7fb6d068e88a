#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <span>

#include "core/net/segment.h"

namespace tcp_sniffer {

// What holds for each segment of a frame: its payload lies within the bytes, its key is canonical.
inline void check_segment(const Segment& segment, std::span<const uint8_t> within) {
  ASSERT_LE(segment.payload_size, segment.payload_wire_size);
  ASSERT_GE(segment.payload, within.data());
  ASSERT_LE(segment.payload + segment.payload_size, within.data() + within.size());
  ASSERT_LE(std::memcmp(segment.key.low_ip.data(), segment.key.high_ip.data(), 16), 0);
  ASSERT_LE(segment.key.mapped_on_wire, 1);
  if (segment.key.mapped_on_wire == 1) {
    ASSERT_TRUE(is_v4_mapped(segment.key.low_ip) && is_v4_mapped(segment.key.high_ip));
  }
}

}  // namespace tcp_sniffer
