#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "io/capture/dispatcher.h"
#include "packets/packet_builder.h"
#include "support/shard_harness.h"

// A dispatcher between frames that a test makes and lanes that write down what shards would get.
namespace tcp_sniffer::dispatcher_harness {

using namespace packets;
using shard_harness::kMs;
using shard_harness::kStartNs;

constexpr int64_t kSecond = 1000 * kMs;
constexpr int64_t kHour = 3600 * kSecond;

// What a shard would have got in one block.
struct SentBlock {
  BlockOrder order = BlockOrder::kNone;
  int64_t clock_ns = 0;
  int64_t rebase_from_ns = 0;
  bool refers_to_piece = false;
  uint32_t copied_bytes = 0;
  std::vector<Segment> segments;
  std::vector<std::string> payloads;
  std::vector<DropNote> drops;
};

// A lane that writes down what is sent. Its blocks come back at once, or when `release` says so.
class RecordingLane final : public PacketLane {
 public:
  explicit RecordingLane(size_t blocks = 4, bool comes_back = true) : comes_back_(comes_back) {
    for (size_t i = 0; i < blocks; i++) {
      blocks_.push_back(std::make_unique<PacketBlock>());
      free_.push_back(blocks_.back().get());
    }
  }

  PacketBlock* take(bool may_wait) override {
    EXPECT_FALSE(may_wait && free_.empty()) << "would wait for ever";
    if (free_.empty()) return nullptr;
    PacketBlock* block = free_.back();
    free_.pop_back();
    return block;
  }
  PacketBlock* take_within(int64_t) override {
    if (++waits == release_at_wait) release();
    return take(false);
  }
  void send(PacketBlock* block) override {
    SentBlock copy;
    copy.order = block->order;
    copy.clock_ns = block->clock_ns;
    copy.rebase_from_ns = block->rebase_from_ns;
    copy.refers_to_piece = block->piece != nullptr;
    copy.copied_bytes = block->arena_used;
    copy.drops = block->drops;
    for (uint32_t i = 0; i < block->count; i++) {
      const Segment& segment = block->segments[i];
      copy.segments.push_back(segment);
      copy.payloads.emplace_back(reinterpret_cast<const char*>(segment.payload),
                                 segment.payload_size);
    }
    sent.push_back(std::move(copy));
    held_.push_back(block);
    if (comes_back_) release();
  }
  void give_back(PacketBlock*) override {}
  uint32_t in_flight() const override { return static_cast<uint32_t>(held_.size()); }
  bool runs_at_once() const override { return at_once; }

  void release() {
    for (PacketBlock* block : held_) {
      block->reset();
      free_.push_back(block);
    }
    held_.clear();
  }
  std::vector<Segment> segments() const {
    std::vector<Segment> all;
    for (const SentBlock& block : sent) {
      all.insert(all.end(), block.segments.begin(), block.segments.end());
    }
    return all;
  }
  std::vector<std::string> payloads() const {
    std::vector<std::string> all;
    for (const SentBlock& block : sent) {
      all.insert(all.end(), block.payloads.begin(), block.payloads.end());
    }
    return all;
  }

  std::vector<SentBlock> sent;
  bool at_once = false;  // before the dispatcher is made
  int waits = 0;
  int release_at_wait = 0;

 private:
  const bool comes_back_;
  std::vector<std::unique_ptr<PacketBlock>> blocks_;
  std::vector<PacketBlock*> free_;
  std::vector<PacketBlock*> held_;
};

inline Packet frame_of(uint16_t client_port, std::string_view payload, bool from_server = false,
                       uint32_t sequence = 1000, uint32_t acknowledgment = 2000) {
  Ipv4Fields ip;
  TcpFields fields;
  fields.source_port = client_port;
  fields.sequence = sequence;
  fields.acknowledgment = acknowledgment;
  if (from_server) {
    std::swap(ip.source, ip.destination);
    std::swap(fields.source_port, fields.destination_port);
  }
  return ethernet(0x0800, ipv4_tcp(ip, tcp(fields, text(payload))));
}

inline void give(Dispatcher& dispatcher, const Packet& packet, int64_t time_ns = kStartNs,
                 CapturePiece* piece = nullptr) {
  Frame frame;
  // Live memory is only valid during the call.
  const Packet exact = packet;
  frame.data = piece == nullptr ? exact : packet;
  frame.wire_size = static_cast<uint32_t>(packet.size());
  frame.time_ns = time_ns;
  dispatcher.on_frames(std::span(&frame, 1), piece);
}

inline uint64_t count(const Dispatcher& dispatcher, FrameCounter counter) {
  return dispatcher.counters().get(counter);
}

// `received` is the sum of the fates.
inline void expect_frame_ledger(Dispatcher& dispatcher) {
  using C = FrameCounter;
  uint64_t sum = 0;
  for (const C fate : {C::not_ip, C::not_tcp, C::other_port, C::filtered, C::not_sampled,
                       C::malformed, C::bad_checksum, C::fragment_merged, C::fragment_dropped,
                       C::fragment_held, C::tunnel_too_deep, C::dropped_overload, C::dispatched}) {
    sum += count(dispatcher, fate);
  }
  EXPECT_EQ(count(dispatcher, C::received), sum);
}

struct HoldingSource final : PacketSource {
  int asked = 0;
  int holds = 0;  // so many times

  SourceStatus poll(FrameSink&) override { return SourceStatus::kEnd; }
  bool can_hold_more() override { return asked++ < holds; }
};

inline void discard_lines(Shard& shard, LineQueue& lines) {
  shard.output().flush();
  for (LineBlock* block = nullptr; lines.try_dequeue(block);) block->owner->give_back(block);
}

// A dispatcher in front of a shard, as with `shards: 0`.
struct DispatcherAndShard {
  ~DispatcherAndShard() { discard_lines(shard, lines); }

  LineQueue lines;
  shard_harness::RecordedEvents events;
  ConnectionCensus census{1};
  Shard shard{0, ShardSettings{}, census, lines, true, events};
  InlineLane lane{shard};
  Dispatcher dispatcher{DispatcherSettings{}, {&lane}, nullptr};

  uint64_t count(ShardCounter counter) const { return shard.counters().get(counter); }
};

}  // namespace tcp_sniffer::dispatcher_harness
