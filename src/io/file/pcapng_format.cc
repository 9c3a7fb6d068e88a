#include "io/file/pcapng_format.h"

#include <algorithm>
#include <utility>

#include "io/base/capture_magic.h"

namespace tcp_sniffer {

namespace {

constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kObsoletePacket = 2;
constexpr uint32_t kSimplePacket = 3;
constexpr uint32_t kEnhancedPacket = 6;

constexpr size_t kBlockHeaderSize = 8;
constexpr size_t kTrailerSize = 4;
constexpr size_t kBlockSizeMin = kBlockHeaderSize + kTrailerSize;
constexpr size_t kSectionHeaderSizeMin = 28;  // 16 bytes of body

constexpr uint16_t kOptionEnd = 0;
constexpr uint16_t kOptionName = 2;
constexpr uint16_t kOptionTimeResolution = 9;
constexpr uint16_t kOptionTimeOffset = 14;

constexpr uint64_t kNsPerS = 1'000'000'000;

}  // namespace

bool PcapngClock::set_resolution(uint8_t resolution) {
  const unsigned exponent = resolution & 0x7fU;
  if ((resolution & 0x80U) != 0) {
    if (exponent > 63) return false;
    units_per_s_ = uint64_t{1} << exponent;
  } else {
    if (exponent > 19) return false;
    units_per_s_ = 1;
    for (unsigned i = 0; i < exponent; ++i) units_per_s_ *= 10;
  }
  const bool whole = units_per_s_ <= kNsPerS && kNsPerS % units_per_s_ == 0;
  unit_ns_ = whole ? kNsPerS / units_per_s_ : 0;
  shortcut_max_ = whole ? static_cast<uint64_t>(kPacketTimeMaxNs) / unit_ns_ : 0;
  return true;
}

int64_t PcapngClock::slow_time_ns(uint64_t units) const {
  __extension__ using Wide = __int128;
  const uint64_t fraction = units % units_per_s_;
  const Wide fraction_ns = static_cast<Wide>(fraction) * kNsPerS / units_per_s_;
  const Wide seconds = static_cast<Wide>(units / units_per_s_) + offset_s_;
  const Wide time_ns = seconds * static_cast<Wide>(kNsPerS) + fraction_ns;
  return static_cast<int64_t>(std::clamp<Wide>(time_ns, 0, kPacketTimeMaxNs));
}

bool PcapngFormat::is_magic(const uint8_t first[4]) {
  return load_u32(first, false) == kPcapngMagic;  // the same in both byte orders
}

FormatStep PcapngFormat::corrupt(std::string problem) {
  problem_ = std::move(problem);
  return {FormatStep::Kind::kCorrupt, 0};
}

FormatStep PcapngFormat::next(std::span<const uint8_t> bytes, Frame& frame) {
  if (trailer_ != 0) return close_block(bytes);
  if (bytes.size() < kBlockHeaderSize) return {FormatStep::Kind::kNeedMore, kBlockHeaderSize};
  const uint32_t type = load_u32(bytes.data(), swapped_);
  if (type == kPcapngMagic) return section_header(bytes);

  const uint32_t size = load_u32(bytes.data() + 4, swapped_);
  if (size < kBlockSizeMin || size % 4 != 0 || size > kBlockSizeMax) {
    return corrupt("the block's length is " + std::to_string(size) +
                   ", which is not a multiple of 4 from " + std::to_string(kBlockSizeMin) + " to " +
                   std::to_string(kBlockSizeMax));
  }
  const bool is_packet =
      type == kEnhancedPacket || type == kSimplePacket || type == kObsoletePacket;
  if (!is_packet && type != kInterfaceDescription) {
    trailer_ = size;
    return {FormatStep::Kind::kSkip, size - kTrailerSize};
  }
  if (bytes.size() < size) return {FormatStep::Kind::kNeedMore, size};
  const uint32_t trailer = load_u32(bytes.data() + size - kTrailerSize, swapped_);
  if (trailer != size) {
    return corrupt("the block's two lengths are not the same: " + std::to_string(size) + " and " +
                   std::to_string(trailer));
  }
  const auto block = bytes.first(size);
  return is_packet ? packet(type, block, frame) : interface_description(block);
}

FormatStep PcapngFormat::close_block(std::span<const uint8_t> bytes) {
  if (bytes.size() < kTrailerSize) return {FormatStep::Kind::kNeedMore, kTrailerSize};
  const uint32_t trailer = load_u32(bytes.data(), swapped_);
  if (trailer != trailer_) {
    return corrupt("the block that ends here has two lengths that are not the same: " +
                   std::to_string(trailer_) + " and " + std::to_string(trailer));
  }
  trailer_ = 0;
  return {FormatStep::Kind::kSkip, kTrailerSize};
}

FormatStep PcapngFormat::section_header(std::span<const uint8_t> bytes) {
  if (bytes.size() < kSectionHeaderSizeMin) {
    return {FormatStep::Kind::kNeedMore, kSectionHeaderSizeMin};
  }
  bool swapped = false;
  if (load_u32(bytes.data() + 8, false) != kPcapngByteOrderMagic) {
    if (load_u32(bytes.data() + 8, true) != kPcapngByteOrderMagic) {
      return corrupt("the section header has no byte-order magic");
    }
    swapped = true;
  }
  const uint16_t major = load_u16(bytes.data() + 12, swapped);
  if (major != 1) {
    return corrupt("the pcapng version is " + std::to_string(major) + "." +
                   std::to_string(load_u16(bytes.data() + 14, swapped)) + ", supported is 1.0");
  }
  const uint32_t size = load_u32(bytes.data() + 4, swapped);
  if (size < kSectionHeaderSizeMin || size % 4 != 0 || size > kBlockSizeMax) {
    return corrupt("the section header's length is " + std::to_string(size));
  }
  swapped_ = swapped;
  in_section_ = true;
  interfaces_.clear();
  trailer_ = size;
  return {FormatStep::Kind::kSkip, size - kTrailerSize};
}

FormatStep PcapngFormat::interface_description(std::span<const uint8_t> block) {
  constexpr size_t kFixedSize = 16;
  if (block.size() < kFixedSize + kTrailerSize) {
    return corrupt("the interface description block is too short");
  }
  if (interfaces_.size() >= kInterfacesMax) return corrupt("there are too many interfaces");
  Interface interface;
  interface.link_type = link_type_of_file(load_u16(block.data() + 8, swapped_));
  interface.snaplen = load_u32(block.data() + 12, swapped_);
  auto options = block.subspan(kFixedSize, block.size() - kFixedSize - kTrailerSize);
  while (options.size() >= 4) {
    const uint16_t code = load_u16(options.data(), swapped_);
    const uint16_t length = load_u16(options.data() + 2, swapped_);
    const size_t padded = 4 + (size_t{length} + 3) / 4 * 4;
    if (code == kOptionEnd) break;
    if (padded > options.size()) return corrupt("an option runs past the end of its block");
    if (code == kOptionName && names_ != nullptr) {
      const auto* name = reinterpret_cast<const char*>(options.data() + 4);
      interface.link_id = names_->add({name, length});
    } else if (code == kOptionTimeResolution) {
      if (length != 1) return corrupt("the option if_tsresol has not 1 byte");
      if (!interface.clock.set_resolution(options[4])) {
        return corrupt("the option if_tsresol asks for a finer time than 64 bits can hold");
      }
    } else if (code == kOptionTimeOffset) {
      if (length != 8) return corrupt("the option if_tsoffset has not 8 bytes");
      interface.clock.set_offset_s(static_cast<int64_t>(load_u64(options.data() + 4, swapped_)));
    }
    options = options.subspan(padded);
  }
  interfaces_.push_back(interface);
  return {FormatStep::Kind::kSkip, block.size()};
}

FormatStep PcapngFormat::packet(uint32_t type, std::span<const uint8_t> block, Frame& frame) {
  const size_t fixed_size = type == kSimplePacket ? 12 : 28;
  if (block.size() < fixed_size + kTrailerSize) return corrupt("the packet block is too short");
  const uint8_t* at = block.data() + kBlockHeaderSize;
  const size_t room = block.size() - fixed_size - kTrailerSize;

  uint32_t id = 0;
  if (type == kEnhancedPacket) id = load_u32(at, swapped_);
  if (type == kObsoletePacket) id = load_u16(at, swapped_);
  if (id >= interfaces_.size()) {
    return corrupt("the packet block is of interface " + std::to_string(id) +
                   ", which the section has not described");
  }
  const Interface& interface = interfaces_[id];

  uint64_t captured = 0;
  uint32_t on_wire = 0;
  int64_t time_ns = 0;
  if (type == kSimplePacket) {
    // It has neither a captured length nor a time.
    on_wire = load_u32(at, swapped_);
    captured = std::min<uint64_t>(on_wire, room);
    if (interface.snaplen != 0) captured = std::min<uint64_t>(captured, interface.snaplen);
  } else {
    const uint64_t units = uint64_t{load_u32(at + 4, swapped_)} << 32 | load_u32(at + 8, swapped_);
    time_ns = interface.clock.time_ns(units);
    captured = load_u32(at + 12, swapped_);
    on_wire = load_u32(at + 16, swapped_);
  }
  if (captured > room) {
    return corrupt("the packet's captured length is " + std::to_string(captured) +
                   ", its block has room for " + std::to_string(room));
  }
  frame.data = block.subspan(fixed_size, captured);
  frame.wire_size = std::max(on_wire, static_cast<uint32_t>(captured));
  frame.link_id = interface.link_id;
  frame.link_type = interface.link_type;
  frame.time_ns = time_ns;
  return {FormatStep::Kind::kFrame, block.size()};
}

}  // namespace tcp_sniffer
