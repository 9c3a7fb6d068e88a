#include "capture_file.h"

#include <cerrno>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <iterator>
#include <span>

namespace pcapdamage {
namespace {

constexpr std::uint32_t kMagicMicroseconds = 0xa1b2c3d4;
constexpr std::uint32_t kMagicNanoseconds = 0xa1b23c4d;
constexpr std::uint16_t kVersionMajor = 2;
constexpr std::uint16_t kVersionMinor = 4;
constexpr std::size_t kFileHeaderBytes = 24;
constexpr std::size_t kRecordHeaderBytes = 16;
// No link layer has larger frames; a larger length means that the file is damaged.
constexpr std::uint32_t kFrameBytesMax = 1U << 20;
constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

std::uint32_t read_u32(std::span<const std::uint8_t> bytes, std::size_t at, bool big_endian) {
  std::uint32_t value = 0;
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t shift = 8 * (big_endian ? 3 - i : i);
    value |= static_cast<std::uint32_t>(bytes[at + i]) << shift;
  }
  return value;
}

void append_u32(std::string& out, std::uint32_t value, bool big_endian) {
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t shift = 8 * (big_endian ? 3 - i : i);
    out.push_back(static_cast<char>((value >> shift) & 0xff));
  }
}

void append_u16(std::string& out, std::uint16_t value, bool big_endian) {
  const char high = static_cast<char>(value >> 8);
  const char low = static_cast<char>(value & 0xff);
  out.push_back(big_endian ? high : low);
  out.push_back(big_endian ? low : high);
}

bool read_magic(std::span<const std::uint8_t> bytes, CaptureFile& capture) {
  for (const bool big_endian : {false, true}) {
    const std::uint32_t magic = read_u32(bytes, 0, big_endian);
    if (magic == kMagicMicroseconds || magic == kMagicNanoseconds) {
      capture.big_endian = big_endian;
      capture.nanoseconds = magic == kMagicNanoseconds;
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
  if (bytes.size() < kFileHeaderBytes || !read_magic(bytes, capture)) {
    return path + " is no classic pcap file";
  }
  capture.snaplen = read_u32(bytes, 16, capture.big_endian);
  capture.link_type = read_u32(bytes, 20, capture.big_endian);
  capture.frames.clear();
  const std::uint64_t unit_ns = capture.nanoseconds ? 1 : 1000;
  std::size_t at = kFileHeaderBytes;
  while (at < bytes.size()) {
    if (bytes.size() - at < kRecordHeaderBytes) {
      return path + " ends inside the record header at byte " + std::to_string(at);
    }
    Frame frame;
    frame.time_ns = read_u32(bytes, at, capture.big_endian) * kNanosecondsPerSecond +
                    read_u32(bytes, at + 4, capture.big_endian) * unit_ns;
    const std::uint32_t captured = read_u32(bytes, at + 8, capture.big_endian);
    frame.wire_length = read_u32(bytes, at + 12, capture.big_endian);
    at += kRecordHeaderBytes;
    if (captured > kFrameBytesMax || captured > bytes.size() - at) {
      return path + " has a record of " + std::to_string(captured) + " bytes at byte " +
             std::to_string(at) + " and ends before it";
    }
    const auto first = bytes.begin() + static_cast<std::ptrdiff_t>(at);
    frame.bytes.assign(first, first + static_cast<std::ptrdiff_t>(captured));
    at += captured;
    capture.frames.push_back(std::move(frame));
  }
  return {};
}

std::string write_capture(const std::string& path, const CaptureFile& capture) {
  const bool big_endian = capture.big_endian;
  std::string out;
  append_u32(out, capture.nanoseconds ? kMagicNanoseconds : kMagicMicroseconds, big_endian);
  append_u16(out, kVersionMajor, big_endian);
  append_u16(out, kVersionMinor, big_endian);
  append_u32(out, 0, big_endian);  // time zone and accuracy: always zero in practice
  append_u32(out, 0, big_endian);
  append_u32(out, capture.snaplen, big_endian);
  append_u32(out, capture.link_type, big_endian);
  const std::uint64_t unit_ns = capture.nanoseconds ? 1 : 1000;
  for (const Frame& frame : capture.frames) {
    append_u32(out, static_cast<std::uint32_t>(frame.time_ns / kNanosecondsPerSecond), big_endian);
    append_u32(out, static_cast<std::uint32_t>(frame.time_ns % kNanosecondsPerSecond / unit_ns),
               big_endian);
    append_u32(out, static_cast<std::uint32_t>(frame.bytes.size()), big_endian);
    append_u32(out, frame.wire_length, big_endian);
    out.append(frame.bytes.begin(), frame.bytes.end());
  }
  std::ofstream stream(path, std::ios::binary | std::ios::trunc);
  stream.write(out.data(), static_cast<std::streamsize>(out.size()));
  stream.flush();
  if (!stream) return "cannot write " + path + ": " + std::strerror(errno);
  return {};
}

}  // namespace pcapdamage
