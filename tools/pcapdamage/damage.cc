#include "damage.h"

#include <algorithm>
#include <array>
#include <iterator>
#include <map>
#include <utility>
#include <vector>

#include "frame_edit.h"
#include "packets/bytes.h"

namespace pcapdamage {
namespace {

// SplitMix64. The distributions of <random> differ between libraries; the results must not.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(seed) {}

  std::uint64_t next() {
    state_ += 0x9e3779b97f4a7c15ULL;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9ULL;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111ebULL;
    return mixed ^ (mixed >> 31);
  }

  bool happens(double probability) {
    constexpr double kScale = 1.0 / 9007199254740992.0;  // 2^-53
    return static_cast<double>(next() >> 11) * kScale < probability;
  }

  std::size_t between_one_and(std::size_t most) { return 1 + next() % most; }

 private:
  std::uint64_t state_;
};

// One direction of a connection: source and destination address (IPv4 in the first four bytes) and
// the ports as they stand in the TCP header.
struct DirectionKey {
  std::array<std::uint8_t, 16> source{};
  std::array<std::uint8_t, 16> destination{};
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;

  auto operator<=>(const DirectionKey&) const = default;

  DirectionKey reversed() const { return {destination, source, destination_port, source_port}; }
};

DirectionKey read_key(const Frame& frame, const FrameLayout& layout) {
  const std::size_t address_bytes = layout.ipv6 ? 16 : 4;
  const std::size_t source_at = layout.ip + (layout.ipv6 ? 8 : 12);
  DirectionKey key;
  for (std::size_t i = 0; i < address_bytes; ++i) {
    key.source[i] = frame.bytes[source_at + i];
    key.destination[i] = frame.bytes[source_at + address_bytes + i];
  }
  key.source_port = tcp_sniffer::packets::read_be16(frame.bytes, layout.tcp);
  key.destination_port = tcp_sniffer::packets::read_be16(frame.bytes, layout.tcp + 2);
  return key;
}

bool has_ack(const Frame& frame, const FrameLayout& layout) {
  constexpr std::uint8_t kFlagAck = 0x10;
  return (frame.bytes[layout.tcp + 13] & kFlagAck) != 0;
}

void drop(CaptureFile& capture, const DamageOptions& options, Random& random) {
  std::vector<Frame> kept;
  for (std::size_t i = 0; i < capture.frames.size(); ++i) {
    const bool lost = options.drop_probability > 0 && random.happens(options.drop_probability);
    if (i < options.cut_start || options.drop_frames.contains(i + 1) || lost) continue;
    kept.push_back(std::move(capture.frames[i]));
  }
  capture.frames = std::move(kept);
}

// The first sequence number of a direction; when the direction was acknowledged before its first
// frame was captured, the acknowledged number.
std::map<DirectionKey, std::uint32_t> find_origins(const CaptureFile& capture) {
  std::map<DirectionKey, std::uint32_t> origins;
  for (const Frame& frame : capture.frames) {
    const std::optional<FrameLayout> layout = find_layout(frame, capture.link_type);
    if (!layout || layout->tcp == 0) continue;
    const DirectionKey key = read_key(frame, *layout);
    origins.try_emplace(key, tcp_sniffer::packets::read_be32(frame.bytes, layout->tcp + 4));
    if (has_ack(frame, *layout)) {
      origins.try_emplace(key.reversed(),
                          tcp_sniffer::packets::read_be32(frame.bytes, layout->tcp + 8));
    }
  }
  return origins;
}

void wrap_sequences(CaptureFile& capture, std::uint32_t wrap_after) {
  const std::map<DirectionKey, std::uint32_t> origins = find_origins(capture);
  for (Frame& frame : capture.frames) {
    const std::optional<FrameLayout> layout = find_layout(frame, capture.link_type);
    if (!layout || layout->tcp == 0) continue;
    const DirectionKey key = read_key(frame, *layout);
    add_to_tcp_field(frame, *layout, layout->tcp + 4, 0U - wrap_after - origins.at(key));
    if (!has_ack(frame, *layout)) continue;
    const std::uint32_t peer_delta = 0U - wrap_after - origins.at(key.reversed());
    add_to_tcp_field(frame, *layout, layout->tcp + 8, peer_delta);
    for (const std::size_t edge : find_sack_edges(frame, *layout)) {
      add_to_tcp_field(frame, *layout, edge, peer_delta);
    }
  }
}

void fragment(CaptureFile& capture, const DamageOptions& options, Random& random) {
  std::vector<Frame> out;
  std::uint32_t identification = static_cast<std::uint32_t>(random.next());
  for (const Frame& frame : capture.frames) {
    std::vector<Frame> fragments =
        fragment_frame(frame, capture.link_type, options.fragment_bytes, ++identification);
    if (options.fragment_reverse) std::reverse(fragments.begin(), fragments.end());
    std::move(fragments.begin(), fragments.end(), std::back_inserter(out));
  }
  capture.frames = std::move(out);
}

// `slots` says (place, source frame) for each frame out; equal places keep their order. A frame
// gets the time of the frame that was at its place before.
void arrange(CaptureFile& capture, std::vector<std::pair<std::size_t, std::size_t>> slots) {
  std::stable_sort(slots.begin(), slots.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Frame> out;
  std::uint64_t time_ns = 0;
  for (const auto& [place, source] : slots) {
    out.push_back(capture.frames[source]);
    const std::size_t last = std::min(place, capture.frames.size() - 1);
    time_ns = std::max(time_ns, capture.frames[last].time_ns);
    out.back().time_ns = time_ns;
  }
  capture.frames = std::move(out);
}

void duplicate(CaptureFile& capture, const DamageOptions& options, Random& random) {
  std::vector<std::pair<std::size_t, std::size_t>> slots;
  for (std::size_t i = 0; i < capture.frames.size(); ++i) {
    slots.emplace_back(i, i);
    if (!random.happens(options.duplicate_probability)) continue;
    slots.emplace_back(i + random.between_one_and(options.duplicate_distance) - 1, i);
  }
  arrange(capture, std::move(slots));
}

void reorder(CaptureFile& capture, const DamageOptions& options, Random& random) {
  std::vector<std::pair<std::size_t, std::size_t>> slots;
  std::vector<std::pair<std::size_t, std::size_t>> moved;
  for (std::size_t i = 0; i < capture.frames.size(); ++i) {
    if (random.happens(options.reorder_probability)) {
      moved.emplace_back(i + random.between_one_and(options.reorder_distance), i);
    } else {
      slots.emplace_back(i, i);
    }
  }
  // Behind the frame whose place they take, so that a distance of 1 already changes the order.
  slots.insert(slots.end(), moved.begin(), moved.end());
  arrange(capture, std::move(slots));
}

void cut_frames(CaptureFile& capture, std::uint32_t snaplen) {
  capture.snaplen = snaplen;
  for (Frame& frame : capture.frames) {
    if (frame.bytes.size() > snaplen) frame.bytes.resize(snaplen);
  }
}

}  // namespace

void damage_capture(CaptureFile& capture, const DamageOptions& options) {
  Random random(options.seed);
  drop(capture, options, random);
  if (options.wrap_after) wrap_sequences(capture, *options.wrap_after);
  if (options.fragment_bytes != 0) fragment(capture, options, random);
  if (options.duplicate_probability > 0) duplicate(capture, options, random);
  if (options.reorder_probability > 0) reorder(capture, options, random);
  if (options.snaplen != 0) cut_frames(capture, options.snaplen);
  if (options.big_endian) capture.big_endian = *options.big_endian;
}

}  // namespace pcapdamage
