#include "frame_edit.h"

#include <algorithm>
#include <iterator>

#include "packets/checksum.h"
#include "packets/pcap.h"

namespace pcapdamage {
namespace {

using namespace tcp_sniffer::packets;

constexpr std::uint16_t kEtherIpv4 = 0x0800;
constexpr std::uint16_t kEtherIpv6 = 0x86dd;
constexpr std::uint16_t kEtherVlan = 0x8100;
constexpr std::uint16_t kEtherServiceVlan = 0x88a8;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolIpv6Fragment = 44;
constexpr std::size_t kIpv4HeaderBytes = 20;
constexpr std::size_t kIpv6HeaderBytes = 40;
constexpr std::size_t kIpv6FragmentHeaderBytes = 8;
constexpr std::size_t kTcpHeaderBytes = 20;
constexpr std::size_t kTcpChecksumOffset = 16;
constexpr std::uint8_t kTcpOptionEnd = 0;
constexpr std::uint8_t kTcpOptionNone = 1;
constexpr std::uint8_t kTcpOptionSack = 5;

void write_ipv4_checksum(std::span<std::uint8_t> header) {
  write_be16(&header[10], 0);
  write_checksum(&header[10], ones_sum(header));
}

// The offset of the network header, or nothing when it is not IP.
std::optional<std::size_t> find_network_header(const Frame& frame, std::uint32_t link_type) {
  if (link_type == kLinkRaw) return 0;
  std::size_t type_at = 0;
  std::size_t network_at = 0;
  if (link_type == kLinkEthernet) {
    type_at = 12;
    network_at = 14;
  } else if (link_type == kLinkSll) {
    type_at = 14;
    network_at = 16;
  } else if (link_type == kLinkSll2) {
    type_at = 0;
    network_at = 20;
  } else {
    return std::nullopt;
  }
  if (frame.bytes.size() < network_at) return std::nullopt;
  std::uint16_t type = read_be16(frame.bytes, type_at);
  while (type == kEtherVlan || type == kEtherServiceVlan) {
    if (frame.bytes.size() < network_at + 4) return std::nullopt;
    type = read_be16(frame.bytes, network_at + 2);
    network_at += 4;
  }
  if (type != kEtherIpv4 && type != kEtherIpv6) return std::nullopt;
  return network_at;
}

Frame copy_headers(const Frame& frame, std::size_t header_bytes) {
  Frame copy;
  copy.time_ns = frame.time_ns;
  copy.bytes.assign(frame.bytes.begin(),
                    frame.bytes.begin() + static_cast<std::ptrdiff_t>(header_bytes));
  return copy;
}

void append_bytes(Frame& to, const Frame& from, std::size_t at, std::size_t count) {
  const auto first = from.bytes.begin() + static_cast<std::ptrdiff_t>(at);
  to.bytes.insert(to.bytes.end(), first, first + static_cast<std::ptrdiff_t>(count));
}

}  // namespace

std::optional<FrameLayout> find_layout(const Frame& frame, std::uint32_t link_type) {
  const std::optional<std::size_t> network = find_network_header(frame, link_type);
  if (!network || frame.bytes.size() <= *network) return std::nullopt;
  const std::span<const std::uint8_t> ip = std::span(frame.bytes).subspan(*network);
  FrameLayout layout{.ip = *network, .ip_bytes = 0, .ipv6 = ip[0] >> 4 == 6, .tcp = 0};
  std::size_t header_bytes = kIpv6HeaderBytes;
  if (layout.ipv6) {
    if (ip.size() < kIpv6HeaderBytes) return std::nullopt;
    layout.ip_bytes = kIpv6HeaderBytes + read_be16(ip, 4);
    if (ip[6] != kProtocolTcp) return layout;
  } else {
    if (ip[0] >> 4 != 4 || ip.size() < kIpv4HeaderBytes) return std::nullopt;
    header_bytes = static_cast<std::size_t>(ip[0] & 0x0f) * 4;
    layout.ip_bytes = read_be16(ip, 2);
    const bool fragment = (read_be16(ip, 6) & 0x3fff) != 0;
    if (header_bytes < kIpv4HeaderBytes || ip[9] != kProtocolTcp || fragment) return layout;
  }
  if (ip.size() >= header_bytes + kTcpHeaderBytes) layout.tcp = layout.ip + header_bytes;
  return layout;
}

void add_to_tcp_field(Frame& frame, const FrameLayout& layout, std::size_t at,
                      std::uint32_t delta) {
  const std::uint32_t before = read_be32(frame.bytes, at);
  const std::uint32_t after = before + delta;
  write_be32(&frame.bytes[at], after);
  const std::size_t checksum_at = layout.tcp + kTcpChecksumOffset;
  std::uint32_t sum = static_cast<std::uint16_t>(~read_be16(frame.bytes, checksum_at));
  // A field at an odd position (after an odd option) counts with its bytes swapped: RFC 1071, 2(B).
  const bool odd = (at - layout.tcp) % 2 != 0;
  const auto swap_if_odd = [odd](std::uint32_t word) {
    return odd ? (word & 0xff) << 8 | word >> 8 : word;
  };
  for (const std::uint32_t word : {~before >> 16, ~before & 0xffff, after >> 16, after & 0xffff}) {
    sum += swap_if_odd(word);
  }
  write_be16(&frame.bytes[checksum_at], static_cast<std::uint16_t>(~fold(sum)));
}

std::vector<std::size_t> find_sack_edges(const Frame& frame, const FrameLayout& layout) {
  std::vector<std::size_t> edges;
  const std::size_t header_bytes = static_cast<std::size_t>(frame.bytes[layout.tcp + 12] >> 4) * 4;
  const std::size_t end = layout.tcp + header_bytes;
  if (end > frame.bytes.size()) return edges;
  std::size_t at = layout.tcp + kTcpHeaderBytes;
  while (at < end && frame.bytes[at] != kTcpOptionEnd) {
    if (frame.bytes[at] == kTcpOptionNone) {
      ++at;
      continue;
    }
    const std::size_t option_bytes = at + 1 < end ? frame.bytes[at + 1] : 0;
    if (option_bytes < 2 || option_bytes > end - at) break;
    if (frame.bytes[at] == kTcpOptionSack) {
      for (std::size_t edge = 2; edge + 4 <= option_bytes; edge += 4) edges.push_back(at + edge);
    }
    at += option_bytes;
  }
  return edges;
}

std::vector<Frame> fragment_frame(const Frame& frame, std::uint32_t link_type,
                                  std::size_t packet_bytes_max, std::uint32_t identification) {
  const std::optional<FrameLayout> layout = find_layout(frame, link_type);
  if (!layout || layout->tcp == 0 || layout->ip_bytes <= packet_bytes_max) return {frame};
  const std::size_t ip_header_bytes = layout->tcp - layout->ip;
  const bool plain_header = ip_header_bytes == (layout->ipv6 ? kIpv6HeaderBytes : kIpv4HeaderBytes);
  if (!plain_header || layout->ip + layout->ip_bytes > frame.bytes.size()) return {frame};

  const std::size_t extra = layout->ipv6 ? kIpv6FragmentHeaderBytes : 0;
  const std::size_t piece_max = (packet_bytes_max - ip_header_bytes - extra) / 8 * 8;
  const std::size_t data_bytes = layout->ip_bytes - ip_header_bytes;
  std::vector<Frame> fragments;
  for (std::size_t offset = 0; offset < data_bytes; offset += piece_max) {
    const std::size_t piece = std::min(piece_max, data_bytes - offset);
    const bool more = offset + piece < data_bytes;
    Frame fragment = copy_headers(frame, layout->tcp);
    const std::span<std::uint8_t> ip = std::span(fragment.bytes).subspan(layout->ip);
    const std::size_t eighths = offset / 8;
    if (layout->ipv6) {
      write_be16(&ip[4], static_cast<std::uint32_t>(extra + piece));
      ip[6] = kProtocolIpv6Fragment;
      std::uint8_t header[kIpv6FragmentHeaderBytes] = {kProtocolTcp};
      write_be16(&header[2], static_cast<std::uint32_t>(eighths << 3 | (more ? 1 : 0)));
      write_be32(&header[4], identification);
      fragment.bytes.insert(fragment.bytes.end(), std::begin(header), std::end(header));
    } else {
      write_be16(&ip[2], static_cast<std::uint32_t>(ip_header_bytes + piece));
      if (read_be16(ip, 4) == 0) write_be16(&ip[4], identification & 0xffff);
      write_be16(&ip[6], static_cast<std::uint32_t>((more ? 0x2000 : 0) | eighths));
      write_ipv4_checksum(ip.first(ip_header_bytes));
    }
    append_bytes(fragment, frame, layout->tcp + offset, piece);
    fragment.wire_length = static_cast<std::uint32_t>(fragment.bytes.size());
    fragments.push_back(std::move(fragment));
  }
  return fragments;
}

}  // namespace pcapdamage
