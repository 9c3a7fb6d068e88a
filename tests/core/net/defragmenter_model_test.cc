// The defragmenter against a model that keeps every byte in an array.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "support/fragments.h"

namespace tcp_sniffer::defragmenter_model_test {
namespace {

using namespace fragments;

// Keeps every byte of every datagram in an array and looks at all of them each time.
class Model {
 public:
  explicit Model(const DefragmentLimits& limits) : limits_(limits) {}

  FragmentFate add(const Fragment& fragment, int64_t clock_ns) {
    expire(clock_ns);
    uint32_t wire_size = fragment.wire_size;
    if (fragment.more && wire_size % 8 != 0) {
      wire_size = fragment.ip_version == 4 ? wire_size - wire_size % 8 : 0;
    }
    const uint32_t end = fragment.offset + wire_size;
    if (wire_size == 0 || end > 65535) return drop();
    Datagram& datagram = datagrams_[key_of(fragment)];
    if (!datagram.is_known) {
      datagram.is_known = true;
      datagram.deadline_ns = clock_ns + limits_.timeout_ns;
    }
    if (datagram.is_finished || datagram.is_discarded) return drop();

    if (fragment.more && datagram.total != 0 && end > datagram.total) return drop();
    if (!fragment.more && datagram.total != 0 && end != datagram.total) return drop();
    if (!fragment.more && count(datagram, end, 65535) != 0) return drop();
    const uint32_t known = count(datagram, fragment.offset, end);
    if (fragment.ip_version == 6 && known != 0) {
      if (known == wire_size && equals(datagram, fragment)) return drop();
      dropped += datagram.frames;
      held -= datagram.frames;
      datagram.frames = 0;
      datagram.is_discarded = true;
      datagram.deadline_ns = clock_ns + limits_.timeout_ns;
      return drop();
    }
    if (known == wire_size && (fragment.more || datagram.total != 0)) return drop();

    if (datagram.bytes.size() < end) datagram.bytes.resize(end, kMissing);
    for (uint32_t i = fragment.offset; i < end; ++i) {
      if (datagram.bytes[i] != kMissing) continue;
      const uint32_t within = i - fragment.offset;
      datagram.bytes[i] = within < fragment.data.size() ? fragment.data[within] : kCut;
    }
    if (!fragment.more) datagram.total = end;
    if (datagram.total == 0 || count(datagram, 0, datagram.total) != datagram.total) {
      ++datagram.frames;
      ++held;
      return FragmentFate::kHeld;
    }
    payload.clear();
    for (uint32_t i = 0; i < datagram.total && datagram.bytes[i] >= 0; ++i) {
      payload.push_back(static_cast<uint8_t>(datagram.bytes[i]));
    }
    total = datagram.total;
    merged += datagram.frames;
    held -= datagram.frames;
    datagram.frames = 0;
    datagram.is_finished = true;
    datagram.deadline_ns = clock_ns + limits_.duplicate_window_ns;
    return FragmentFate::kCompleted;
  }

  uint64_t held = 0;
  uint64_t merged = 0;
  uint64_t dropped = 0;
  Packet payload;      // of the datagram completed last
  uint32_t total = 0;  // its size

 private:
  static constexpr int kMissing = -1;
  static constexpr int kCut = -2;
  using Key = std::tuple<int, IpAddress, IpAddress, uint32_t, int>;

  struct Datagram {
    std::vector<int> bytes;  // up to the last one that came
    uint32_t total = 0;
    uint32_t frames = 0;
    int64_t deadline_ns = 0;
    bool is_known = false;
    bool is_finished = false;
    bool is_discarded = false;
  };

  static Key key_of(const Fragment& fragment) {
    const int protocol = fragment.ip_version == 4 ? fragment.protocol : 0;
    return {fragment.ip_version, fragment.source, fragment.destination, fragment.id, protocol};
  }

  static uint32_t count(const Datagram& datagram, uint32_t begin, uint32_t end) {
    uint32_t known = 0;
    end = std::min(end, static_cast<uint32_t>(datagram.bytes.size()));
    for (uint32_t i = begin; i < end; ++i) known += datagram.bytes[i] != kMissing;
    return known;
  }

  // Up to the datagram's first byte that was not captured: behind it nothing is handed on.
  static bool equals(const Datagram& datagram, const Fragment& fragment) {
    const auto cut = std::find(datagram.bytes.begin(), datagram.bytes.end(), kCut);
    const auto cut_at = static_cast<size_t>(cut - datagram.bytes.begin());
    for (size_t i = 0; i < fragment.data.size() && fragment.offset + i < cut_at; ++i) {
      if (datagram.bytes[fragment.offset + i] != fragment.data[i]) return false;
    }
    return true;
  }

