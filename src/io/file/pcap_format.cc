#include "io/file/pcap_format.h"

#include "io/base/capture_magic.h"

namespace tcp_sniffer {

namespace {

constexpr size_t kFileHeaderSize = 24;
constexpr size_t kPacketHeaderSize = 16;
constexpr size_t kModifiedPacketHeaderSize = 24;

bool is_known(uint32_t magic) {
  return magic == kPcapMagicMicro || magic == kPcapMagicNano || magic == kPcapMagicModified;
}

}  // namespace

bool PcapFormat::is_magic(const uint8_t first[4]) {
  return is_known(load_u32(first, false)) || is_known(load_u32(first, true));
}

FormatStep PcapFormat::read_file_header(std::span<const uint8_t> bytes) {
  if (bytes.size() < kFileHeaderSize) return {FormatStep::Kind::kNeedMore, kFileHeaderSize};
  swapped_ = !is_known(load_u32(bytes.data(), false));
  const uint32_t magic = load_u32(bytes.data(), swapped_);
  const uint16_t major = load_u16(bytes.data() + 4, swapped_);
  const uint16_t minor = load_u16(bytes.data() + 6, swapped_);
  // 543.0 is what DG/UX's tcpdump wrote.
  const bool is_dgux = major == 543 && minor == 0;
  if (!is_dgux && (major != 2 || minor > 4)) {
    problem_ = "the pcap version is " + std::to_string(major) + "." + std::to_string(minor) +
               ", supported are 2.0 to 2.4";
    return {FormatStep::Kind::kCorrupt, 0};
  }
  lengths_swapped_ = is_dgux || minor < 3;
  lengths_maybe_swapped_ = !is_dgux && minor == 3;
  const uint32_t snaplen = load_u32(bytes.data() + 16, swapped_);
  frame_size_max_ = std::clamp<size_t>(snaplen, kUsualFrameSizeMax, kBlockSizeMax);
  // The upper bits are about a frame check sequence, which the decoders do not look at.
  link_type_ = link_type_of_file(static_cast<uint16_t>(load_u32(bytes.data() + 20, swapped_)));
  fraction_ns_ = magic == kPcapMagicNano ? 1 : 1000;
  packet_header_size_ = magic == kPcapMagicModified ? kModifiedPacketHeaderSize : kPacketHeaderSize;
  return {FormatStep::Kind::kSkip, kFileHeaderSize};
}

FormatStep PcapFormat::too_long(uint32_t captured) {
  problem_ = "the packet's captured length is " + std::to_string(captured) + ", the most is " +
             std::to_string(frame_size_max_);
  return {FormatStep::Kind::kCorrupt, 0};
}

}  // namespace tcp_sniffer
