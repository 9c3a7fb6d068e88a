#pragma once

#include <string>
#include <vector>

namespace tcp_sniffer {

struct InterfaceInfo {
  std::string name;
  std::string description;  // libpcap's, often empty
  std::vector<std::string> addresses;
  bool up = false;
  bool running = false;
  bool loopback = false;
  bool is_network = false;  // false for `any` and for what libpcap offers that is no interface
};

struct InterfaceList {
  std::vector<InterfaceInfo> interfaces;
  std::string error;  // libpcap's words when there is no list
};

// What can be captured on, as libpcap lists it: those that are up first. Needs no rights.
InterfaceList list_interfaces();

// Whether a capture can be made on it: the rest of libpcap's list is D-Bus, USB, Bluetooth,
// netfilter.
bool can_carry_ip(const InterfaceInfo& info);

// The first interface that is up and not loopback; nullptr when there is none.
const InterfaceInfo* default_interface(const InterfaceList& list);

// `eth0, wlan0, any, lo`, for messages.
std::string names_of(const InterfaceList& list);

}  // namespace tcp_sniffer
