#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "options.h"

namespace tcp_sniffer::pcapgen {

constexpr std::uint8_t kFin = 0x01;
constexpr std::uint8_t kSyn = 0x02;
constexpr std::uint8_t kRst = 0x04;
constexpr std::uint8_t kPsh = 0x08;
constexpr std::uint8_t kAck = 0x10;

struct Endpoint {
  std::array<std::uint8_t, 16> ip{};  // IPv4: the first four
  std::uint16_t port = 0;
};

// What differs between the segments of one direction.
struct TcpFields {
  std::uint32_t sequence = 0;
  std::uint32_t acknowledgment = 0;
  std::uint8_t flags = 0;
  std::uint16_t window = 501;
  std::uint32_t timestamp_value = 0;
  std::uint32_t timestamp_echo = 0;
  std::uint16_t ip_id = 0;
};

// The headers of one direction of one connection, prepared once and patched for each segment.
// Checksums: RFC 1071; the constant parts are summed once.
class FrameTemplate {
 public:
  // Ethernet 14, two tags 8, IPv6 40, TCP 40, rounded up.
  static constexpr std::size_t kHeaderBytesMax = 104;
  // Ethernet without its check sequence; shorter frames are padded, as on the wire.
  static constexpr std::size_t kFrameBytesMin = 60;

  void prepare(const Options& options, bool ipv6, const Endpoint& from, const Endpoint& to,
               bool from_client);

  std::size_t header_bytes(std::uint8_t flags) const { return network_bytes_ + tcp_bytes(flags); }
  std::size_t network_offset() const { return link_bytes_; }
  bool ipv6() const { return ipv6_; }

  // Writes the headers in front of a payload that already stands at frame + header_bytes(flags).
  // Returns the size of the frame. The frame needs room for kFrameBytesMin.
  std::size_t finish(std::uint8_t* frame, const TcpFields& fields, std::size_t payload_bytes) const;

 private:
  std::size_t tcp_bytes(std::uint8_t flags) const {
    if ((flags & kSyn) != 0) return timestamps_ ? 40 : 32;
    return timestamps_ && (flags & kRst) == 0 ? 32 : 20;
  }

  std::array<std::uint8_t, 64> network_{};  // link and IP headers
  std::size_t link_bytes_ = 0;
  std::size_t network_bytes_ = 0;
  std::uint64_t ip_sum_ = 0;      // the IPv4 header without length, id and checksum
  std::uint64_t pseudo_sum_ = 0;  // addresses and protocol
  std::uint32_t ports_ = 0;       // as on the wire
  std::uint16_t mss_ = 0;
  bool ipv6_ = false;
  bool timestamps_ = true;
  bool checksums_ = true;
};

// A frame cut into IP fragments (RFC 791 section 3.2, RFC 8200 section 4.5).
struct Fragments {
  std::array<std::array<std::uint8_t, 9300>, 3> frame;
  std::array<std::size_t, 3> size{};
  std::size_t count = 0;
};

// Cuts an unpadded frame whose IP header is at network_offset into two or three fragments.
// Too short a frame gives none.
void cut_into_fragments(std::span<const std::uint8_t> frame, std::size_t network_offset, bool ipv6,
                        std::uint32_t id, std::size_t pieces, Fragments& out);

}  // namespace tcp_sniffer::pcapgen
