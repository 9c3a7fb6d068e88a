#include "io/file_link_type.h"

#include <sys/stat.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

#include "io/byte_reader.h"
#include "io/pcap_format.h"
#include "io/pcapng_format.h"

namespace tcp_sniffer {

namespace {

constexpr size_t kHeadSize = 64 * 1024;
constexpr size_t kMagicSize = 4;

std::vector<uint8_t> head_of(const std::string& path) {
  struct stat status {};
  ByteReader reader;
  if (path == "-" || stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode) ||
      !reader.open(path)) {
    return {};
  }
  std::vector<uint8_t> head(kHeadSize);
  size_t size = 0;
  while (size < head.size()) {
    const ReadResult result = reader.read(std::span(head).subspan(size));
    if (result.status != ReadStatus::kData) break;
    size += result.size;
  }
  head.resize(size);
  return head;
}

// Steps over the head until the format knows a link type.
template <typename Format>
std::optional<LinkType> link_type_in(std::span<const uint8_t> head) {
  Format format;
  Frame frame;
  while (!format.first_link_type()) {
    const FormatStep step = format.next(head, frame);
    if (step.kind != FormatStep::Kind::kSkip || step.bytes > head.size()) break;
    head = head.subspan(step.bytes);
  }
  return format.first_link_type();
}

}  // namespace

std::optional<LinkType> first_link_type(const std::string& path) {
  const std::vector<uint8_t> head = head_of(path);
  if (head.size() < kMagicSize) return {};
  if (PcapFormat::is_magic(head.data())) return link_type_in<PcapFormat>(head);
  if (PcapngFormat::is_magic(head.data())) return link_type_in<PcapngFormat>(head);
  return {};
}

}  // namespace tcp_sniffer
