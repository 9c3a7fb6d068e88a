#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string_view>

#include "packets/bytes.h"
#include "packets/checksum.h"

// Packets put together header by header, innermost first, so that a test shows what it decodes:
//   ethernet(0x0800, ipv4(kTcp, "10.0.0.1"_ip4, "10.0.0.2"_ip4, tcp(1234, 80, "GET /")))
namespace tcp_sniffer::packets {

using Packet = Bytes;

inline Packet bytes(std::initializer_list<int> values) {
  Packet packet;
  for (const int value : values) packet.push_back(static_cast<uint8_t>(value));
  return packet;
}

inline Packet text(std::string_view characters) {
  return {characters.begin(), characters.end()};
}

inline Packet be16(uint32_t value) {
  Packet packet(2);
  write_be16(packet.data(), value);
  return packet;
}

inline Packet be32(uint32_t value) {
  Packet packet(4);
  write_be32(packet.data(), value);
  return packet;
}

struct Ipv4Address {
  uint8_t bytes[4];
};

constexpr Ipv4Address kClient4 = {{10, 0, 0, 1}};
constexpr Ipv4Address kServer4 = {{10, 0, 0, 2}};

using Ipv6Address = std::array<uint8_t, 16>;

// ::ffff:a.b.c.d
inline Ipv6Address mapped(const Ipv4Address& address) {
  const uint8_t* at = address.bytes;
  return {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, at[0], at[1], at[2], at[3]};
}

inline Packet packed(const Ipv4Address& address) {
  return {address.bytes, address.bytes + sizeof(address.bytes)};
}

// 2001:db8::`last`
inline Ipv6Address ipv6_address(uint8_t last) {
  return {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last};
}

constexpr uint8_t kTcpProtocol = 6;
constexpr uint8_t kUdpProtocol = 17;

struct TcpFields {
  uint16_t source_port = 40000;
  uint16_t destination_port = 80;
  uint32_t sequence = 1000;
  uint32_t acknowledgment = 2000;
  uint8_t flags = 0x18;
  uint16_t window = 512;
  Packet options{};
};

// The TCP checksum stays 0; ipv4_tcp and ipv6_tcp fill it in.
inline Packet tcp(const TcpFields& fields, const Packet& payload) {
  Packet options = fields.options;
  while (options.size() % 4 != 0) options.push_back(0);
  Packet header = be16(fields.source_port) + be16(fields.destination_port) + be32(fields.sequence) +
                  be32(fields.acknowledgment);
  header.push_back(static_cast<uint8_t>((20 + options.size()) / 4 << 4));
  header.push_back(fields.flags);
  return header + be16(fields.window) + be16(0) + be16(0) + options + payload;
}

inline Packet tcp(std::string_view payload) {
  return tcp(TcpFields{}, text(payload));
}

inline Packet udp(uint32_t source_port, uint32_t destination_port, const Packet& payload) {
  return be16(source_port) + be16(destination_port) +
         be16(static_cast<uint32_t>(8 + payload.size())) + be16(0) + payload;
}

struct Ipv4Fields {
  Ipv4Address source = kClient4;
  Ipv4Address destination = kServer4;
  uint8_t protocol = kTcpProtocol;
  uint16_t id = 0x1234;
  uint16_t fragment = 0x4000;  // don't fragment
  uint8_t ttl = 64;
  Packet options{};
};

inline Packet ipv4(const Ipv4Fields& fields, const Packet& payload) {
  const size_t header_size = 20 + fields.options.size();
  Packet header = bytes({static_cast<int>(0x40 | header_size / 4), 0}) +
                  be16(static_cast<uint32_t>(header_size + payload.size())) + be16(fields.id) +
                  be16(fields.fragment) + bytes({fields.ttl, fields.protocol, 0, 0}) +
                  packed(fields.source) + packed(fields.destination) + fields.options;
  write_checksum(&header[10], ones_sum(header));
  return header + payload;
}

// An IPv4 packet around a TCP segment, with both checksums right.
inline Packet ipv4_tcp(const Ipv4Fields& fields, Packet segment) {
  const Packet pseudo = packed(fields.source) + packed(fields.destination) + be16(kTcpProtocol) +
                        be16(static_cast<uint32_t>(segment.size()));
  write_checksum(&segment[16], ones_sum(pseudo) + ones_sum(segment));
  return ipv4(fields, segment);
}

inline Packet ipv4_tcp(std::string_view payload) {
  return ipv4_tcp(Ipv4Fields{}, tcp(payload));
}

inline Packet ipv4_udp(uint32_t source_port, uint32_t destination_port, const Packet& payload) {
  Ipv4Fields fields;
  fields.source = {{192, 0, 2, 1}};
  fields.destination = {{192, 0, 2, 2}};
  fields.protocol = kUdpProtocol;
  return ipv4(fields, udp(source_port, destination_port, payload));
}

// An IPv4 packet of another protocol between the ends of a tunnel.
inline Packet ipv4_tunnel(uint8_t protocol, const Packet& payload) {
  Ipv4Fields fields;
  fields.source = {{192, 0, 2, 1}};
  fields.destination = {{192, 0, 2, 2}};
  fields.protocol = protocol;
  return ipv4(fields, payload);
}

inline Packet ipv6(uint8_t next_header, const Ipv6Address& source, const Ipv6Address& destination,
                   const Packet& payload) {
  Packet header = bytes({0x60, 0, 0, 0}) + be16(static_cast<uint32_t>(payload.size())) +
                  bytes({next_header, 63});
  header.insert(header.end(), source.begin(), source.end());
  header.insert(header.end(), destination.begin(), destination.end());
  return header + payload;
}

// An IPv6 packet from ::1 to ::2 of 2001:db8::/32 with a TCP segment whose checksum is right,
// behind `extensions` of which `first` is the type of the first.
inline Packet ipv6_tcp(Packet segment, uint8_t first = kTcpProtocol,
                       const Packet& extensions = {}) {
  Packet pseudo;
  for (const uint8_t last : {uint8_t{1}, uint8_t{2}}) {
    const Ipv6Address address = ipv6_address(last);
    pseudo.insert(pseudo.end(), address.begin(), address.end());
  }
  pseudo = pseudo + be32(static_cast<uint32_t>(segment.size())) + be32(kTcpProtocol);
  write_checksum(&segment[16], ones_sum(pseudo) + ones_sum(segment));
  return ipv6(first, ipv6_address(1), ipv6_address(2), extensions + segment);
}

inline Packet ethernet(uint32_t ether_type, const Packet& payload) {
  return bytes({2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1}) + be16(ether_type) + payload;
}

}  // namespace tcp_sniffer::packets
