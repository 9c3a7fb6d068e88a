#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support/reassembler_wire.h"

// Random conversations through random faults, against what was really sent.
namespace tcp_sniffer::reassembler_model_test {
namespace {

using namespace reassembler_wire;

// The order of the fields is the order in which a test names them.
struct Faults {
  double loss = 0;           // segments that the tap misses; half of them are never sent again
  double duplicate = 0;      // captured twice
  double overlap = 0;        // sent again, cut elsewhere
  double reorder = 0;        // captured later than others
  uint32_t reorder_max = 6;  // … by at most this many segments
  double snaplen_cut = 0;
  double refuse = 0;  // calls in which the protocol takes only a part
  double fin_lost = 0;
  uint64_t buffer_max = 4u << 20;
  size_t memory = size_t{64} << 20;
  bool by_evidence = true;
  bool midstream = false;  // no handshake
  bool one_sided = false;  // only the client is captured
  bool any_order = false;  // the first segments that are captured come in any order
};

// What the tap sees of one segment.
struct Captured {
  Side side;
  int64_t offset;
  uint32_t size;
  uint32_t cut_off;
  int64_t ack;
  uint8_t flags;
};

// Takes parts at random; remembers what came as "known" bytes of a stream.
class Reader {
 public:
  Reader(std::mt19937_64& random, double refuse) : random_(random), refuse_(refuse) {}

  uint32_t try_consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force) {
    size_t size = bytes.size();
    // The byte of a FIN counts as received, too.
    const uint64_t known = std::max(next_[1 - static_cast<size_t>(side)], kStreamOrigin) + 1;
    ahead_of_peer |= meta.acknowledged > known;
    if (!force && std::uniform_real_distribution(0.0, 1.0)(random_) < refuse_) {
      size = static_cast<size_t>(random_() % (bytes.size() + 1));
    }
    take(side, offset, size);
    std::string& text = got[static_cast<size_t>(side)];
    text.append(reinterpret_cast<const char*>(bytes.data()), size);
    consumed += size;
    return static_cast<uint32_t>(size);
  }
  bool pass_over(Side, uint64_t, const SegmentMeta&) { return false; }
  void on_gap(Side side, uint64_t offset, uint64_t length, GapCause) {
    take(side, offset, length);
    got[static_cast<size_t>(side)].append(static_cast<size_t>(length), '?');
    missing += length;
  }
  void on_beginning(Side) {}
  void on_end(Side side) { ended[static_cast<size_t>(side)]++; }
  void on_midstream(Side) {}
  bool in_message(Side) const { return true; }
  bool begins_message(std::span<const uint8_t>) const { return false; }
  bool ends_with_stream(Side) const { return false; }

  std::array<std::string, 2> got;
  std::array<uint64_t, 2> begin = {0, 0};
  std::array<int, 2> ended = {0, 0};
  uint64_t consumed = 0;
  uint64_t missing = 0;
  bool continuous = true;
  bool ahead_of_peer = false;  // bytes came before those that their sender had received

 private:
  void take(Side side, uint64_t offset, uint64_t size) {
    if (size == 0) return;
    const auto i = static_cast<size_t>(side);
    if (next_[i] == 0) begin[i] = next_[i] = offset;
    continuous &= next_[i] == offset;
    next_[i] = offset + size;
  }

  std::mt19937_64& random_;
  double refuse_;
  std::array<uint64_t, 2> next_ = {0, 0};
};
static_assert(StreamProtocol<Reader>);

class Conversation {
 public:
  Conversation(uint64_t seed, const Faults& faults)
      : faults_(faults),
        random_(seed),
        pool_(faults.memory),
        reassembler_(pool_, counters_, settings()),
        reader_(random_, faults.refuse) {}
  ~Conversation() { reassembler_.release(streams_); }
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;

  void run() {
    for (std::string& text : sent_) {
      text.resize(static_cast<size_t>(below(3000)));
      for (char& c : text) c = static_cast<char>('a' + below(26));
    }
    start_ = {static_cast<uint32_t>(random_()), static_cast<uint32_t>(random_())};
    // Often close to the wrap.
    if (below(2) == 0) start_[below(2)] = 0u - static_cast<uint32_t>(below(4000));
    speak();
    disturb();
    capture();
    reassembler_.flush(streams_, reader_, clock_ns_);
    if (!testing::Test::HasFatalFailure()) check_result();
  }

