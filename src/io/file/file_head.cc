#include "io/file/file_head.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <span>
#include <utility>
#include <vector>

#include "io/base/capture_magic.h"
#include "io/capture/begin_time.h"
#include "io/file/frame_cutter.h"
#include "io/file/pcap_format.h"
#include "io/file/pcapng_format.h"

namespace tcp_sniffer {

namespace {

bool is_regular(const std::string& path) {
  struct stat status {};
  return path != "-" && stat(path.c_str(), &status) == 0 && S_ISREG(status.st_mode);
}

// What comes before an error is looked at; without anything before it, it is the file's `problem`.
std::vector<uint8_t> first_bytes(ByteReader& reader, std::string& problem) {
  std::vector<uint8_t> bytes(kFileHeadSize);
  size_t size = 0;
  while (size < bytes.size()) {
    const ReadResult result = reader.read(std::span(bytes).subspan(size));
    if (result.status == ReadStatus::kError && size == 0) problem = reader.error();
    if (result.status != ReadStatus::kData) break;
    size += result.size;
  }
  bytes.resize(size);
  return bytes;
}

// Steps over the bytes up to the first packet, and then over some more.
template <typename Format>
void read_head(std::span<const uint8_t> bytes, FileHead& head) {
  Format format;
  Frame frame;
  std::vector<int64_t> times;
  head.has_begun = bytes.size() == kFileHeadSize;
  while (times.size() < kBeginPacketsMax) {
    const FormatStep step = format.next(bytes, frame);
    if (times.empty()) head.link_type = format.first_link_type();
    const bool is_frame = step.kind == FormatStep::Kind::kFrame;
    if (is_frame) times.push_back(frame.time_ns);
    if (is_frame || step.kind == FormatStep::Kind::kCorrupt) head.has_begun = true;
    if ((!is_frame && step.kind != FormatStep::Kind::kSkip) || step.bytes > bytes.size()) break;
    bytes = bytes.subspan(step.bytes);
  }
  if (!times.empty()) head.begin_ns = begin_time(times);
}

}  // namespace

FileHead read_file_head(const std::string& path) {
  FileHead head;
  ByteReader reader;
  if (is_regular(path) && reader.open(path)) head = read_file_head(reader);
  head.regular = is_regular(path);
  return head;
}

FileHead read_file_head(ByteReader& reader) {
  FileHead head;
  head.regular = true;
  const std::vector<uint8_t> bytes = first_bytes(reader, head.problem);
  if (bytes.size() < kCaptureMagicSize) return head;
  if (PcapFormat::is_magic(bytes.data())) {
    read_head<PcapFormat>(bytes, head);
  } else if (PcapngFormat::is_magic(bytes.data())) {
    read_head<PcapngFormat>(bytes, head);
  } else {
    head.problem = foreign_text(bytes.data());
  }
  return head;
}

std::vector<std::string> files_to_read(const Config& config) {
  const std::vector<std::string>& paths = config.files;
  if (config.file_order == FileOrder::kGiven || paths.size() < 2) return paths;
  struct Placed {
    int64_t time_ns;
    std::string path;
  };
  std::vector<Placed> placed;
  int64_t before_ns = std::numeric_limits<int64_t>::min();
  for (const std::string& path : paths) {
    const FileHead head = read_file_head(path);
    if (!head.regular) return paths;
    before_ns = head.begin_ns.value_or(before_ns);
    placed.push_back({before_ns, path});
  }
  std::ranges::stable_sort(placed, {}, &Placed::time_ns);
  std::vector<std::string> ordered;
  ordered.reserve(placed.size());
  for (Placed& file : placed) ordered.push_back(std::move(file.path));
  return ordered;
}

}  // namespace tcp_sniffer
