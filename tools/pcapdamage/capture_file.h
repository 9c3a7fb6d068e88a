#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace pcapdamage {

// One record of a classic capture file. `wire_length` is the frame's size on the wire and may be
// larger than `bytes`, when the capture was cut by its snaplen.
struct Frame {
  std::uint64_t time_ns = 0;
  std::uint32_t wire_length = 0;
  std::vector<std::uint8_t> bytes;
};

// A whole classic capture file (pcap, not pcapng) in memory; meant for captures of a few megabytes.
//
// Invariants: times keep the file's own resolution, so that reading and writing an untouched file
// gives the same bytes; `big_endian` is the byte order of the file, not of this machine.
struct CaptureFile {
  bool big_endian = false;
  bool nanoseconds = false;
  std::uint32_t snaplen = 262144;
  std::uint32_t link_type = 1;
  std::vector<Frame> frames;
};

// Both return an empty string, or a sentence that says what was tried and what went wrong.
// Format: draft-ietf-opsawg-pcap, sections 4 and 5.
std::string read_capture(const std::string& path, CaptureFile& capture);
std::string write_capture(const std::string& path, const CaptureFile& capture);

}  // namespace pcapdamage
