#include "io/capture/interfaces.h"

#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <array>

namespace tcp_sniffer {

namespace {

// The address as text; empty when it is neither IPv4 nor IPv6.
std::string address_text(const sockaddr* address) {
  if (address == nullptr) return "";
  socklen_t size = 0;
  if (address->sa_family == AF_INET) size = sizeof(sockaddr_in);
  if (address->sa_family == AF_INET6) size = sizeof(sockaddr_in6);
  std::array<char, NI_MAXHOST> text{};
  if (size == 0 ||
      getnameinfo(address, size, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST) != 0) {
    return "";
  }
  return text.data();
}

InterfaceInfo info_of(const pcap_if_t& device) {
  InterfaceInfo info;
  info.name = device.name;
  if (device.description != nullptr) info.description = device.description;
  for (const pcap_addr_t* entry = device.addresses; entry != nullptr; entry = entry->next) {
    std::string text = address_text(entry->addr);
    if (!text.empty()) info.addresses.push_back(std::move(text));
  }
  info.up = (device.flags & PCAP_IF_UP) != 0;
  info.running = (device.flags & PCAP_IF_RUNNING) != 0;
  info.loopback = (device.flags & PCAP_IF_LOOPBACK) != 0;
  info.is_network = if_nametoindex(device.name) != 0;
  return info;
}

}  // namespace

InterfaceList list_interfaces() {
  InterfaceList list;
  std::array<char, PCAP_ERRBUF_SIZE> words{};
  pcap_if_t* devices = nullptr;
  if (pcap_findalldevs(&devices, words.data()) != 0) {
    list.error = words.data();
    return list;
  }
  for (const pcap_if_t* device = devices; device != nullptr; device = device->next) {
    list.interfaces.push_back(info_of(*device));
  }
  pcap_freealldevs(devices);
  return list;
}

bool is_pseudo_interface(const std::string& name) {
  return name == "any" || name == "nflog" || name.starts_with("nflog:");
}

bool can_carry_ip(const InterfaceInfo& info) {
  return info.is_network || info.name == "any";
}

const InterfaceInfo* default_interface(const InterfaceList& list) {
  const auto found = std::find_if(
      list.interfaces.begin(), list.interfaces.end(),
      [](const InterfaceInfo& info) { return info.is_network && info.up && !info.loopback; });
  return found == list.interfaces.end() ? nullptr : &*found;
}

std::string names_of(const InterfaceList& list) {
  std::string names;
  for (const InterfaceInfo& info : list.interfaces) {
    if (!can_carry_ip(info)) continue;
    if (!names.empty()) names += ", ";
    names += info.name;
  }
  return names;
}

}  // namespace tcp_sniffer
