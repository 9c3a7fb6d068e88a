#include "core/net/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "core/net/ip_text.h"
#include "support/proxy_headers.h"

namespace tcp_sniffer::proxy_protocol_test {
namespace {

using Status = ProxyHeaderStatus;
using proxy_headers::tlv;
using proxy_headers::version_2;

std::string text_of(const Endpoint& endpoint) {
  char ip[kIpTextMax];
  const char* end = write_ip(ip, endpoint.ip, endpoint.mapped_on_wire);
  return std::string(static_cast<const char*>(ip), end) + " " + std::to_string(endpoint.port);
}

// "source > destination", "-" without endpoints, "no" when it is no header; the tail must be left.
std::string read(const std::string& header) {
  const ProxyHeader found = read_proxy_header(header + "GET / HTTP/1.1\r\n\r\n");
  if (found.status != Status::kComplete) return "no";
  EXPECT_EQ(found.size, header.size());
  if (!found.has_endpoints) return "-";
  return text_of(found.endpoints.source) + " > " + text_of(found.endpoints.destination) +
         (found.endpoints.tls ? " tls" : "");
}

constexpr std::string_view kInet("\xcb\x00\x71\x07\x0a\x00\x00\x02\xdc\x04\x00\x50", 12);
const std::string kInet6 = std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x01" +
                           std::string("\x20\x01\x0d\xb8", 4) + std::string(11, '\0') + "\x02" +
                           std::string("\xdc\x04\x01\xbb", 4);

TEST(ProxyProtocolVersion1, ReadsAddressesAndPorts) {
  EXPECT_EQ(read("PROXY TCP4 203.0.113.7 10.0.0.2 56324 80\r\n"),
            "203.0.113.7 56324 > 10.0.0.2 80");
  EXPECT_EQ(read("PROXY TCP6 2001:db8::1 2001:DB8::2 56324 443\r\n"),
            "2001:db8::1 56324 > 2001:db8::2 443");
  EXPECT_EQ(read("PROXY TCP6 ::ffff:192.0.2.1 ::1 0 65535\r\n"), "::ffff:192.0.2.1 0 > ::1 65535");
  EXPECT_EQ(read("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
                 "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 > "
            "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535");
}

TEST(ProxyProtocolVersion1, UnknownSaysNothing) {
  EXPECT_EQ(read("PROXY UNKNOWN\r\n"), "-");
  EXPECT_EQ(read("PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n"), "-");
  EXPECT_EQ(read("PROXY UNKNOWN " + std::string(91, 'x') + "\r\n"), "-");
}

TEST(ProxyProtocolVersion1, WhatContradictsTheSpecificationIsNone) {
  for (const char* line : {
           "PROXY / HTTP/1.1\r\n",
           "PROXY\r\n",
           "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
           "proxy TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
           "PROXY tcp4 1.2.3.4 1.2.3.4 1 2\r\n",
           "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
           "PROXY UDP4 1.2.3.4 1.2.3.4 1 2\r\n",
           "PROXY TCP4\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 \r\n",
           "PROXY TCP4 1.2.3.4  1.2.3.4 1 2\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 01 2\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 -1 2\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.256 1 2\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3 1 2\r\n",
           "PROXY TCP4 ::1 ::1 1 2\r\n",
           "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
           "PROXY TCP6 ::1 1::2::3 1 2\r\n",
           "PROXY TCP4 1.2.3.4 1.2.3.4 1 2\n",
           "PROXY UNKNOWNX\r\n",
           "PROXY UNKNOWN\n",
       }) {
    EXPECT_EQ(read(line), "no") << line;
  }
  EXPECT_EQ(read("PROXY UNKNOWN " + std::string(92, 'x') + "\r\n"), "no") << "108 bytes";
}

TEST(ProxyProtocolVersion2, ReadsAddressesOfEachFamilyAndTransport) {
  for (const uint8_t transport : {uint8_t{0}, uint8_t{1}, uint8_t{2}}) {
    EXPECT_EQ(read(version_2(0x21, static_cast<uint8_t>(0x10 | transport), kInet)),
              "203.0.113.7 56324 > 10.0.0.2 80");
    EXPECT_EQ(read(version_2(0x21, static_cast<uint8_t>(0x20 | transport), kInet6)),
              "2001:db8::1 56324 > 2001:db8::2 443");
    EXPECT_EQ(read(version_2(0x21, static_cast<uint8_t>(0x30 | transport), std::string(216, 'u'))),
              "-");
    EXPECT_EQ(read(version_2(0x21, transport, "")), "-");
  }
  EXPECT_EQ(read(version_2(0x21, 0x00, "anything at all")), "-");
}

TEST(ProxyProtocolVersion2, LocalSaysNothingWhateverFollows) {
  EXPECT_EQ(read(version_2(0x20, 0x00, "")), "-");
  EXPECT_EQ(read(version_2(0x20, 0x11, kInet)), "-");
  EXPECT_EQ(read(version_2(0x20, 0xff, "ab")), "-");
  EXPECT_EQ(read(version_2(0x20, 0x11, std::string(65535, 'x'))), "-");
}

TEST(ProxyProtocolVersion2, TlvsArePassedOverButTheOneOfTls) {
  const std::string inet(kInet);
  const std::string inner = tlv(0x21, "TLSv1.3") + tlv(0x22, "client");
  const std::string yes = std::string("\x01\x00\x00\x00\x00", 5) + inner;
  const std::string no = std::string("\x00\x00\x00\x00\x00", 5);
  const std::string plain = "203.0.113.7 56324 > 10.0.0.2 80";
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x04, "") + tlv(0xea, "\x01vpce-1"))), plain);
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x20, yes))), plain + " tls");
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x02, "a.example") + tlv(0x20, yes))),
            plain + " tls");
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x20, no))), plain);
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x20, ""))), plain);
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x05, std::string(65520, 'x')))), plain);
}

