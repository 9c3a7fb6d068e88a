#include "io/capture/interfaces_text.h"

#include <cstdint>
#include <variant>

#include "io/capture/capture_filter.h"
#include "io/capture/live_source.h"

namespace tcp_sniffer {

namespace {

// Why no capture can begin there; empty: one can.
std::string reason_against(const std::string& name) {
  constexpr uint64_t kSmallBufferBytes = uint64_t{1} << 20;
  LiveOptions options;
  options.interface = name;
  options.buffer_bytes = kSmallBufferBytes;
  options.promiscuous = false;  // looking must not change the interface
  const auto filter = CaptureFilter::make({});
  const auto opened = LiveSource::open(options, std::get<CaptureFilter>(filter));
  const auto* problem = std::get_if<Problem>(&opened);
  return problem == nullptr ? "" : problem->words;
}

}  // namespace

InterfacesText interfaces_text(const InterfaceList& list) {
  InterfacesText text;
  for (const InterfaceInfo& interface : list.interfaces) {
    if (!can_carry_ip(interface)) continue;
    const std::string reason = reason_against(interface.name);
    if (!reason.empty()) {
      text.refused += interface.name + " cannot be opened: " + reason + "\n";
      continue;
    }
    text.opens += interface.name + (interface.up ? "  up" : "  down");
    for (const std::string& address : interface.addresses) text.opens += "  " + address;
    if (!interface.description.empty()) text.opens += "  (" + interface.description + ")";
    text.opens += "\n";
  }
  return text;
}

}  // namespace tcp_sniffer