 private:
  ReassemblySettings settings() const {
    ReassemblySettings made;
    made.by_evidence = faults_.by_evidence;
    made.buffer_max = faults_.buffer_max;
    return made;
  }
  uint64_t below(uint64_t n) { return random_() % n; }
  bool happens(double probability) {
    return std::uniform_real_distribution(0.0, 1.0)(random_) < probability;
  }

  // The conversation as both ends know it: turns of data, each acknowledged now and then.
  void speak() {
    if (!faults_.midstream) {
      wire_.push_back({kClient, -1, 0, 0, -1, kTcpSyn});
      wire_.push_back({kServer, -1, 0, 0, 0, kTcpSyn});
      wire_.push_back({kClient, 0, 0, 0, 0, 0});
    }
    std::array<int64_t, 2> at = {0, 0};
    std::array<int64_t, 2> acked = {0, 0};  // what each side has acknowledged of the other
    size_t turn = 0;
    while (at[0] < size(0) || at[1] < size(1)) {
      if (at[turn] == size(turn)) turn = 1 - turn;
      // Never one byte: behind its acknowledgment it looks like a keep-alive probe's.
      const int64_t left = size(turn) - at[turn];
      auto length = std::min<int64_t>(left, static_cast<int64_t>(2 + below(300)));
      if (left - length == 1) length++;
      if (happens(0.7)) acked[turn] = at[1 - turn];
      wire_.push_back(
          {static_cast<Side>(turn), at[turn], static_cast<uint32_t>(length), 0, acked[turn], 0});
      at[turn] += length;
      if (happens(0.3)) {
        acked[1 - turn] = at[turn];
        wire_.push_back({static_cast<Side>(1 - turn), at[1 - turn], 0, 0, acked[1 - turn], 0});
      }
      if (happens(0.2)) turn = 1 - turn;
    }
    for (size_t side = 0; side < 2; side++) {
      wire_.push_back({static_cast<Side>(side), size(side), 0, 0,
                       size(1 - side) + (side == 1 ? 1 : 0), kTcpFin});
    }
    wire_.push_back({kClient, size(0) + 1, 0, 0, size(1) + 1, 0});
  }

  void disturb() {
    std::vector<Captured> seen;
    std::vector<std::pair<size_t, Captured>> later;
    const size_t untouched = faults_.midstream ? 0 : 3;
    for (size_t i = 0; i < wire_.size(); i++) {
      for (auto& [left, segment] : later) {
        if (left-- == 0) seen.push_back(segment);
      }
      std::erase_if(later, [](const auto& entry) { return entry.first == ~size_t{0}; });
      Captured segment = wire_[i];
      if (i < untouched) {
        seen.push_back(segment);
        continue;
      }
      if ((segment.flags & kTcpFin) != 0 && happens(faults_.fin_lost)) continue;
      if (happens(faults_.loss)) {
        if (happens(0.5)) continue;
        later.emplace_back(below(faults_.reorder_max) + 1, segment);
        continue;
      }
      if (segment.size > 0 && happens(faults_.snaplen_cut)) {
        segment.cut_off = static_cast<uint32_t>(1 + below(segment.size));
      }
      if (happens(faults_.reorder)) {
        later.emplace_back(below(faults_.reorder_max) + 1, segment);
      } else {
        seen.push_back(segment);
      }
      if (happens(faults_.duplicate)) later.emplace_back(below(faults_.reorder_max), segment);
      if (segment.size > 0 && happens(faults_.overlap)) {
        Captured again = segment;
        const int64_t before = std::min<int64_t>(again.offset, static_cast<int64_t>(below(200)));
        again.offset -= before;
        const auto room = static_cast<uint64_t>(sent_before(segment) - again.offset);
        again.size = static_cast<uint32_t>(1 + below(room));
        again.cut_off = 0;
        later.emplace_back(below(faults_.reorder_max), again);
      }
    }
    for (const auto& [left, segment] : later) seen.push_back(segment);
    if (faults_.any_order) {
      const auto first = static_cast<ptrdiff_t>(below(seen.size() + 1));
      seen.erase(seen.begin(), seen.begin() + first);
      const auto mixed = static_cast<ptrdiff_t>(std::min<size_t>(seen.size(), 2 + below(8)));
      std::shuffle(seen.begin(), seen.begin() + mixed, random_);
    }
    if (faults_.one_sided) {
      std::erase_if(seen, [](const Captured& segment) { return segment.side == kServer; });
    }
    wire_ = std::move(seen);
  }

