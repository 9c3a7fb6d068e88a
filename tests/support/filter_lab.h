#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "io/capture/capture_filter.h"
#include "packets/packet_builder.h"

// Capture filters, and the frames that they pass or not.
namespace tcp_sniffer::filter_lab {

using packets::be16;
using packets::be32;
using packets::Bytes;
using packets::operator+;
using Use = CaptureFilter::Use;

constexpr uint16_t kIpv4 = 0x0800;
constexpr uint16_t kIpv6 = 0x86dd;
constexpr uint16_t kTag = 0x8100;
constexpr uint16_t kServiceTag = 0x88a8;

// Ethernet with tags (type and identifier) in front of the EtherType.
inline Bytes ethernet(const Bytes& payload, uint16_t type = kIpv4,
                      const std::vector<uint16_t>& tag_types = {}) {
  Bytes frame(12, 2);
  for (const uint16_t tag_type : tag_types) frame = frame + be16(tag_type) + be16(7);
  return frame + be16(type) + payload;
}

inline Bytes ports(uint16_t source, uint16_t destination) {
  return be16(source) + be16(destination) + Bytes(16, 0);
}

// 10.0.0.1 to 10.0.0.2.
inline Bytes ipv4(uint8_t protocol, const Bytes& payload, uint16_t fragment = 0) {
  return packets::ipv4({.protocol = protocol, .fragment = fragment}, payload);
}

inline Bytes ipv6(uint8_t next_header, const Bytes& payload) {
  return Bytes{0x60, 0, 0, 0} + be16(static_cast<uint16_t>(payload.size())) +
         Bytes{next_header, 64} + Bytes(32, 0xfd) + payload;
}

inline const Bytes kHttp4 = ipv4(6, ports(40000, 8080));
inline const Bytes kHttp6 = ipv6(6, ports(8080, 40000));
inline const Bytes kSsh4 = ipv4(6, ports(40000, 22));
inline const Bytes kSsh6 = ipv6(6, ports(22, 40000));
inline const Bytes kDns4 = ipv4(17, ports(40000, 53));
inline const Bytes kLaterFragment4 = ipv4(6, Bytes(64, 9), 185);
inline const Bytes kHopByHop6 = ipv6(0, Bytes{6, 0, 0, 0, 0, 0, 0, 0} + ports(40000, 8080));
inline const Bytes kFragment6 = ipv6(44, Bytes{6, 0, 0, 8, 0, 0, 0, 1} + Bytes(64, 9));

inline CaptureFilter make(CaptureFilter::Options options) {
  auto result = CaptureFilter::make(std::move(options));
  EXPECT_TRUE(std::holds_alternative<CaptureFilter>(result)) << std::get<Problem>(result).message();
  return std::get<CaptureFilter>(std::move(result));
}

inline std::string refusal(const std::string& user, Use use = Use::kLive) {
  auto result = CaptureFilter::make({{80}, user, false, use});
  return std::holds_alternative<Problem>(result) ? std::get<Problem>(result).message() : "";
}

inline CaptureFilter::Compiled compile(const CaptureFilter& filter, LinkType link_type) {
  auto result = filter.compile(link_type);
  if (auto* problem = std::get_if<Problem>(&result)) ADD_FAILURE() << problem->message();
  return std::get<CaptureFilter::Compiled>(std::move(result));
}

// The live filter as the kernel would run it on Ethernet frames that still have their tags.
class Live {
 public:
  explicit Live(CaptureFilter::Options options)
      : compiled_(compile(make(std::move(options)), LinkType::kEthernet)) {}
  bool operator()(const Bytes& frame) const {
    return compiled_.program.matches(frame, static_cast<uint32_t>(frame.size()));
  }

 private:
  CaptureFilter::Compiled compiled_;
};

inline bool file_matches(CaptureFilter& filter, const Bytes& data,
                         LinkType link_type = LinkType::kEthernet) {
  Frame frame;
  frame.data = data;
  frame.wire_size = static_cast<uint32_t>(data.size());
  frame.link_type = link_type;
  return filter.matches(frame);
}

// What the link's decoders open: each kind around an IP packet, with the type in front of it.
struct Encapsulated {
  std::string name;
  uint16_t type;
  Bytes payload;
};

inline std::vector<Encapsulated> encapsulations(const Bytes& ip) {
  const uint16_t ip_type = ip[0] >> 4 == 6 ? kIpv6 : kIpv4;
  const auto size = [](const Bytes& bytes) { return static_cast<uint16_t>(bytes.size()); };
  const Bytes ppp = be16(ip_type == kIpv6 ? 0x0057 : 0x0021) + ip;
  const Bytes snap = Bytes{0xaa, 0xaa, 3, 0, 0, 0} + be16(ip_type) + ip;
  const Bytes llc_ip = Bytes{6, 6, 3} + ip;
  const Bytes pseudowire = Bytes(12, 2) + be16(ip_type) + ip;
  return {
      {"mpls", 0x8847, Bytes{0, 1, 1, 64} + ip},
      {"mpls of three labels", 0x8848, Bytes{0, 1, 0, 64, 0, 2, 0, 64, 0, 3, 1, 64} + ip},
      {"ethernet in mpls", 0x8847, Bytes{0, 1, 1, 64, 0, 0, 0, 0} + pseudowire},
      {"pppoe", 0x8864, Bytes{0x11, 0, 0, 7} + be16(size(ppp)) + ppp},
      {"pppoe with a compressed protocol", 0x8864,
       Bytes{0x11, 0, 0, 7} + be16(static_cast<uint16_t>(ppp.size() - 1)) +
           Bytes(ppp.begin() + 1, ppp.end())},
      {"802.1ah", 0x88e7, be32(7) + pseudowire},
      {"ppp", 0x880b, ppp},
      {"ethernet", 0x6558, pseudowire},
      {"an old tag", 0x9200, be16(5) + be16(ip_type) + ip},
      {"snap", size(snap), snap},
      {"llc with ip", size(llc_ip), llc_ip},
      {"a tag, then mpls", kTag, be16(5) + be16(0x8847) + Bytes{0, 1, 1, 64} + ip},
      {"three tags", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(kTag) + be16(7) + be16(ip_type) + ip},
      {"four tags, then snap", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(0x9100) + be16(7) + be16(kTag) + be16(8) +
           be16(size(snap)) + snap},
      {"two tags, then pppoe", kServiceTag,
       be16(5) + be16(kTag) + be16(6) + be16(0x8864) + Bytes{0x11, 0, 0, 7} + be16(size(ppp)) +
           ppp},
  };
}

inline Frame frame_of(const Bytes& data, LinkType link_type = LinkType::kEthernet) {
  Frame frame;
  frame.data = data;
  frame.wire_size = static_cast<uint32_t>(data.size());
  frame.link_type = link_type;
  return frame;
}

}  // namespace tcp_sniffer::filter_lab
