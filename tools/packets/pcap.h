#pragma once

#include <cstddef>
#include <cstdint>

#include "packets/bytes.h"

// Classic capture files (draft-ietf-opsawg-pcap, sections 4 and 5).
namespace tcp_sniffer::packets {

constexpr std::uint32_t kPcapMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kPcapNanoseconds = 0xa1b23c4d;
constexpr std::size_t kPcapFileHeaderBytes = 24;
constexpr std::size_t kPcapRecordHeaderBytes = 16;

constexpr std::uint32_t kLinkEthernet = 1;
constexpr std::uint32_t kLinkRaw = 101;
constexpr std::uint32_t kLinkSll = 113;
constexpr std::uint32_t kLinkSll2 = 276;

struct PcapFile {
  std::uint32_t magic = kPcapMicroseconds;
  bool big_endian = false;
  std::uint32_t link_type = kLinkEthernet;
  std::uint32_t snaplen = 262144;
  std::uint16_t minor = 4;  // of version 2
};

// The time zone and the accuracy between version and snaplen are zero in practice.
inline void write_pcap_header(std::uint8_t* at, const PcapFile& file) {
  write_number(at, file.magic, 4, file.big_endian);
  write_number(at + 4, 2, 2, file.big_endian);
  write_number(at + 6, file.minor, 2, file.big_endian);
  write_number(at + 8, 0, 8, file.big_endian);
  write_number(at + 16, file.snaplen, 4, file.big_endian);
  write_number(at + 20, file.link_type, 4, file.big_endian);
}

// What stands before a frame; `fraction` is in the file's unit.
struct PcapRecord {
  std::uint32_t seconds = 0;
  std::uint32_t fraction = 0;
  std::uint32_t captured = 0;  // bytes of the frame that follow
  std::uint32_t on_wire = 0;
};

inline void write_pcap_record(std::uint8_t* at, const PcapRecord& record, bool big_endian = false) {
  write_number(at, record.seconds, 4, big_endian);
  write_number(at + 4, record.fraction, 4, big_endian);
  write_number(at + 8, record.captured, 4, big_endian);
  write_number(at + 12, record.on_wire, 4, big_endian);
}

inline PcapRecord read_pcap_record(const std::uint8_t* at, bool big_endian) {
  const auto number = [&](std::size_t offset) {
    return static_cast<std::uint32_t>(read_number(at + offset, 4, big_endian));
  };
  return {number(0), number(4), number(8), number(12)};
}

inline Bytes pcap_header(const PcapFile& file) {
  Bytes header(kPcapFileHeaderBytes);
  write_pcap_header(header.data(), file);
  return header;
}

inline Bytes pcap_record(const PcapRecord& record, bool big_endian = false) {
  Bytes header(kPcapRecordHeaderBytes);
  write_pcap_record(header.data(), record, big_endian);
  return header;
}

}  // namespace tcp_sniffer::packets