  // How far the sender had got when it sent this segment.
  static int64_t sent_before(const Captured& segment) { return segment.offset + segment.size; }

  void capture() {
    for (const Captured& seen : wire_) {
      clock_ns_ += static_cast<int64_t>(below(20)) * kMs;
      const auto side = static_cast<size_t>(seen.side);
      Segment segment;
      segment.side = seen.side;
      segment.flags = seen.flags;
      segment.sequence = start_[side] + static_cast<uint32_t>(seen.offset);
      if (seen.ack >= 0) {
        segment.flags |= kTcpAck;
        segment.acknowledgment = start_[1 - side] + static_cast<uint32_t>(seen.ack);
      }
      segment.clock_ns = segment.time_ns = clock_ns_;
      segment.frame = ++frame_;
      const auto offset = static_cast<size_t>(std::max<int64_t>(seen.offset, 0));
      std::vector<uint8_t> bytes(sent_[side].begin() + static_cast<ptrdiff_t>(offset),
                                 sent_[side].begin() + static_cast<ptrdiff_t>(offset) +
                                     static_cast<ptrdiff_t>(seen.size - seen.cut_off));
      segment.payload = bytes.data();
      segment.payload_size = seen.size - seen.cut_off;
      segment.payload_wire_size = seen.size;
      captured_ += segment.payload_size;
      reassembler_.advance_clock(streams_, reader_, clock_ns_);
      reassembler_.on_segment(streams_, reader_, segment);
      ASSERT_NO_FATAL_FAILURE(check_ledger());
    }
  }

  void check_ledger() {
    using C = ShardCounter;
    uint64_t buffered = 0;
    for (const TcpStream& stream : streams_) {
      if (stream.reorder != nullptr) buffered += stream.reorder->buffered_bytes();
    }
    ASSERT_EQ(counters_.get(C::buffered), buffered);
    ASSERT_EQ(captured_, reader_.consumed + counters_.get(C::duplicate) +
                             counters_.get(C::bridged_late) + counters_.get(C::out_of_window) +
                             counters_.get(C::refused) + counters_.get(C::evicted) + buffered);
    ASSERT_EQ(counters_.get(C::missing), reader_.missing);
    ASSERT_LE(pool_.used_bytes(), faults_.memory);
  }

  void check_result() {
    ASSERT_NO_FATAL_FAILURE(check_ledger());
    ASSERT_EQ(counters_.get(ShardCounter::buffered), 0u);
    ASSERT_EQ(counters_.get(ShardCounter::conflicting), 0u);
    ASSERT_TRUE(reader_.continuous);
    for (size_t side = 0; side < 2; side++) {
      const std::string& got = reader_.got[side];
      if (got.empty()) continue;
      const TcpStream& stream = streams_[side];
      // Where the reader's first byte stands in what was sent.
      const auto first =
          static_cast<int32_t>(stream.sequence_of(reader_.begin[side]) - start_[side]);
      ASSERT_GE(first, 0);
      if (!faults_.midstream) {
        ASSERT_EQ(first, 0);
      }
      // A FIN that was lost is one byte more.
      ASSERT_LE(static_cast<size_t>(first) + got.size(), sent_[side].size() + 1);
      for (size_t i = 0; i < got.size(); i++) {
        if (got[i] != '?') {
          ASSERT_EQ(got[i], sent_[side].at(static_cast<size_t>(first) + i)) << "at " << i;
        }
      }
      ASSERT_LE(reader_.ended[side], 1);
    }
    check_what_was_missed();
  }

  // Without losses nothing may be missing, whatever else happened.
  void check_what_was_missed() {
    const bool all_seen = faults_.loss == 0 && faults_.snaplen_cut == 0 && faults_.fin_lost == 0 &&
                          !faults_.midstream && !faults_.one_sided &&
                          faults_.buffer_max > 100'000 && faults_.memory > 1'000'000;
    if (!all_seen) return;
    for (size_t side = 0; side < 2; side++) {
      ASSERT_EQ(reader_.got[side], sent_[side]);
      ASSERT_EQ(reader_.ended[side], 1);
    }
    ASSERT_EQ(reader_.missing, 0u);
    // A repeated segment carries a newer acknowledgment than its bytes had.
    if (faults_.overlap == 0) {
      ASSERT_FALSE(reader_.ahead_of_peer);
    }
  }

