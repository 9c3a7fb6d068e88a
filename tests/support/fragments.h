#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/net/defragmenter.h"
#include "support/decode_one.h"

// Fragments of IP datagrams, and what a Defragmenter makes of them.
namespace tcp_sniffer::fragments {

using namespace packets;

constexpr int64_t kSecond = 1'000'000'000;

struct Result {
  FragmentFate fate = FragmentFate::kDropped;
  Fragment header;
  std::span<const uint8_t> payload;

  std::string text() const {
    return {reinterpret_cast<const char*>(payload.data()), payload.size()};
  }
};

inline Result add(Defragmenter& defragmenter, const Fragment& fragment, int64_t clock_ns = 0) {
  Result result;
  result.fate = defragmenter.add(fragment, clock_ns, result.header, result.payload);
  return result;
}

// `data` outlives the call of add() only: string literals.
inline Fragment piece(uint8_t ip_version, uint32_t offset, std::string_view data, bool more,
                      uint32_t id = 1) {
  Fragment fragment;
  fragment.ip_version = ip_version;
  fragment.source = ip_version == 4 ? mapped(kClient4) : ipv6_address(1);
  fragment.destination = ip_version == 4 ? mapped(kServer4) : ipv6_address(2);
  fragment.protocol = kTcpProtocol;
  fragment.id = id;
  fragment.offset = offset;
  fragment.more = more;
  fragment.data = {reinterpret_cast<const uint8_t*>(data.data()), data.size()};
  fragment.wire_size = static_cast<uint32_t>(data.size());
  return fragment;
}

inline void expect_ledger(const Defragmenter& defragmenter, uint64_t added) {
  const DefragmentCounters& counters = defragmenter.counters();
  EXPECT_EQ(added, counters.held + counters.merged + counters.dropped + counters.completed);
  EXPECT_EQ(counters.dropped, counters.dropped_overlap + counters.dropped_invalid +
                                  counters.dropped_late + counters.dropped_timeout +
                                  counters.dropped_limit + counters.dropped_at_end);
}

}  // namespace tcp_sniffer::fragments
