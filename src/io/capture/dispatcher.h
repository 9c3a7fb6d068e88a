#pragma once

#include <bitset>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/counters.h"
#include "core/net/defragmenter.h"
#include "core/net/frame_decoder.h"
#include "core/net/port_set.h"
#include "io/capture/capture_filter.h"
#include "io/capture/packet_source.h"
#include "io/capture/unread_bodies.h"
#include "shard/packet_lane.h"

namespace tcp_sniffer {

struct DispatcherSettings {
  DecodeOptions decode;
  DefragmentLimits defragment;
  PortSet ports;
  double sample_rate = 1.0;  // 0 … 1, of the connections
  uint64_t sample_seed = 0;  // public: the same connections in every run
  uint64_t hash_secret = 0;  // of this run: the wire must not know which keys share a bucket
  uint64_t flush_every = 0;  // blocks leave, full or not, every N dispatched packets; 0 = off
  bool may_wait = true;      // overload: block; false: drop
  // Live: shards report which bytes are not needed (ShardSettings::notes_unread).
  bool may_withhold = false;
  // Live, with a shard for each capture thread: the kernel has chosen the thread, and fragments of
  // IPv6 have no ports for its hash, so that they may come to another than their connection.
  bool is_alone = false;
};

// The capture thread's share of the work: gives every frame one fate. Decodes it, puts fragments
// together, sorts out what is not wanted, hashes the key and puts the segment into the open block
// of its shard.
//
// Three independent values come from a key: sampling (public seed), shard (high bits of the keyed
// hash), table bucket (low bits). Both directions have one key, so whole connections are chosen.
//
// One per capture thread, or one for a team, used by the thread that is at the source. The lanes
// and the filter outlive it.
class Dispatcher final : public FrameSink {
 public:
  // `filter` may be nullptr.
  Dispatcher(const DispatcherSettings& settings, const std::vector<PacketLane*>& lanes,
             CaptureFilter* filter);

  void on_frames(std::span<const Frame> frames, CapturePiece* piece) override;
  void on_file(const std::string& name) override;

  // A live source. When there is no block, frames can wait in it for a limited time: it is asked
  // before a segment is dropped. Packet time is this machine's clock: when that is set, forward or
  // back, no time has gone by.
  void set_source(PacketSource* source) { source_ = source; }

  // `on_unsupported` is called with each link type that no decoder reads, and with the file it is
  // in, when the first frame of it comes; on the thread at the source. Set before the first frame.
  using OnUnsupported = std::function<void(LinkType link_type, const std::string& file)>;
  void set_on_unsupported(OnUnsupported on_unsupported) {
    on_unsupported_ = std::move(on_unsupported);
  }

  // `on_out_of_order` is called for a file whose first packet is older, by `behind_ns`, than what
  // was read before it. Set before the first frame.
  using OnOutOfOrder = std::function<void(const std::string& file, int64_t behind_ns)>;
  void set_on_out_of_order(OnOutOfOrder on_out_of_order) {
    on_out_of_order_ = std::move(on_out_of_order);
  }

  // Sends what the open blocks hold: the source has nothing for now.
  void flush();
  // Tells every shard that packet time has come to `time_ns` at least (live, without packets).
  void tick(int64_t time_ns);
  // The end of the input: fragments are given up, every shard gets the end marker.
  void finish();

  // The latest packet time.
  int64_t clock_ns() const { return clock_ns_ - clock_offset_ns_; }
  const FrameCounters& counters() const { return counters_; }

 private:
  struct OpenBlock {
    PacketLane* lane;
    PacketBlock* block = nullptr;
    std::vector<DropNote> drops{};  // for the next block
    bool runs_at_once = false;
  };

  void on_frame(const Frame& frame, CapturePiece* piece);
  FrameFate defragment(Fragment& fragment, Segment& segment, bool& held);
  void on_segment(Segment& segment, const Frame& frame, CapturePiece* piece);
  void report_unsupported(LinkType link_type);
  void advance_clock(int64_t time_ns);
  void begin_file(std::span<const Frame> frames);
  void judge_jump(int64_t time_ns, int64_t now_ns);
  void begin_new_life(int64_t time_ns);
  void advance_live_clock(int64_t time_ns);
  bool sampled(const FlowKey& key) const;
  void adopt(OpenBlock& open, PacketBlock* block);
  // Nearly always: nothing has to be prepared.
  static bool is_ready(const OpenBlock& open, const CapturePiece* piece) {
    return open.block != nullptr && open.block->piece == piece;
  }
  bool prepare(OpenBlock& open, CapturePiece* piece);
  static bool lies_in_lent_memory(const OpenBlock& open, const Segment& segment,
                                  const CapturePiece* piece);
  bool place_payload(OpenBlock& open, Segment& segment, CapturePiece* piece);
  void drop(OpenBlock& open, const Segment& segment);
  PacketBlock* take_while_source_holds(PacketLane& lane);
  void send(OpenBlock& open, BlockOrder order);
  void send_all(BlockOrder order);
  void publish();

  DispatcherSettings settings_;
  EncapsulationCounters encapsulations_;
  FrameDecoder decoder_;
  Defragmenter defragmenter_;
  CaptureFilter* filter_;
  PacketSource* source_ = nullptr;
  std::vector<OpenBlock> open_;
  std::unique_ptr<UnreadBodies> unread_;  // with may_withhold
  FrameCounters counters_;
  uint64_t sample_bound_;
  int64_t clock_ns_ = 0;         // the shards' clock: packet time and clock_offset_ns_
  int64_t clock_offset_ns_ = 0;  // the sum of the steps back, and live of all, that were believed
  int64_t jump_ns_ = 0;          // a far packet time that waits to be believed
  uint32_t jump_packets_ = 0;
  int64_t rebase_from_ns_ = 0;  // clock when the first of them came
  uint64_t since_flush_ = 0;
  uint64_t published_at_ = 0;
  bool file_begins_ = true;
  bool payload_is_assembled_ = false;  // the segment is in the defragmenter's memory
  std::string file_;                   // the one being read
  OnUnsupported on_unsupported_;
  OnOutOfOrder on_out_of_order_;
  std::bitset<65536> unsupported_reported_;  // by link type; large, so after what every frame needs
};

}  // namespace tcp_sniffer
