#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "core/base/limits.h"
#include "io/capture/packet_source.h"
#include "io/file/capture_format.h"

namespace tcp_sniffer {

// Reads the classic capture file format (draft-ietf-opsawg-pcap): both byte orders, micro- and
// nanoseconds, the longer packet header of the "modified" format, and the old minor versions whose
// two lengths are swapped.
//
// It is handed the bytes of the file piece by piece and keeps nothing of them. One thread.
class PcapFormat {
 public:
  // libpcap's MAXIMUM_SNAPLEN. Frames up to here are believed whatever the file's own snapshot
  // length is, because some writers record longer frames than they announce.
  static constexpr size_t kUsualFrameSizeMax = kSnaplenMax;

  static bool is_magic(const uint8_t first[4]);

  // The next step for the bytes in front. After kCorrupt the same bytes give kCorrupt again.
  FormatStep next(std::span<const uint8_t> bytes, Frame& frame) {
    if (packet_header_size_ == 0) return read_file_header(bytes);
    if (bytes.size() < packet_header_size_)
      return {FormatStep::Kind::kNeedMore, packet_header_size_};
    uint32_t captured = load_u32(bytes.data() + 8, swapped_);
    uint32_t on_wire = load_u32(bytes.data() + 12, swapped_);
    if (lengths_swapped_ || (lengths_maybe_swapped_ && captured > on_wire)) {
      std::swap(captured, on_wire);
    }
    if (captured > frame_size_max_) return too_long(captured);
    const size_t total = packet_header_size_ + captured;
    if (bytes.size() < total) return {FormatStep::Kind::kNeedMore, total};
    frame.data = bytes.subspan(packet_header_size_, captured);
    frame.wire_size = std::max(on_wire, captured);
    frame.link_id = 0;
    frame.link_type = link_type_;
    frame.time_ns = int64_t{load_u32(bytes.data(), swapped_)} * 1'000'000'000 +
                    int64_t{load_u32(bytes.data() + 4, swapped_)} * fraction_ns_;
    return {FormatStep::Kind::kFrame, total};
  }

  // What begins at the current position, for messages.
  const char* what() const { return packet_header_size_ == 0 ? "file header" : "packet"; }
  const std::string& problem() const { return problem_; }

  // The link type of the frames; nothing until the file header is read.
  std::optional<LinkType> first_link_type() const {
    return packet_header_size_ == 0 ? std::nullopt : std::optional(link_type_);
  }

  // Whether the file may end where a step begins.
  bool may_end() const { return packet_header_size_ != 0; }

 private:
  FormatStep read_file_header(std::span<const uint8_t> bytes);
  FormatStep too_long(uint32_t captured);

  size_t packet_header_size_ = 0;  // 0 until the file header is read
  size_t frame_size_max_ = 0;
  int64_t fraction_ns_ = 1000;
  LinkType link_type_ = LinkType::kEthernet;
  bool swapped_ = false;
  bool lengths_swapped_ = false;
  bool lengths_maybe_swapped_ = false;
  std::string problem_;
};

}  // namespace tcp_sniffer