  int64_t size(size_t side) const { return static_cast<int64_t>(sent_[side].size()); }

  Faults faults_;
  std::mt19937_64 random_;
  std::array<std::string, 2> sent_;
  std::array<uint32_t, 2> start_{};
  std::vector<Captured> wire_;
  uint64_t captured_ = 0;
  uint64_t frame_ = 0;
  int64_t clock_ns_ = 1'000'000'000'000;
  BufferPool pool_;
  ShardCounters counters_;
  TcpStreams streams_;
  Reassembler reassembler_;
  Reader reader_;
};

void run_seeds(uint64_t count, const Faults& faults) {
  for (uint64_t seed = 0; seed < count; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Conversation(seed, faults).run();
    if (testing::Test::HasFailure()) return;
  }
}

TEST(ReassemblerModel, WithoutFaultsEverythingIsDelivered) {
  run_seeds(500, {});
}

TEST(ReassemblerModel, ReorderingDuplicatesAndOverlapsLoseNothing) {
  run_seeds(5000, {.duplicate = 0.1, .overlap = 0.2, .reorder = 0.2});
}

TEST(ReassemblerModel, ReorderingKeepsTheOrderOfBothSides) {
  run_seeds(5000, {.reorder = 0.3, .reorder_max = 4});
}

TEST(ReassemblerModel, StrongReorderingLosesNothing) {
  run_seeds(1000, {.duplicate = 0.3, .overlap = 0.5, .reorder = 0.8, .reorder_max = 3});
}

TEST(ReassemblerModel, WhatIsLostIsReportedAndTheRestIsRight) {
  run_seeds(5000, {.loss = 0.1, .duplicate = 0.1, .overlap = 0.1, .reorder = 0.1, .fin_lost = 0.3});
}

TEST(ReassemblerModel, HeavyLoss) {
  run_seeds(1000, {.loss = 0.5, .overlap = 0.2, .reorder = 0.3, .fin_lost = 0.5});
}

TEST(ReassemblerModel, SnaplenCuts) {
  run_seeds(1000,
            {.loss = 0.1, .duplicate = 0.1, .overlap = 0.1, .reorder = 0.2, .snaplen_cut = 0.3});
}

TEST(ReassemblerModel, AProtocolThatTakesParts) {
  run_seeds(5000, {.loss = 0.1, .overlap = 0.2, .reorder = 0.2, .refuse = 0.5});
}

TEST(ReassemblerModel, SmallBuffers) {
  run_seeds(1000, {.loss = 0.2, .overlap = 0.2, .reorder = 0.3, .refuse = 0.2, .buffer_max = 512});
}

TEST(ReassemblerModel, LittleMemory) {
  run_seeds(500, {.loss = 0.2, .overlap = 0.2, .reorder = 0.3, .refuse = 0.2, .memory = 2048});
  run_seeds(500, {.loss = 0.2, .overlap = 0.2, .reorder = 0.3, .refuse = 0.2, .memory = 0});
}

TEST(ReassemblerModel, BufferPolicy) {
  run_seeds(1000, {.loss = 0.2, .overlap = 0.2, .reorder = 0.3, .by_evidence = false});
}

TEST(ReassemblerModel, Midstream) {
  run_seeds(1000, {.loss = 0.1, .overlap = 0.1, .reorder = 0.2, .midstream = true});
}

TEST(ReassemblerModel, MidstreamFromAnyFirstSegmentInAnyOrder) {
  run_seeds(5000,
            {.loss = 0.05, .overlap = 0.1, .refuse = 0.5, .midstream = true, .any_order = true});
  run_seeds(5000,
            {.overlap = 0.1, .refuse = 0.9, .fin_lost = 0.5, .midstream = true, .any_order = true});
  run_seeds(2000, {.midstream = true, .one_sided = true, .any_order = true});
}

TEST(ReassemblerModel, OneSided) {
  run_seeds(1000, {.loss = 0.1, .overlap = 0.1, .reorder = 0.2, .one_sided = true});
}

}  // namespace
}  // namespace tcp_sniffer::reassembler_model_test
