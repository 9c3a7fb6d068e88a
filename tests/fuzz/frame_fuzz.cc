// Frames of every link type, with tunnels and fragments, cut anywhere: nothing is read beyond the
// captured bytes, a segment makes sense, and the defragmenter keeps its limits and its sums.

#include <gtest/gtest.h>

#include <vector>

#include "core/net/defragmenter.h"
#include "core/net/frame_decoder.h"
#include "fuzz_input.h"
#include "support/segment_check.h"

namespace tcp_sniffer::fuzz {
namespace {

constexpr LinkType kLinkTypes[] = {
    LinkType::kEthernet,     LinkType::kNull,      LinkType::kLoop,
    LinkType::kRaw,          LinkType::kLinuxSll,  LinkType::kLinuxSll2,
    LinkType::kPpp,          LinkType::kPppHdlc,   LinkType::kPppEther,
    LinkType::kCiscoHdlc,    LinkType::kIeee80211, LinkType::kIeee80211Radiotap,
    LinkType::kIeee80211Avs, LinkType::kPrism,     LinkType::kNflog,
    LinkType::kIpv4,         LinkType::kIpv6,
};

constexpr size_t kMemoryMax = 300'000;
constexpr size_t kDatagramsMax = 8;

class Decoding {
 public:
  explicit Decoding(FuzzInput input) : input_(input), decoder_(options(input_.u8())) {}

  // Each frame: link type, time step and how much was cut; its size; its bytes.
  void run() {
    while (!input_.empty()) {
      const LinkType link_type = kLinkTypes[input_.below(std::size(kLinkTypes))];
      const uint8_t odd = input_.u8();
      clock_ns_ += int64_t{odd & 15} * 1'000'000'000;
      const auto bytes = input_.bytes(input_.u16() & 0x7ff);
      const std::vector<uint8_t> frame(bytes.begin(), bytes.end());
      const uint32_t cut = (odd & 16) != 0 ? input_.u8() : 0;
      take(link_type, frame, static_cast<uint32_t>(frame.size()) + cut);
    }
    defragmenter_.flush();
    EXPECT_EQ(defragmenter_.counters().held, 0u);
    expect_sums();
  }

 private:
  static DecodeOptions options(uint8_t flags) {
    DecodeOptions options;
    options.tunnels = (flags & 1) == 0;
    options.verify_checksums = (flags & 2) != 0;
    options.key_tunnel = (flags & 4) == 0;
    options.key_vlan = (flags & 8) != 0;
    options.tunnel_depth_max = static_cast<uint8_t>(flags >> 4 & 7);
    return options;
  }

  void take(LinkType link_type, const std::vector<uint8_t>& frame, uint32_t wire_size) {
    Segment segment;
    Fragment fragment;
    FrameFate fate = decoder_.decode(link_type, frame, wire_size, segment, fragment);
    std::span<const uint8_t> within = frame;
    while (fate == FrameFate::kFragment) {
      ASSERT_LE(fragment.data.size(), fragment.wire_size);
      added_++;
      if (defragmenter_.add(fragment, clock_ns_, fragment, within) != FragmentFate::kCompleted) {
        break;
      }
      fate = decoder_.decode_datagram(fragment, within, segment, fragment);
    }
    if (fate == FrameFate::kSegment) check_segment(segment, within);
    EXPECT_LE(defragmenter_.memory_bytes(), kMemoryMax);
    expect_sums();
  }

  void expect_sums() const {
    const DefragmentCounters& counters = defragmenter_.counters();
    EXPECT_EQ(added_, counters.held + counters.merged + counters.dropped + counters.completed);
    EXPECT_EQ(counters.dropped, counters.dropped_overlap + counters.dropped_invalid +
                                    counters.dropped_late + counters.dropped_timeout +
                                    counters.dropped_limit + counters.dropped_at_end);
  }

  FuzzInput input_;
  const FrameDecoder decoder_;
  Defragmenter defragmenter_{
      {.datagrams_max = kDatagramsMax, .memory_bytes_max = kMemoryMax, .hash_seed = 7}};
  uint64_t added_ = 0;
  int64_t clock_ns_ = 0;
};

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  Decoding(FuzzInput(data, size)).run();
  return 0;
}
