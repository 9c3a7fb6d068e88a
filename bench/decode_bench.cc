// The cost of finding the TCP segment in a frame, key included, and of putting fragments together.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <span>
#include <vector>

#include "core/net/defragmenter.h"
#include "core/net/frame_decoder.h"
#include "packets/packet_builder.h"

namespace tcp_sniffer {
namespace {

using namespace packets;

constexpr size_t kFrames = 256;  // one burst of a source

// Copies of a frame side by side as in a capture file, with different ports, addresses of both
// orders and record headers between them.
class Burst {
 public:
  Burst(const Packet& frame, size_t port_at) {
    constexpr size_t kRecordHeaderSize = 16;
    for (size_t i = 0; i < kFrames; ++i) {
      starts_.push_back(memory_.size() + kRecordHeaderSize);
      memory_.resize(memory_.size() + kRecordHeaderSize);
      memory_.insert(memory_.end(), frame.begin(), frame.end());
      if (port_at != 0) {
        uint8_t* port = memory_.data() + starts_.back() + port_at;
        port[0] = static_cast<uint8_t>(i * 37);
        port[1] = static_cast<uint8_t>(i * 101);
      }
    }
    size_ = frame.size();
  }

  std::span<const uint8_t> operator[](size_t i) const {
    return {memory_.data() + starts_[i], size_};
  }

 private:
  Packet memory_;
  std::vector<size_t> starts_;
  size_t size_ = 0;
};

TcpFields with_timestamps() {
  TcpFields fields;
  fields.options = bytes({1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2});
  return fields;
}

Packet web_segment(size_t payload_size) {
  return ipv4_tcp(Ipv4Fields{}, tcp(with_timestamps(), Packet(payload_size, 'x')));
}

void decode_burst(benchmark::State& state, const Packet& frame, size_t port_at,
                  const DecodeOptions& options = {}) {
  const FrameDecoder decoder(options);
  const Burst burst(frame, port_at);
  std::vector<Segment> segments(kFrames);  // as in a packet block
  Fragment fragment;
  uint64_t found = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < kFrames; ++i) {
      const std::span<const uint8_t> bytes_of_frame = burst[i];
      found += decoder.decode(LinkType::kEthernet, bytes_of_frame,
                              static_cast<uint32_t>(bytes_of_frame.size()), segments[i],
                              fragment) == FrameFate::kSegment;
    }
    benchmark::DoNotOptimize(segments.data());
    benchmark::ClobberMemory();
  }
  benchmark::DoNotOptimize(found);
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * static_cast<int64_t>(kFrames));
  state.counters["ns_per_frame"] =
      benchmark::Counter(static_cast<double>(state.iterations()) * kFrames,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

void BM_DecodePlain(benchmark::State& state) {
  decode_burst(state, ethernet(0x0800, web_segment(static_cast<size_t>(state.range(0)))), 34);
}
BENCHMARK(BM_DecodePlain)->Arg(0)->Arg(1448);

void BM_DecodePlainWithoutOptions(benchmark::State& state) {
  decode_burst(state, ethernet(0x0800, ipv4_tcp("GET / HTTP/1.1\r\n\r\n")), 34);
}
BENCHMARK(BM_DecodePlainWithoutOptions);

void BM_DecodePlainVerified(benchmark::State& state) {
  DecodeOptions options;
  options.verify_checksums = true;
  decode_burst(state, ethernet(0x0800, web_segment(1448)), 0, options);
}
BENCHMARK(BM_DecodePlainVerified);

void BM_DecodeVlan(benchmark::State& state) {
  decode_burst(state, ethernet(0x8100, be16(100) + be16(0x0800) + web_segment(1000)), 38);
}
BENCHMARK(BM_DecodeVlan);

void BM_DecodeIpv6(benchmark::State& state) {
  const Packet packet = ipv6_tcp(tcp(with_timestamps(), Packet(1000, 'x')));
  decode_burst(state, ethernet(0x86dd, packet), 54);
}
BENCHMARK(BM_DecodeIpv6);

void BM_DecodeVxlan(benchmark::State& state) {
  const Packet inner = ethernet(0x0800, web_segment(1000));
  const Packet header = bytes({8, 0, 0, 0, 0, 0, 7, 0});
  decode_burst(state, ethernet(0x0800, ipv4_udp(50000, 4789, header + inner)), 84);
}
BENCHMARK(BM_DecodeVxlan);

void BM_DecodeUdp(benchmark::State& state) {
  decode_burst(state, ethernet(0x0800, ipv4_udp(50000, 53, Packet(60, 'x'))), 34);
}
BENCHMARK(BM_DecodeUdp);

// Datagrams of four fragments, in order.
void BM_Defragment(benchmark::State& state) {
  constexpr uint32_t kSize = 1480;
  Defragmenter defragmenter(DefragmentLimits{});
  const Packet data(kSize, 'x');
  Fragment fragment;
  fragment.source = mapped(kClient4);
  fragment.destination = mapped(kServer4);
  fragment.protocol = kTcpProtocol;
  fragment.data = data;
  fragment.wire_size = kSize;
  Fragment header;
  std::span<const uint8_t> payload;
  int64_t clock_ns = 0;
  for (auto _ : state) {
    fragment.id = (fragment.id + 1) & 0xffff;
    clock_ns += 100'000;
    for (uint32_t i = 0; i < 4; ++i) {
      fragment.offset = i * kSize;
      fragment.more = i < 3;
      benchmark::DoNotOptimize(defragmenter.add(fragment, clock_ns, header, payload));
    }
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * 4);
}
BENCHMARK(BM_Defragment);

}  // namespace
}  // namespace tcp_sniffer
