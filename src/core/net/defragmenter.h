#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "core/net/fragment.h"

namespace tcp_sniffer {

struct DefragmentLimits {
  size_t datagrams_max = 4096;                 // unfinished at a time
  size_t memory_bytes_max = size_t{32} << 20;  // for the bytes of their fragments
  int64_t timeout_ns = 30'000'000'000;         // from the first fragment; Linux' ipfrag_time
  int64_t duplicate_window_ns = 100'000'000;   // copies after a finished datagram are dropped
  bool key_vlan = false;                       // the VLAN tells datagrams apart
  uint64_t hash_seed = 0;                      // random per run: the wire must not aim at it
};

enum class FragmentFate : uint8_t {
  kHeld,       // stored; will become merged or dropped
  kCompleted,  // the last missing piece: the datagram goes on, this frame is classified by it
  kDropped,    // overlap, duplicate, contradiction or no room
};

struct DefragmentCounters {
  uint64_t merged = 0;     // frames whose datagram was completed by a later one
  uint64_t dropped = 0;    // frames refused, and held ones given up
  uint64_t completed = 0;  // datagrams
  uint64_t held = 0;       // gauge: frames stored in unfinished datagrams

  // Why frames were dropped; the sum is `dropped`.
  uint64_t dropped_overlap = 0;  // nothing new in it (IPv4), or RFC 5722 (IPv6)
  uint64_t dropped_invalid = 0;  // beyond 64 KiB, empty, contradicts the datagram's end
  uint64_t dropped_late = 0;     // its datagram is finished already
  uint64_t dropped_timeout = 0;  // datagram not complete in time
  uint64_t dropped_limit = 0;    // evicted for a newer one, or no memory, or too scattered
  uint64_t dropped_at_end = 0;   // not complete at the end of the input
};

// Puts IP fragments together, RFC 791 section 3.2 and RFC 8200 section 4.5. Owned and called by
// the one thread that decodes; time is packet time, given by the caller.
//
// 1. IPv4: of overlapping bytes the first copy wins. IPv6: an overlap discards the datagram and
//    all its later fragments (RFC 5722); an exact copy of a stored range is a duplicate and no
//    overlap (RFC 8200 section 4.5), because mirror ports send frames twice.
// 2. Fragments that the capture cut take part with their size on the wire; the datagram is
//    handed on with its captured beginning, up to the first byte that is not there.
// 3. A fixed number of slots, a cap on memory; the oldest datagram makes room. Nothing is
//    allocated per fragment once the buffers are warm.
// 4. Calls of add() = held + merged + dropped + completed, at any time.
class Defragmenter {
 public:
  static constexpr uint32_t kDatagramSizeMax = 65535;  // bytes after the IP header
  static constexpr size_t kRangesMax = 64;             // separate received ranges of a datagram

  explicit Defragmenter(const DefragmentLimits& limits);
  ~Defragmenter();
  Defragmenter(const Defragmenter&) = delete;
  Defragmenter& operator=(const Defragmenter&) = delete;

  // Takes one fragment at packet time `clock_ns` (not decreasing). kCompleted: `header` describes
  // the datagram (of the fragment with offset 0; wire_size = its whole size) and `payload` its
  // captured bytes, valid until the next add(), also for a fragment found inside that is added
  // next. `header` may be the same object as `fragment`.
  FragmentFate add(const Fragment& fragment, int64_t clock_ns, Fragment& header,
                   std::span<const uint8_t>& payload);

  // Gives up what is older than the timeout. add() does it too: this only does it earlier.
  void expire(int64_t clock_ns);

  // The end of the input: gives up everything, held becomes 0.
  void flush();

  const DefragmentCounters& counters() const { return counters_; }
  size_t memory_bytes() const { return memory_bytes_; }  // allocated for fragments, pooled included

 private:
  static constexpr uint32_t kNone = 0xffffffff;
  static constexpr size_t kSizeClasses = 3;
  static constexpr std::array<uint32_t, kSizeClasses> kClassBytes = {4096, 16384, 65536};

