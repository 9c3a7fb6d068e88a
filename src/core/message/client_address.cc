#include "core/message/client_address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

// 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1], [2001:db8::1]:80, with quotes around or not.
std::optional<IpAddress> read_address(std::string_view text) {
  text = without_space(text);
  if (text.size() >= 2 && text.front() == '"' && text.back() == '"') {
    text = without_space(text.substr(1, text.size() - 2));
  }
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == kNotFound || (end + 1 < text.size() && text[end + 1] != ':')) return {};
    text = text.substr(1, end - 1);
  } else if (std::count(text.begin(), text.end(), ':') == 1) {
    text = text.substr(0, text.find(':'));
  }
  std::array<char, INET6_ADDRSTRLEN> terminated{};
  if (text.size() >= terminated.size() || text.find('\0') != kNotFound) return {};
  text.copy(terminated.data(), text.size());
  IpAddress ip = kV4MappedPrefix;
  if (inet_pton(AF_INET, terminated.data(), ip.data() + 12) == 1) return ip;
  if (inet_pton(AF_INET6, terminated.data(), ip.data()) == 1) return ip;
  return {};
}

// Where the last piece of `text` begins that `separator` ends; what is in quotes counts as text.
size_t last_piece(std::string_view text, char separator) {
  size_t begin = 0;
  bool quoted = false;
  for (size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && quoted) {
      ++at;
    } else if (text[at] == '"') {
      quoted = !quoted;
    } else if (text[at] == separator && !quoted) {
      begin = at + 1;
    }
  }
  return begin;
}

// Of one element of Forwarded (RFC 7239 section 4), what stands after `for=`.
std::string_view forwarded_for(std::string_view element) {
  while (!element.empty()) {
    const size_t begin = last_piece(element, ';');
    const std::string_view pair = without_space(element.substr(begin));
    const size_t equals = pair.find('=');
    if (equals != kNotFound && equal_ignoring_case(without_space(pair.substr(0, equals)), "for")) {
      return pair.substr(equals + 1);
    }
    element = element.substr(0, begin > 0 ? begin - 1 : 0);
  }
  return {};
}

// The lists of all fields of this name are one list.
class AddressList {
 public:
  AddressList(std::span<const HeaderField> headers, std::string_view name)
      : headers_(headers), name_(name), is_forwarded_(equal_ignoring_case(name, "forwarded")) {}

  std::optional<IpAddress> from_the_right(uint32_t place) {
    std::optional<IpAddress> found;
    std::string_view element;
    for (uint32_t passed = 0; passed < place && take_last(element); ++passed) {
      const auto address = read_address(is_forwarded_ ? forwarded_for(element) : element);
      if (address) found = address;
    }
    return found;
  }

 private:
  bool take_last(std::string_view& element) {
    while (!in_field_) {
      if (headers_.empty()) return false;
      const HeaderField& field = headers_.back();
      headers_ = headers_.first(headers_.size() - 1);
      if (!equal_ignoring_case(field.name, name_)) continue;
      rest_ = field.value;
      in_field_ = true;
    }
    const size_t begin = last_piece(rest_, ',');
    element = rest_.substr(begin);
    in_field_ = begin > 0;
    rest_ = rest_.substr(0, in_field_ ? begin - 1 : 0);
    return true;
  }

  std::span<const HeaderField> headers_;
  std::string_view name_;
  const bool is_forwarded_;
  std::string_view rest_;
  bool in_field_ = false;
};

}  // namespace

std::optional<IpAddress> forwarded_client(const ClientRules& rules,
                                          std::span<const HeaderField> headers) {
  const auto read = [&](std::string_view name) {
    return AddressList(headers, name).from_the_right(rules.trusted_proxies);
  };
  if (rules.reads_header) return read(rules.header);
  std::optional<IpAddress> client;
  if (rules.reads_forwarded) client = read("forwarded");
  if (!client && rules.reads_x_forwarded_for) client = read("x-forwarded-for");
  return client;
}

}  // namespace tcp_sniffer
