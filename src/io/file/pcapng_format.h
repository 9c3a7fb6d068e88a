#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/link_names.h"
#include "io/capture/packet_source.h"
#include "io/file/capture_format.h"

namespace tcp_sniffer {

// How an interface of a pcapng file counts time (if_tsresol, if_tsoffset).
class PcapngClock {
 public:
  // `resolution` is if_tsresol as it stands in the file: units of 10^-n seconds, or of 2^-n with
  // the top bit set. False when a second does not fit 64 bits of them.
  bool set_resolution(uint8_t resolution);
  void set_offset_s(int64_t offset_s) { offset_s_ = offset_s; }

  // Nanoseconds since 1970, rounded down, kept within 0 and kPacketTimeMaxNs.
  int64_t time_ns(uint64_t units) const {
    if (offset_s_ == 0 && units <= shortcut_max_) return static_cast<int64_t>(units * unit_ns_);
    return slow_time_ns(units);
  }

 private:
  int64_t slow_time_ns(uint64_t units) const;

  uint64_t units_per_s_ = 1'000'000;
  uint64_t unit_ns_ = 1000;  // the shortcut: a unit is a whole number of nanoseconds
  uint64_t shortcut_max_ = static_cast<uint64_t>(kPacketTimeMaxNs) / 1000;
  int64_t offset_s_ = 0;
};

// Reads pcapng (draft-ietf-opsawg-pcapng): several sections, each in its own byte order, with its
// own interfaces; Enhanced, Simple and the obsolete Packet Blocks. Every other block is skipped.
//
// It is handed the bytes of the file piece by piece and keeps nothing of them but the interfaces
// of the current section. One thread.
class PcapngFormat {
 public:
  // A file names each of its interfaces; thousands of them are corruption, not a host.
  static constexpr size_t kInterfacesMax = 65536;

  // With `names`, frames have the ids of their interfaces' names (if_name); it outlives this.
  explicit PcapngFormat(LinkNames* names = nullptr) : names_(names) {}

  static bool is_magic(const uint8_t first[4]);

  // The next step for the bytes in front. After kCorrupt the same bytes give kCorrupt again.
  FormatStep next(std::span<const uint8_t> bytes, Frame& frame);

  // What begins at the current position, for messages.
  const char* what() const { return trailer_ != 0 ? "block's closing length" : "block"; }
  const std::string& problem() const { return problem_; }

  // The link type of the section's first interface; nothing until it was described.
  std::optional<LinkType> first_link_type() const {
    return interfaces_.empty() ? std::nullopt : std::optional(interfaces_.front().link_type);
  }

  // Whether the file may end where a step begins.
  bool may_end() const { return in_section_ && trailer_ == 0; }

 private:
  struct Interface {
    LinkType link_type = LinkType::kEthernet;
    uint16_t link_id = 0;
    uint32_t snaplen = 0;  // 0: no limit
    PcapngClock clock;
  };

  FormatStep section_header(std::span<const uint8_t> bytes);
  FormatStep interface_description(std::span<const uint8_t> block);
  FormatStep packet(uint32_t type, std::span<const uint8_t> block, Frame& frame);
  FormatStep close_block(std::span<const uint8_t> bytes);
  FormatStep corrupt(std::string problem);

  LinkNames* names_;
  bool swapped_ = false;
  bool in_section_ = false;
  uint32_t trailer_ = 0;  // not 0: a block was skipped up to its closing length, which must be this
  std::vector<Interface> interfaces_;
  std::string problem_;
};

}  // namespace tcp_sniffer
