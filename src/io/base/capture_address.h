#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tcp_sniffer {

// A capture that comes over TCP (pcap over IP): `tcp://HOST:PORT`, to which this program connects,
// or `tcp-listen://ADDRESS:PORT`, where it waits for the sender.
struct CaptureAddress {
  bool listens = false;
  std::string host;  // an IPv6 address without its brackets
  std::string port;  // a number; 0 to 65535 to listen (0: any), from 1 on to connect
};

// Whether the text begins as such an address does.
bool is_capture_address(std::string_view text);

// Nothing: the text is no whole address.
std::optional<CaptureAddress> parse_capture_address(std::string_view text);

}  // namespace tcp_sniffer