  using Buffer = std::unique_ptr<uint8_t[]>;

  struct Range {
    uint16_t begin = 0;
    uint16_t end = 0;  // exclusive
  };

  enum class State : uint8_t { kOpen, kDiscarded, kFinished };

  struct Key {
    IpAddress source{};
    IpAddress destination{};
    uint32_t id = 0;
    uint32_t tunnel_id = 0;
    uint16_t vlan = 0;
    TunnelKind tunnel_kind = TunnelKind::kNone;
    uint8_t ip_version = 0;
    uint8_t protocol = 0;  // 0 for IPv6: there, only the first fragment's counts
    uint8_t reserved[3] = {};
  };
  static_assert(sizeof(Key) == 48);  // no padding: hashed and compared as bytes

  struct Datagram {
    Key key;
    int64_t deadline_ns = 0;
    uint64_t hash = 0;
    Fragment first;  // header of the fragment with offset 0; `data` unused
    uint32_t next_in_bucket = kNone;
    uint32_t older = kNone;  // neighbours in its list
    uint32_t newer = kNone;
    uint32_t frames = 0;      // held
    uint32_t total_size = 0;  // known with the last fragment; 0 before
    uint32_t cut_at = 0;      // offset of the first byte that was not captured
    uint16_t range_count = 0;
    uint8_t size_class = 0;
    State state = State::kOpen;
    bool has_first = false;
    Buffer bytes;
    std::array<Range, kRangesMax> ranges;
  };

  struct List {
    uint32_t oldest = kNone;
    uint32_t newest = kNone;
  };

  FragmentFate take(const Fragment& fragment, int64_t clock_ns, Fragment& header,
                    std::span<const uint8_t>& payload);
  FragmentFate store(uint32_t index, const Fragment& fragment, uint32_t wire_size,
                     int64_t clock_ns);
  void finish(uint32_t index, int64_t clock_ns, Fragment& header,
              std::span<const uint8_t>& payload);

  static bool overlaps(const Datagram& datagram, uint32_t begin, uint32_t end);
  static bool covers(const Datagram& datagram, uint32_t begin, uint32_t end);
  static bool is_copy(const Datagram& datagram, const Fragment& fragment, uint32_t end);
  static bool has_room_for_range(const Datagram& datagram, uint32_t begin, uint32_t end);
  static void insert_range(Datagram& datagram, uint32_t begin, uint32_t end);
  static void copy_new_bytes(Datagram& datagram, const Fragment& fragment, uint32_t end);

  FragmentFate drop(uint64_t& reason);
  void release_frames(Datagram& datagram, uint64_t& reason);
  void give_up(uint32_t index, uint64_t& reason);
  void discard(uint32_t index, int64_t clock_ns);
  bool forget_oldest(List& list);
  void forget_expired(List& list, int64_t clock_ns);

  Key make_key(const Fragment& fragment) const;
  uint32_t find(const Key& key, uint64_t hash) const;
  uint32_t create(const Key& key, uint64_t hash, int64_t clock_ns);
  void remove(uint32_t index);
  void append(List& list, uint32_t index);
  void unlink(List& list, uint32_t index);

  bool reserve(uint32_t index, uint32_t size);
  Buffer take_buffer(size_t size_class, uint32_t keep);
  void give_back(Buffer buffer, size_t size_class);
  bool free_pooled();
  bool evict_oldest(uint32_t keep);

  const DefragmentLimits limits_;
  DefragmentCounters counters_;
  std::vector<Datagram> datagrams_;
  std::vector<uint32_t> buckets_;
  uint32_t free_ = kNone;  // chained by next_in_bucket
  List open_;              // by age; all and only these hold frames and memory
  List discarded_;         // by the time of their overlap: they refuse later fragments
  List finished_;          // by the time of their completion: they refuse copies
  std::array<std::vector<Buffer>, kSizeClasses> pool_;
  size_t memory_bytes_ = 0;
  Buffer handed_out_;  // bytes of the datagram completed last
  size_t handed_out_class_ = 0;
};

}  // namespace tcp_sniffer
