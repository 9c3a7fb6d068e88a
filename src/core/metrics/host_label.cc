#include "core/metrics/host_label.h"

#include <algorithm>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/text_encoding.h"

namespace tcp_sniffer {

namespace {

constexpr std::string_view kReplacement = "\xef\xbf\xbd";  // U+FFFD
constexpr std::string_view kNoHost = "none";

bool is_port(std::string_view text) {
  return std::all_of(text.begin(), text.end(), is_digit);
}

// Host and port of what stands where an authority does. A user and password are no part of a label,
// and what follows an authority in a target is none either.
std::string_view without_user(std::string_view text) {
  const std::string_view authority = text.substr(0, text.find_first_of("/?#"));
  size_t user_end = authority.rfind('@');
  if (user_end != kNotFound) return authority.substr(user_end + 1);
  const size_t bracket = authority.rfind(']');
  const size_t colon = authority.rfind(':');
  const bool is_of_address = bracket != kNotFound && colon < bracket;
  if (colon == kNotFound || is_of_address || is_port(authority.substr(colon + 1))) return authority;
  user_end = text.rfind('@');  // the password has a '/'
  return user_end == kNotFound ? authority : without_user(text.substr(user_end + 1));
}

// Of the absolute form and of the authority form, which only CONNECT has.
std::string_view authority_of(std::string_view method, std::string_view target) {
  if (target.starts_with('/')) return {};
  constexpr size_t kSchemeMax = 16;
  const size_t scheme = target.substr(0, kSchemeMax).find("://");
  if (scheme != kNotFound) return target.substr(scheme + 3);
  return method == "CONNECT" ? target : std::string_view();
}

// RFC 3986 section 3.2: only an address in brackets has other colons than that of the port.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    const size_t end = host.find(']');
    return end == kNotFound ? host : host.substr(0, end + 1);
  }
  const size_t colon = host.rfind(':');
  if (colon == kNotFound || host.find(':') != colon) return host;
  return is_port(host.substr(colon + 1)) ? host.substr(0, colon) : host;
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
  return without_port(
      without_user(host_header.empty() ? authority_of(method, target) : host_header));
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
