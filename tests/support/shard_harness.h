#pragma once

#include <gtest/gtest.h>
#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "shard/shard.h"

// A shard as with `shards: 0`, fed segment by segment, its lines and events taken from the queue.
namespace tcp_sniffer::shard_harness {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kStartNs = 1'740'139'200'000'000'000;  // 2025-02-21T12:00:00Z

// A connection from 10.0.0.1:client_port to 10.0.0.2:server_port; the client is the low side.
inline FlowKey key_of(uint16_t client_port, uint16_t server_port = 80) {
  FlowKey key;
  key.low_ip = key.high_ip = kV4MappedPrefix;
  key.low_ip[12] = key.high_ip[12] = 10;
  key.low_ip[15] = 1;
  key.high_ip[15] = 2;
  key.low_port = client_port;
  key.high_port = server_port;
  return key;
}

inline uint64_t hash_of(const FlowKey& key) {
  return XXH3_64bits(&key, sizeof(key));
}

// The ends of connections, by the client's port: each sends in order, and acknowledges all that the
// other one has sent.
class Ends {
 public:
  bool has_sent(uint16_t port, Side side) const { return sent_.contains({port, side}); }
  // The next segment of that end, without its payload.
  Segment segment(uint16_t port, Side side, uint8_t flags, size_t size, int64_t time_ns) {
    uint32_t& sent = sent_[{port, side}];
    Segment segment;
    segment.key = key_of(port);
    segment.side = side;
    segment.flags = flags;
    segment.sequence = sent;
    segment.acknowledgment = sent_[{port, other(side)}];
    segment.clock_ns = segment.time_ns = time_ns;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(size);
    sent += segment.payload_size + ((flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
    return segment;
  }

 private:
  std::map<std::pair<uint16_t, Side>, uint32_t> sent_;
};

struct RecordedEvents final : EventSink {
  std::vector<EventRecord> records;
  bool has_room = true;

  bool put(const EventRecord& record) override {
    if (has_room) records.push_back(record);
    return has_room;
  }
};

inline std::string_view name_of(EventKind kind) {
  constexpr std::array<std::string_view, 5> kNames = {"connection_evicted", "reassembly_gap",
                                                      "not_http", "parse_error", "limit"};
  return kNames.at(static_cast<size_t>(kind));
}

class ShardHarness {
 public:
  explicit ShardHarness(const ShardSettings& settings)
      : is_http_alone_(settings.protocols.spoken[kHttpNumber] &&
                       std::count(settings.protocols.spoken.begin(),
                                  settings.protocols.spoken.end(), true) == 1),
        has_writer_(settings.memory_bytes_max < kLittleMemory),
        shard_(0, metered(settings), census, queue_, has_writer_, events),
        block_(new PacketBlock) {}
  ~ShardHarness() { take_lines(); }
  ShardHarness(const ShardHarness&) = delete;
  ShardHarness& operator=(const ShardHarness&) = delete;

  // The payload is copied, into memory of exactly its size, so that the sanitizer sees every byte
  // too far; `segment.payload_size` bytes of `text` are captured.
  void add(Segment segment, std::string_view text) {
    if (block_->count == block_->segments.size()) process();
    payloads_.emplace_back(new uint8_t[segment.payload_size]);
    std::copy_n(text.begin(), segment.payload_size, payloads_.back().get());
    segment.payload = payloads_.back().get();
    segment.flow_hash = hash_of(segment.key);
    frame_++;
    if (segment.frame == 0) segment.frame = frame_;
    block_->clock_ns = segment.clock_ns;
    block_->segments.at(block_->count++) = segment;
  }

  // Hands the block over.
  void process(int64_t clock_ns = 0) {
    if (clock_ns != 0) block_->clock_ns = clock_ns;
    // A fresh one, so that the sanitizer sees who keeps a view of the old one.
    with_writer([&] { shard_.process(*block_); });
    shard_.check_invariants();
    block_ = std::make_unique<PacketBlock>();
    payloads_.clear();
    take_lines();
  }
  void drain() {
    process();
    with_writer([&] { shard_.drain(); });
    shard_.check_invariants();
    take_lines();
  }

  Shard& shard() { return shard_; }
  uint64_t count(ShardCounter counter) const { return shard_.counters().get(counter); }

  // Every captured byte has one counter, every message is written, nothing is left behind.
  // Bytes of an unfinished head are counted with its fate: to be called after a drain.
  void check_ledger() {
    using C = ShardCounter;
    EXPECT_EQ(count(C::captured), count(C::parsed) + count(C::tunnel) + count(C::ignored_stream) +
                                      count(C::skipped_in_resync) + count(C::bridged_late) +
                                      count(C::duplicate) + count(C::out_of_window) +
                                      count(C::refused) + count(C::evicted) + count(C::buffered));
    EXPECT_EQ(count(C::messages_parsed),
              count(C::messages_written) + count(C::messages_dropped_overload) +
                  count(C::messages_filtered) + count(C::messages_sampled_out));
    EXPECT_EQ(count(C::messages_parsed), count(C::requests) + count(C::responses));
    const uint64_t metered = metered_requests();
    if (is_http_alone_) {
      EXPECT_EQ(metered, count(C::requests));
    }
    EXPECT_LE(metered, count(C::requests));
    for (const C gauge : {C::buffered, C::reorder_buffers, C::memory_bytes, C::messages_held,
                          C::connections_open, C::connections_half_open}) {
      EXPECT_EQ(count(gauge), 0u) << kShardCounters.at(static_cast<size_t>(gauge)).name;
    }
    EXPECT_EQ(count(C::connections_opened),
              count(C::connections_closed) + count(C::connections_idle) +
                  count(C::connections_evicted) + count(C::connections_reused) +
                  count(C::connections_drained));
  }

  // Each request that was given out is counted once by its outcome, after a drain.
  uint64_t metered_requests() const {
    uint64_t total = 0;
    series_.for_each_count(
        [&](const LabelSet&, size_t number, size_t) { total += meter_.count(number); });
    return total;
  }
  const RequestSeries& series() const { return series_; }
  const RequestMeter& meter() const { return meter_; }

  std::vector<std::string> lines;
  RecordedEvents events;
  ConnectionCensus census{2};

 private:
  ShardSettings metered(ShardSettings settings) {
    settings.protocols.http.meter = &meter_;
    return settings;
  }

  // Where memory is small, lines wait for those before them: somebody takes them meanwhile.
  template <typename Work>
  void with_writer(const Work& work) {
    if (!has_writer_) return work();
    std::atomic<bool> done{false};
    std::thread writer([&] {
      LineBlock* block = nullptr;
      while (!done.load(std::memory_order_acquire)) {
        if (queue_.wait_dequeue_timed(block, 1000)) take(block);
      }
    });
    work();
    done.store(true, std::memory_order_release);
    writer.join();
  }
  void take_lines() {
    shard_.output().flush();
    LineBlock* block = nullptr;
    while (queue_.try_dequeue(block)) take(block);
  }
  void take(LineBlock* block) {
    std::string_view text(block->data, block->used);
    while (!text.empty()) {
      const size_t end = text.find('\n');
      if (end == std::string_view::npos) {
        ADD_FAILURE() << "a line without an end";
        break;
      }
      lines.emplace_back(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    block->owner->give_back(block);
  }

  static constexpr size_t kLittleMemory = size_t{64} << 20;
  const bool is_http_alone_;
  const bool has_writer_;
  RequestSeries series_{{.series_max = 100}};
  RequestMeter meter_{series_};
  LineQueue queue_;
  Shard shard_;
  std::unique_ptr<PacketBlock> block_;
  std::vector<std::unique_ptr<uint8_t[]>> payloads_;  // of the block's segments
  uint64_t frame_ = 0;
};

}  // namespace tcp_sniffer::shard_harness
