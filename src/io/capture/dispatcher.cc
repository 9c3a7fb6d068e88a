#include "io/capture/dispatcher.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <utility>

#include "core/base/sample_bound.h"
#include "io/capture/begin_time.h"

namespace tcp_sniffer {

namespace {

// Frames between two publications of the counters while the source is busy.
constexpr uint64_t kPublishEvery = 4096;

FrameCounter counter_of(FrameFate fate) {
  switch (fate) {
    case FrameFate::kNotIp:
      return FrameCounter::not_ip;
    case FrameFate::kNotTcp:
      return FrameCounter::not_tcp;
    case FrameFate::kBadChecksum:
      return FrameCounter::bad_checksum;
    case FrameFate::kTunnelTooDeep:
      return FrameCounter::tunnel_too_deep;
    default:
      return FrameCounter::malformed;
  }
}

}  // namespace

Dispatcher::Dispatcher(const DispatcherSettings& settings, const std::vector<PacketLane*>& lanes,
                       CaptureFilter* filter)
    : settings_(settings),
      decoder_(settings.decode, &encapsulations_),
      defragmenter_(settings.defragment),
      filter_(filter),
      sample_bound_(sample_bound(settings.sample_rate)) {
  for (PacketLane* lane : lanes) {
    open_.push_back({.lane = lane, .runs_at_once = lane->runs_at_once()});
  }
  if (settings.may_withhold) unread_ = std::make_unique<UnreadBodies>();
}

void Dispatcher::on_file(const std::string& name) {
  file_begins_ = true;
  file_ = name;
}

// Once for each link type; only frames that are left out anyway come here.
void Dispatcher::report_unsupported(LinkType link_type) {
  const auto number = static_cast<uint16_t>(link_type);
  if (!on_unsupported_ || unsupported_reported_[number]) return;
  unsupported_reported_.set(number);
  on_unsupported_(link_type, file_);
}

void Dispatcher::on_frames(std::span<const Frame> frames, CapturePiece* piece) {
  if (file_begins_ && source_ == nullptr) [[unlikely]]
    begin_file(frames);
  for (size_t i = 0; i < frames.size(); i++) {
    // Headers of the next frames: link, IP and TCP are in the first two cache lines.
    if (i + 4 < frames.size()) {
      __builtin_prefetch(frames[i + 4].data.data());
      __builtin_prefetch(frames[i + 4].data.data() + 64);
    }
    on_frame(frames[i], piece);
  }
  if (counters_.get(FrameCounter::received) - published_at_ >= kPublishEvery) publish();
}

void Dispatcher::on_frame(const Frame& frame, CapturePiece* piece) {
  counters_.add(FrameCounter::received);
  counters_.add(FrameCounter::received_bytes, frame.data.size());
  advance_clock(frame.time_ns);
  if (filter_ != nullptr && !filter_->matches(frame)) {
    counters_.add(FrameCounter::filtered);
    if (!is_supported(frame.link_type)) [[unlikely]]
      report_unsupported(frame.link_type);
    return;
  }
  Segment segment;
  Fragment fragment;
  FrameFate fate = decoder_.decode(frame.link_type, frame.data, frame.wire_size, segment, fragment);
  payload_is_assembled_ = false;
  if (fate == FrameFate::kFragment) {
    bool held = false;
    fate = defragment(fragment, segment, held);
    if (held) return;
  }
  if (fate != FrameFate::kSegment) {
    counters_.add(counter_of(fate));
    if (fate == FrameFate::kNotIp && !is_supported(frame.link_type)) [[unlikely]]
      report_unsupported(frame.link_type);
    return;
  }
  on_segment(segment, frame, piece);
}

// A fragment, and what its datagram turns out to be – perhaps a tunnel with a fragment inside.
// `held`: the defragmenter has taken the frame, and counts it.
FrameFate Dispatcher::defragment(Fragment& fragment, Segment& segment, bool& held) {
  FrameFate fate = FrameFate::kFragment;
  while (fate == FrameFate::kFragment) {
    if (!settings_.decode.defrag) {
      counters_.add(FrameCounter::fragment_dropped);
      held = true;
      return fate;
    }
    std::span<const uint8_t> payload;
    if (defragmenter_.add(fragment, clock_ns_, fragment, payload) != FragmentFate::kCompleted) {
      held = true;
      return fate;
    }
    payload_is_assembled_ = true;
    fate = decoder_.decode_datagram(fragment, payload, segment, fragment);
  }
  if (settings_.is_alone && fate == FrameFate::kSegment) {
    counters_.add(FrameCounter::fragments_apart);
  }
  return fate;
}

void Dispatcher::on_segment(Segment& segment, const Frame& frame, CapturePiece* piece) {
  if (!settings_.ports.wants(segment.key.low_port, segment.key.high_port)) {
    counters_.add(FrameCounter::other_port);
    return;
  }
  if (sample_bound_ != kWholeSample && !sampled(public_key(segment))) {
    counters_.add(FrameCounter::not_sampled);
    return;
  }
  segment.flow_hash = XXH3_64bits_withSeed(&segment.key, sizeof(FlowKey), settings_.hash_secret);
  segment.clock_ns = clock_ns_;
  segment.time_ns = frame.time_ns;
  segment.frame = counters_.get(FrameCounter::received);
  segment.link_id = frame.link_id;

  OpenBlock& open = open_[((segment.flow_hash >> 32) * open_.size()) >> 32];
  const bool is_lent = piece == nullptr || payload_is_assembled_;
  if (!is_ready(open, piece) && !prepare(open, piece)) [[unlikely]]
    return drop(open, segment);
  if (is_lent && !place_payload(open, segment, piece)) [[unlikely]]
    return drop(open, segment);
  open.block->segments[open.block->count++] = segment;
  counters_.add(FrameCounter::dispatched);
  if (open.block->count == kSegmentsPerBlock ||
      (is_lent && lies_in_lent_memory(open, segment, piece))) {
    send(open, BlockOrder::kNone);
  }
  if (settings_.flush_every != 0 && ++since_flush_ >= settings_.flush_every) {
    since_flush_ = 0;
    send_all(BlockOrder::kNone);
  }
}

// With `shards: 0` a payload is not copied when that would cost more than a block of its own.
bool Dispatcher::lies_in_lent_memory(const OpenBlock& open, const Segment& segment,
                                     const CapturePiece* piece) {
  constexpr uint32_t kWorthABlock = 8192;
  return open.runs_at_once && piece == nullptr && segment.payload_size >= kWorthABlock;
}

// Copies a payload whose memory is lent into the open block, as much of it as is needed. False:
// there is no room, and the segment is unchanged.
bool Dispatcher::place_payload(OpenBlock& open, Segment& segment, CapturePiece* piece) {
  const bool withholds = unread_ != nullptr && unread_->covers(segment);
  const uint32_t size = withholds ? kPayloadHeadBytes : segment.payload_size;
  if (size > 0 && (withholds || !lies_in_lent_memory(open, segment, piece))) {
    const uint8_t* copy = open.block->copy(segment.payload, size);
    if (copy == nullptr) {
      // The block's memory is full; a fresh one holds any payload there can be.
      send(open, BlockOrder::kNone);
      if (!prepare(open, piece)) return false;
      copy = open.block->copy(segment.payload, size);
    }
    if (copy == nullptr) return false;
    segment.payload = copy;
  }
  if (unread_ != nullptr) unread_->hand_over(segment);
  if (withholds) {
    counters_.add(FrameCounter::uncopied_bytes, segment.payload_size - size);
    segment.withheld = true;
    segment.payload_size = size;
  }
  return true;
}

// Counted, and noted for its connection: what a shard had no room for is no loss of the network.
void Dispatcher::drop(OpenBlock& open, const Segment& segment) {
  counters_.add(FrameCounter::dropped_overload);
  counters_.add(FrameCounter::dropped_overload_bytes, segment.payload_size);
  if (segment.payload_wire_size == 0) return;
  const uint32_t end = segment.sequence + segment.payload_wire_size;
  for (DropNote& note : open.drops) {
    if (note.flow_hash != segment.flow_hash || note.side != segment.side) continue;
    if (note.key != segment.key) continue;
    note.bytes += segment.payload_wire_size;
    if (static_cast<int32_t>(end - note.end_sequence) > 0) note.end_sequence = end;
    return;
  }
  if (open.drops.size() >= kDropNotesMax) {
    counters_.add(FrameCounter::dropped_untold);
    return;
  }
  if (open.drops.capacity() == 0) open.drops.reserve(kDropNotesMax);
  open.drops.push_back(
      {segment.flow_hash, segment.payload_wire_size, segment.key, end, segment.side});
}

// Several files are one stream, unless one starts long before the last one ended.
void Dispatcher::begin_file(std::span<const Frame> frames) {
  if (frames.empty()) return;
  file_begins_ = false;
  std::array<int64_t, kBeginPacketsMax> times{};
  const size_t known = std::min(frames.size(), times.size());
  for (size_t i = 0; i < known; i++) times[i] = frames[i].time_ns;
  const int64_t begin_ns = begin_time(std::span(times).first(known));
  if (on_out_of_order_ && begin_ns < clock_ns()) on_out_of_order_(file_, clock_ns() - begin_ns);
  if (clock_ns_ == 0) {
    clock_ns_ = begin_ns;
  } else if (begin_ns < clock_ns() - kClockJumpNs) {
    begin_new_life(begin_ns);
  }
}

// Packet time: the latest seen. A time more than an hour away is believed when 16 packets agree, so
// that one broken timestamp ends no connection, and the first of a file does not stop time for all
// that follow.
void Dispatcher::advance_clock(int64_t time_ns) {
  if (source_ != nullptr) return advance_live_clock(time_ns);
  const int64_t now_ns = time_ns + clock_offset_ns_;
  if (clock_ns_ == 0 || std::abs(now_ns - clock_ns_) <= kClockJumpNs) [[likely]] {
    clock_ns_ = std::max(clock_ns_, now_ns);
    jump_packets_ = 0;
    return;
  }
  judge_jump(time_ns, now_ns);
}

void Dispatcher::judge_jump(int64_t time_ns, int64_t now_ns) {
  const bool agrees = jump_packets_ > 0 && std::abs(time_ns - jump_ns_) <= kClockJumpNs;
  jump_ns_ = time_ns;
  if (!agrees && now_ns > clock_ns_) {
    // Segments from here on have a clock of their own, so that they are known if it is a jump.
    clock_ns_++;
    rebase_from_ns_ = clock_ns_;
  }
  jump_packets_ = agrees ? jump_packets_ + 1 : 1;
  if (jump_packets_ < kClockJumpPackets) return;
  jump_packets_ = 0;
  counters_.add(FrameCounter::clock_jumps);
  if (now_ns > clock_ns_) {
    flush();
    clock_ns_ = now_ns;
    send_all(BlockOrder::kRebase);
  } else if (clock_ns_ - time_ns <= kClockOffsetMaxNs) {
    // No time has gone by, and none goes back: the shards' clock goes on from where it is.
    clock_offset_ns_ = clock_ns_ - time_ns;
  } else {
    begin_new_life(time_ns);
  }
}

// What is open ends, and time begins again.
void Dispatcher::begin_new_life(int64_t time_ns) {
  send_all(BlockOrder::kDrain);
  clock_ns_ = time_ns;
  clock_offset_ns_ = 0;
}

// Live, time goes by with the packets and the ticks, so a packet far from the clock means that the
// machine's clock was set. The shards' clock goes on without the step, so no connection ends by it.
void Dispatcher::advance_live_clock(int64_t time_ns) {
  const int64_t now_ns = time_ns + clock_offset_ns_;
  if (clock_ns_ == 0 || std::abs(now_ns - clock_ns_) <= kClockStepNs) [[likely]] {
    clock_ns_ = std::max(clock_ns_, now_ns);
    jump_packets_ = 0;
    return;
  }
  const bool agrees = jump_packets_ > 0 && std::abs(time_ns - jump_ns_) <= kClockStepNs;
  jump_ns_ = time_ns;
  jump_packets_ = agrees ? jump_packets_ + 1 : 1;
  if (jump_packets_ < kClockJumpPackets) return;
  clock_offset_ns_ = clock_ns_ - time_ns;
  jump_packets_ = 0;
  counters_.add(FrameCounter::clock_jumps);
}

bool Dispatcher::sampled(const FlowKey& key) const {
  return XXH3_64bits_withSeed(&key, sizeof(FlowKey), settings_.sample_seed) < sample_bound_;
}

// A block from the lane, with the notes of its shard.
void Dispatcher::adopt(OpenBlock& open, PacketBlock* block) {
  open.block = block;
  if (block == nullptr || block->unread.empty()) return;
  if (unread_ != nullptr) unread_->learn(block->unread);
  block->unread.clear();
}

// Makes the lane's open block ready for one more segment of this piece. False: there is no block,
// and waiting is not allowed.
bool Dispatcher::prepare(OpenBlock& open, CapturePiece* piece) {
  if (open.block != nullptr && open.block->piece != piece && open.block->count > 0) {
    send(open, BlockOrder::kNone);
  }
  if (open.block == nullptr) adopt(open, open.lane->take(settings_.may_wait));
  if (open.block == nullptr) adopt(open, take_while_source_holds(*open.lane));
  if (open.block == nullptr) return false;
  if (open.block->piece != piece) open.block->refer_to(piece);
  return true;
}

// `overload: drop`: the kernel's buffer is room, too. It can bridge a short pause of the shard
// without a loss. Only when it runs full are segments dropped, here, where they can be counted.
PacketBlock* Dispatcher::take_while_source_holds(PacketLane& lane) {
  constexpr int64_t kLookAgainUs = 500;
  PacketBlock* block = nullptr;
  while (block == nullptr && source_ != nullptr && source_->can_hold_more()) {
    block = lane.take_within(kLookAgainUs);
  }
  return block;
}

// With the notes of what was dropped before the block was there.
void Dispatcher::send(OpenBlock& open, BlockOrder order) {
  if (!open.drops.empty()) open.block->drops.swap(open.drops);
  open.block->clock_ns = clock_ns_;
  open.block->order = order;
  open.block->rebase_from_ns = rebase_from_ns_;
  open.lane->send(std::exchange(open.block, nullptr));
}

void Dispatcher::send_all(BlockOrder order) {
  // An order, or the clock, must reach every shard: for that, waiting is always allowed.
  for (OpenBlock& open : open_) {
    if (open.block == nullptr) adopt(open, open.lane->take(order != BlockOrder::kNone));
    if (open.block != nullptr) send(open, order);
  }
}

void Dispatcher::flush() {
  for (OpenBlock& open : open_) {
    if (open.block != nullptr && (open.block->count > 0 || !open.drops.empty())) {
      send(open, BlockOrder::kNone);
    } else if (open.block != nullptr) {
      open.block->reset();  // it may hold a piece that the source waits for
    }
  }
  publish();
}

void Dispatcher::tick(int64_t time_ns) {
  clock_ns_ = std::max(clock_ns_, time_ns + clock_offset_ns_);
  defragmenter_.expire(clock_ns_);
  send_all(BlockOrder::kNone);
  publish();
}

void Dispatcher::finish() {
  defragmenter_.flush();
  send_all(BlockOrder::kEnd);
  publish();
}

void Dispatcher::publish() {
  published_at_ = counters_.get(FrameCounter::received);
  const DefragmentCounters& fragments = defragmenter_.counters();
  counters_.set(FrameCounter::fragment_merged, fragments.merged);
  if (settings_.decode.defrag) counters_.set(FrameCounter::fragment_dropped, fragments.dropped);
  counters_.set(FrameCounter::fragment_held, fragments.held);
  // The counters opened_… stand in the order of Encapsulation.
  static_assert(static_cast<size_t>(FrameCounter::opened_ayiya) -
                    static_cast<size_t>(FrameCounter::opened_vlan) + 1 ==
                kEncapsulations);
  for (size_t i = 0; i < kEncapsulations; i++) {
    counters_.set(static_cast<FrameCounter>(static_cast<size_t>(FrameCounter::opened_vlan) + i),
                  encapsulations_.opened[i]);
  }
  counters_.publish();
}

}  // namespace tcp_sniffer
