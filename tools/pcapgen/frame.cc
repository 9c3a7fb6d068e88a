#include "frame.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstring>

#include "packets/bytes.h"
#include "packets/checksum.h"

namespace tcp_sniffer::pcapgen {
namespace {

using packets::ones_sum;
using packets::write_be16;
using packets::write_be32;
using packets::write_checksum;

constexpr std::size_t kIpv4Bytes = 20;
constexpr std::size_t kIpv6Bytes = 40;
constexpr std::uint8_t kProtocolTcp = 6;
constexpr std::uint8_t kProtocolFragment = 44;

std::uint8_t* put_timestamps(std::uint8_t* at, const TcpFields& fields) {
  *at++ = 8;
  *at++ = 10;
  write_be32(at, fields.timestamp_value);
  write_be32(at + 4, fields.timestamp_echo);
  return at + 8;
}

}  // namespace

void FrameTemplate::prepare(const Options& options, bool ipv6, const Endpoint& from,
                            const Endpoint& to, bool from_client) {
  ipv6_ = ipv6;
  timestamps_ = options.tcp_timestamps;
  checksums_ = options.checksums;
  mss_ = static_cast<std::uint16_t>(options.mtu - (ipv6 ? kIpv6Bytes : kIpv4Bytes) - 20);

  network_.fill(0);
  std::uint8_t* at = network_.data();
  const std::array<std::uint8_t, 6> client_mac{0x02, 0, 0, 0, 0, 1};
  const std::array<std::uint8_t, 6> server_mac{0x02, 0, 0, 0, 0, 2};
  std::copy_n((from_client ? server_mac : client_mac).data(), 6, at);
  std::copy_n((from_client ? client_mac : server_mac).data(), 6, at + 6);
  at += 12;
  for (std::size_t i = 0; i < options.vlans.size(); ++i) {
    const bool outer_of_two = i == 0 && options.vlans.size() == 2;
    write_be16(at, outer_of_two ? 0x88a8 : 0x8100);
    write_be16(at + 2, options.vlans[i]);
    at += 4;
  }
  write_be16(at, ipv6 ? 0x86dd : 0x0800);
  at += 2;
  link_bytes_ = static_cast<std::size_t>(at - network_.data());

  const std::size_t address_bytes = ipv6 ? 16 : 4;
  if (ipv6) {
    at[0] = 0x60;
    at[6] = kProtocolTcp;
    at[7] = from_client ? 57 : 64;
    std::copy_n(from.ip.data(), 16, at + 8);
    std::copy_n(to.ip.data(), 16, at + 24);
    network_bytes_ = link_bytes_ + kIpv6Bytes;
  } else {
    at[0] = 0x45;
    at[6] = 0x40;  // don't fragment; the fragmenter clears it
    at[8] = from_client ? 57 : 64;
    at[9] = kProtocolTcp;
    std::copy_n(from.ip.data(), 4, at + 12);
    std::copy_n(to.ip.data(), 4, at + 16);
    network_bytes_ = link_bytes_ + kIpv4Bytes;
    ip_sum_ = ones_sum({at, kIpv4Bytes});
  }
  pseudo_sum_ = ones_sum({from.ip.data(), address_bytes}) +
                ones_sum({to.ip.data(), address_bytes}) + htons(kProtocolTcp);
  ports_ = htonl(static_cast<std::uint32_t>(from.port) << 16U | to.port);
}

std::size_t FrameTemplate::finish(std::uint8_t* frame, const TcpFields& fields,
                                  std::size_t payload_bytes) const {
  const std::size_t tcp_header = tcp_bytes(fields.flags);
  const std::size_t segment_bytes = tcp_header + payload_bytes;
  std::memcpy(frame, network_.data(), network_bytes_);

  std::uint8_t* const ip = frame + link_bytes_;
  if (ipv6_) {
    write_be16(ip + 4, static_cast<std::uint16_t>(segment_bytes));
  } else {
    const auto total = static_cast<std::uint16_t>(kIpv4Bytes + segment_bytes);
    write_be16(ip + 2, total);
    write_be16(ip + 4, fields.ip_id);
    write_checksum(ip + 10, ip_sum_ + htons(total) + htons(fields.ip_id));
  }

  std::uint8_t* const tcp = frame + network_bytes_;
  std::memcpy(tcp, &ports_, 4);
  write_be32(tcp + 4, fields.sequence);
  write_be32(tcp + 8, fields.acknowledgment);
  tcp[12] = static_cast<std::uint8_t>(tcp_header << 2U);
  tcp[13] = fields.flags;
  write_be16(tcp + 14, fields.window);
  write_be32(tcp + 16, 0);
  std::uint8_t* option = tcp + 20;
  if ((fields.flags & kSyn) != 0) {
    option[0] = 2;
    option[1] = 4;
    write_be16(option + 2, mss_);
    option[4] = 4;  // SACK permitted
    option[5] = 2;
    option += 6;
    if (timestamps_) {
      option = put_timestamps(option, fields);
      *option++ = 1;
    } else {
      *option++ = 1;
      *option++ = 1;
      *option++ = 1;
    }
    option[0] = 3;  // window scale
    option[1] = 3;
    option[2] = 7;
  } else if (tcp_header == 32) {
    option[0] = 1;
    option[1] = 1;
    put_timestamps(option + 2, fields);
  }
  if (checksums_) {
    write_checksum(tcp + 16, pseudo_sum_ + htons(static_cast<std::uint16_t>(segment_bytes)) +
                                 ones_sum({tcp, segment_bytes}));
  }

  std::size_t bytes = network_bytes_ + segment_bytes;
  if (bytes < kFrameBytesMin) {
    std::memset(frame + bytes, 0, kFrameBytesMin - bytes);
    bytes = kFrameBytesMin;
  }
  return bytes;
}

void cut_into_fragments(std::span<const std::uint8_t> frame, std::size_t network_offset, bool ipv6,
                        std::uint32_t id, std::size_t pieces, Fragments& out) {
  out.count = 0;
  const std::size_t header_end = network_offset + (ipv6 ? kIpv6Bytes : kIpv4Bytes);
  const std::size_t payload = frame.size() - header_end;
  const std::size_t step = (payload / pieces + 7) / 8 * 8;
  if (step == 0 || step * (pieces - 1) >= payload) return;

  for (std::size_t i = 0; i < pieces; ++i) {
    const std::size_t begin = i * step;
    const std::size_t bytes = i + 1 == pieces ? payload - begin : step;
    const bool more = i + 1 != pieces;
    std::uint8_t* const to = out.frame[i].data();
    std::memcpy(to, frame.data(), header_end);
    std::uint8_t* const ip = to + network_offset;
    std::size_t data_at = header_end;
    if (ipv6) {
      ip[6] = kProtocolFragment;
      write_be16(ip + 4, static_cast<std::uint16_t>(bytes + 8));
      ip[40] = kProtocolTcp;
      ip[41] = 0;
      write_be16(ip + 42, static_cast<std::uint16_t>(begin | (more ? 1U : 0U)));
      write_be32(ip + 44, id);
      data_at += 8;
    } else {
      write_be16(ip + 2, static_cast<std::uint16_t>(kIpv4Bytes + bytes));
      write_be16(ip + 6, static_cast<std::uint16_t>((more ? 0x2000U : 0U) | begin / 8));
      write_be16(ip + 10, 0);
      write_checksum(ip + 10, ones_sum({ip, kIpv4Bytes}));
    }
    std::memcpy(to + data_at, frame.data() + header_end + begin, bytes);
    const std::size_t unpadded = data_at + bytes;
    const std::size_t padded = std::max(unpadded, FrameTemplate::kFrameBytesMin);
    std::memset(to + unpadded, 0, padded - unpadded);
    out.size[i] = padded;
  }
  out.count = pieces;
}

}  // namespace tcp_sniffer::pcapgen
