#include "capture_file.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

#include "packets/pcap.h"

namespace pcapdamage {
namespace {

namespace packets = tcp_sniffer::packets;

// No link layer has larger frames; a larger length means that the file is damaged.
constexpr std::uint32_t kFrameBytesMax = 1U << 20;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::uint32_t read_u32(std::span<const std::uint8_t> bytes, std::size_t at, bool big_endian) {
  return static_cast<std::uint32_t>(packets::read_number(&bytes[at], 4, big_endian));
}

bool read_magic(std::span<const std::uint8_t> bytes, CaptureFile& capture) {
  for (const bool big_endian : {false, true}) {
    const std::uint32_t magic = read_u32(bytes, 0, big_endian);
    if (magic == packets::kPcapMicroseconds || magic == packets::kPcapNanoseconds) {
      capture.big_endian = big_endian;
      capture.nanoseconds = magic == packets::kPcapNanoseconds;
      return true;
    }
  }
  return false;
}

}  // namespace

std::string read_capture(const std::string& path, CaptureFile& capture) {
  std::ifstream stream(path, std::ios::binary);
  if (!stream) return "cannot open " + path + ": " + std::strerror(errno);
  const std::vector<std::uint8_t> bytes{std::istreambuf_iterator<char>(stream),
                                        std::istreambuf_iterator<char>()};
  if (bytes.size() < packets::kPcapFileHeaderBytes || !read_magic(bytes, capture)) {
    return path + " is no classic pcap file";
  }
  capture.snaplen = read_u32(bytes, 16, capture.big_endian);
  capture.link_type = read_u32(bytes, 20, capture.big_endian);
  capture.frames.clear();
  const std::uint64_t unit_ns = capture.nanoseconds ? 1 : 1000;
  std::size_t at = packets::kPcapFileHeaderBytes;
  while (at < bytes.size()) {
    if (bytes.size() - at < packets::kPcapRecordHeaderBytes) {
      return path + " ends inside the record header at byte " + std::to_string(at);
    }
    Frame frame;
    const packets::PcapRecord record = packets::read_pcap_record(&bytes[at], capture.big_endian);
    frame.time_ns = record.seconds * kNanosecondsPerSecond + record.fraction * unit_ns;
    frame.wire_length = record.on_wire;
    at += packets::kPcapRecordHeaderBytes;
    if (record.captured > kFrameBytesMax || record.captured > bytes.size() - at) {
      return path + " has a record of " + std::to_string(record.captured) + " bytes at byte " +
             std::to_string(at) + " and ends before it";
    }
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    frame.bytes.assign(first, first + static_cast<std::ptrdiff_t>(record.captured));
    at += record.captured;
    capture.frames.push_back(std::move(frame));
  }
  return {};
}

std::string write_capture(const std::string& path, const CaptureFile& capture) {
  packets::Bytes out = packets::pcap_header({
      .magic = capture.nanoseconds ? packets::kPcapNanoseconds : packets::kPcapMicroseconds,
      .big_endian = capture.big_endian,
      .link_type = capture.link_type,
      .snaplen = capture.snaplen,
  });
  const std::uint64_t unit_ns = capture.nanoseconds ? 1 : 1000;
  for (const Frame& frame : capture.frames) {
    const packets::Bytes record = packets::pcap_record(
        {.seconds = static_cast<std::uint32_t>(frame.time_ns / kNanosecondsPerSecond),
         .fraction = static_cast<std::uint32_t>(frame.time_ns % kNanosecondsPerSecond / unit_ns),
         .captured = static_cast<std::uint32_t>(frame.bytes.size()),
         .on_wire = frame.wire_length},
        capture.big_endian);
    out.insert(out.end(), record.begin(), record.end());
    out.insert(out.end(), frame.bytes.begin(), frame.bytes.end());
  }
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(reinterpret_cast<const char*>(out.data()), static_cast<std::streamsize>(out.size()));
  stream.flush();
  if (!stream) return "cannot write " + path + ": " + std::strerror(errno);
  return {};
}

}  // namespace pcapdamage
