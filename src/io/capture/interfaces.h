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

// What is no interface of the network and yet carries IP: `any`, and `nflog` or `nflog:GROUP`, the
// packets that a firewall rule with the target NFLOG hands over.
bool is_pseudo_interface(const std::string& name);

// Whether it is listed: the rest of libpcap's list is D-Bus, USB, Bluetooth, netfilter. `nflog` is
// captured by the number of a group, which a firewall's rule names.
bool can_carry_ip(const InterfaceInfo& info);

// The first interface that is up and not loopback; nullptr when there is none.
const InterfaceInfo* default_interface(const InterfaceList& list);

// `eth0, wlan0, any, lo`, for messages.
std::string names_of(const InterfaceList& list);

}  // namespace tcp_sniffer
