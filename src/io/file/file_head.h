#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/net/link_type.h"
#include "io/config/config.h"
#include "io/file/byte_reader.h"

namespace tcp_sniffer {

// Bytes (inflated) of a capture file that are looked at before it is read.
constexpr size_t kFileHeadSize = 64 * 1024;

// What the first kFileHeadSize bytes of a capture file show.
struct FileHead {
  bool regular = false;               // false: a pipe or standard input, of which nothing was read
  std::optional<LinkType> link_type;  // of a pcap file, or of a pcapng file's first interface
  std::optional<int64_t> begin_ns;    // when its first packets were captured: begin_time()
  // More than a file header: a packet, damage, or more bytes than are looked at.
  bool has_begun = false;
  std::string problem;  // why it is no capture; empty: it is one, or nothing is known yet
};

// Reads the head of a capture file. A pipe or standard input is not touched, because looking would
// use bytes up; a file that cannot be read, or is no capture, has an empty head.
FileHead read_file_head(const std::string& path);
// The same with a reader that has opened a regular file.
FileHead read_file_head(ByteReader& reader);

// The capture files in the order in which a run reads them (fileOrder): by the times of their first
// packets, or as they were named. A file without a packet stays after the one that was named before
// it. If one of them is no regular file, all stay in the order in which they were named, because
// its first packet is known only when it is read.
std::vector<std::string> files_to_read(const Config& config);

}  // namespace tcp_sniffer