  FragmentFate drop() {
    ++dropped;
    return FragmentFate::kDropped;
  }

  void expire(int64_t clock_ns) {
    for (auto it = datagrams_.begin(); it != datagrams_.end();) {
      if (it->second.deadline_ns > clock_ns) {
        ++it;
        continue;
      }
      dropped += it->second.frames;
      held -= it->second.frames;
      it = datagrams_.erase(it);
    }
  }

  DefragmentLimits limits_;
  std::map<Key, Datagram> datagrams_;
};

// Fragments as a hostile, lossy and duplicating network delivers them: few ids, so that datagrams
// meet; true pieces, pieces that overlap, lie about the end, are cut or empty.
class FragmentSource {
 public:
  explicit FragmentSource(uint64_t seed) : random_(seed) {
    datagram_size_ = below(8) == 0 ? 200 + below(6000) : 8 + below(120);
    datagram_size_ = std::max<uint32_t>(datagram_size_, 9);
    const uint32_t scale = datagram_size_ > 200 ? 64 : 1;
    piece_size_ = 8 * (1 + below(6)) * scale;
  }

  Fragment next() {
    Fragment fragment = piece(below(2) == 0 ? 4 : 6, 0, {}, true, below(2));
    const uint32_t pieces = (datagram_size_ + piece_size_ - 1) / piece_size_;
    fragment.offset = below(pieces) * piece_size_;
    uint32_t size = std::min(piece_size_, datagram_size_ - fragment.offset);
    fragment.more = fragment.offset + size < datagram_size_;
    if (below(12) == 0) fragment.offset = 8 * below(datagram_size_ / 8 + 2);
    if (below(16) == 0) size = below(2 * piece_size_);
    if (below(30) == 0) fragment.more = !fragment.more;
    if (below(200) == 0) fragment.offset = 65528 - 8 * below(4);
    if (below(60) == 0) fragment.protocol = kUdpProtocol;
    data_.resize(size);
    const auto salt = static_cast<uint8_t>(below(12) == 0 ? below(256) : 0);
    for (uint32_t i = 0; i < size; ++i) {
      data_[i] = static_cast<uint8_t>((fragment.offset + i) * 31 + salt);
    }
    fragment.wire_size = size;
    fragment.data = data_;
    if (size > 0 && below(10) == 0) fragment.data = fragment.data.first(below(size));
    return fragment;
  }

  int64_t next_clock() {
    clock_ns_ += below(20) == 0 ? static_cast<int64_t>(below(40)) * kSecond
                                : static_cast<int64_t>(below(50)) * 1'000'000;
    return clock_ns_;
  }

 private:
  uint32_t below(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  std::mt19937_64 random_;
  uint32_t datagram_size_ = 0;
  uint32_t piece_size_ = 0;
  int64_t clock_ns_ = 0;
  Packet data_;
};

TEST(Defragmenter, AgreesWithTheModelForEverySeed) {
  constexpr uint64_t kSeeds = 3000;
  constexpr int kFragments = 60;
  uint64_t fates[3] = {};
  for (uint64_t seed = 0; seed < kSeeds; ++seed) {
    const DefragmentLimits limits{.datagrams_max = 64, .hash_seed = seed};
    Defragmenter defragmenter(limits);
    Model model(limits);
    FragmentSource source(seed);
    for (int i = 0; i < kFragments; ++i) {
      const Fragment fragment = source.next();
      const int64_t clock_ns = source.next_clock();
      const FragmentFate expected = model.add(fragment, clock_ns);
      const Result result = add(defragmenter, fragment, clock_ns);
      const std::string where = "seed " + std::to_string(seed) + ", fragment " + std::to_string(i);
      ASSERT_EQ(result.fate, expected) << where;
      ASSERT_EQ(defragmenter.counters().held, model.held) << where;
      ASSERT_EQ(defragmenter.counters().merged, model.merged) << where;
      ASSERT_EQ(defragmenter.counters().dropped, model.dropped) << where;
      ++fates[static_cast<size_t>(expected)];
      if (expected != FragmentFate::kCompleted) continue;
      ASSERT_EQ(Packet(result.payload.begin(), result.payload.end()), model.payload) << where;
      ASSERT_EQ(result.header.wire_size, model.total) << where;
    }
    expect_ledger(defragmenter, kFragments);
    defragmenter.flush();
    EXPECT_EQ(defragmenter.counters().held, 0u);
    expect_ledger(defragmenter, kFragments);
  }
  for (const uint64_t count : fates) EXPECT_GT(count, kSeeds);
}

}  // namespace
}  // namespace tcp_sniffer::defragmenter_model_test
