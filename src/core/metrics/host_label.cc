#include "core/metrics/host_label.h"

#include <algorithm>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/text_encoding.h"

namespace tcp_sniffer {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kNoHost = "none";

// Of the absolute form and of the authority form, which only CONNECT has.
std::string_view authority_of(std::string_view method, std::string_view target) {
  if (target.starts_with('/')) return {};
  constexpr size_t kSchemeMax = 16;
  const size_t scheme = target.substr(0, kSchemeMax).find("://");
  if (scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
  } else if (method != "CONNECT") {
    return {};
  }
  target = target.substr(0, target.find_first_of("/?#"));
  const size_t user_end = target.rfind('@');
  return user_end == std::string_view::npos ? target : target.substr(user_end + 1);
}

// RFC 3986 section 3.2: only an address in brackets has other colons than that of the port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == std::string_view::npos ? host : host.substr(0, end + 1);
  }
  const size_t colon = host.rfind(':');
  if (colon == std::string_view::npos || host.find(':') != colon) return host;
  const std::string_view port = host.substr(colon + 1);
  return std::all_of(port.begin(), port.end(), is_digit) ? host.substr(0, colon) : host;
}

// False: there is no room.
bool append(HostLabel& label, std::string_view text) {
  if (text.size() > kHostLabelMax - label.size) return false;
  std::copy(text.begin(), text.end(), label.bytes.begin() + label.size);
  label.size = static_cast<uint8_t>(label.size + text.size());
  return true;
}

}  // namespace

std::string_view host_of_request(std::string_view method, std::string_view target,
                                 std::string_view host_header) {
  return without_port(host_header.empty() ? authority_of(method, target) : host_header);
}

HostLabel host_label(std::string_view host) {
  HostLabel label;
  if (host.empty()) append(label, kNoHost);
  while (!host.empty()) {
    const char c = host.front();
    if (c >= ' ' && c < '\x7f') {
      const char lower = ascii_lower(c);
      if (!append(label, {&lower, 1})) break;
      host.remove_prefix(1);
      continue;
    }
    constexpr size_t kCharacterMax = 4;
    const bool is_ascii_control = (static_cast<uint8_t>(c) & 0x80) == 0;
    const size_t size = is_ascii_control ? 0 : first_character(host.substr(0, kCharacterMax)).size;
    if (!append(label, size == 0 ? kReplacement : host.substr(0, size))) break;
    host.remove_prefix(std::max<size_t>(size, 1));
  }
  return label;
}

}  // namespace tcp_sniffer
