#include "io/base/capture_address.h"

#include <charconv>
#include <cstdint>
#include <system_error>

namespace tcp_sniffer {

namespace {

constexpr std::string_view kConnect = "tcp://";
constexpr std::string_view kListen = "tcp-listen://";

bool is_port(std::string_view text, uint32_t minimum) {
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end && number >= minimum && number <= 65535;
}

}  // namespace

bool is_capture_address(std::string_view text) {
  return text.starts_with(kConnect) || text.starts_with(kListen);
}

std::optional<CaptureAddress> parse_capture_address(std::string_view text) {
  if (!is_capture_address(text)) return {};
  CaptureAddress address;
  address.listens = text.starts_with(kListen);
  text.remove_prefix(address.listens ? kListen.size() : kConnect.size());
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return {};
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[')) {
    if (host.size() < 3 || host.back() != ']') return {};
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return {};
  }
  const bool is_host = !host.empty() && host.find_first_of("[]/?#@ \t") == std::string_view::npos;
  if (!is_host || !is_port(port, address.listens ? 0 : 1)) return {};
  address.host = host;
  address.port = port;
  return address;
}

}  // namespace tcp_sniffer