TEST(ProxyProtocolVersion2, WhatContradictsTheSpecificationIsNone) {
  const std::string inet(kInet);
  EXPECT_EQ(read(version_2(0x11, 0x11, inet)), "no") << "version 1";
  EXPECT_EQ(read(version_2(0x31, 0x11, inet)), "no") << "version 3";
  EXPECT_EQ(read(version_2(0x22, 0x11, inet)), "no") << "command 2";
  EXPECT_EQ(read(version_2(0x21, 0x41, inet)), "no") << "family 4";
  EXPECT_EQ(read(version_2(0x21, 0x13, inet)), "no") << "transport 3";
  EXPECT_EQ(read(version_2(0x21, 0x11, inet.substr(0, 11))), "no") << "too short for its addresses";
  EXPECT_EQ(read(version_2(0x21, 0x21, inet)), "no") << "too short for IPv6";
  EXPECT_EQ(read(version_2(0x21, 0x31, inet)), "no") << "too short for Unix sockets";
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + "x")), "no") << "part of a TLV";
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x02, "abc").substr(0, 5))), "no");
  EXPECT_EQ(read(version_2(0x21, 0x11, inet + tlv(0x04, "") + "x")), "no");
  std::string lies = version_2(0x21, 0x11, inet);
  lies[15] = 40;
  EXPECT_EQ(read(lies), "no") << "claims bytes of the request";
}

TEST(ProxyProtocol, EachPrefixOfAHeaderIsIncompleteAndTellsWhatItNeeds) {
  const std::string inet(kInet);
  for (const std::string& header :
       {std::string("PROXY TCP4 203.0.113.7 10.0.0.2 56324 80\r\n"),
        std::string("PROXY UNKNOWN\r\n"), std::string("PROXY UNKNOWN a b\r\n"),
        version_2(0x21, 0x11, inet), version_2(0x20, 0x00, ""),
        version_2(0x21, 0x11, inet + tlv(0x20, std::string("\x01\x00\x00\x00\x00", 5)))}) {
    for (size_t size = 0; size < header.size(); ++size) {
      const ProxyHeader found = read_proxy_header(std::string_view(header).substr(0, size));
      EXPECT_EQ(found.status, Status::kIncomplete) << size;
      EXPECT_GT(found.size, size);
    }
    EXPECT_EQ(read_proxy_header(header).status, Status::kComplete);
  }
}

TEST(ProxyProtocol, OtherBeginningsAreToldAtTheirFirstDifference) {
  for (const char* text :
       {"G", "PO", "PROXYX", "PROXY /", "PROXY TCP7", "\n", "\r\nG", "\r\n\r\n\r"}) {
    EXPECT_EQ(read_proxy_header(text).status, Status::kNone) << text;
  }
}

}  // namespace
}  // namespace tcp_sniffer::proxy_protocol_test
