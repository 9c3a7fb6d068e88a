#include "core/redaction.h"

#include <algorithm>

#include "core/ascii_case.h"

namespace tcp_sniffer {
namespace {

std::vector<std::string> lower_case(std::vector<std::string> names) {
  for (std::string& name : names) {
    for (char& c : name) c = ascii_lower(c);
  }
  return names;
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char lower = ascii_lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

}  // namespace

Redaction::Redaction(const std::vector<std::string>& headers, const std::vector<std::string>& query)
    : headers_(lower_case(headers)), query_(lower_case(query)) {}

bool Redaction::covers_header(std::string_view name) const {
  return std::any_of(headers_.begin(), headers_.end(), [name](const std::string& header) {
    return equal_ignoring_case(header, name);
  });
}

bool Redaction::covers_parameter(std::string_view encoded_name) {
  name_.clear();
  for (size_t i = 0; i < encoded_name.size(); ++i) {
    char c = encoded_name[i];
    if (c == '%' && encoded_name.size() - i > 2) {
      const int high = hex_digit(encoded_name[i + 1]);
      const int low = hex_digit(encoded_name[i + 2]);
      if (high >= 0 && low >= 0) {
        c = static_cast<char>(high * 16 + low);
        i += 2;
      }
    } else if (c == '+') {
      c = ' ';
    }
    name_.push_back(ascii_lower(c));
  }
  return std::find(query_.begin(), query_.end(), name_) != query_.end();
}

std::string_view Redaction::redact_target(std::string_view target) {
  const size_t query = query_.empty() ? std::string_view::npos : target.find('?');
  if (query == std::string_view::npos) return target;
  target_.assign(target.substr(0, query + 1));
  bool found = false;
  size_t at = query + 1;
  while (at < target.size()) {
    const size_t name_end = std::min(target.find_first_of("=&;?", at), target.size());
    size_t next = name_end;
    if (name_end < target.size() && target[name_end] == '=') {
      if (covers_parameter(target.substr(at, name_end - at))) {
        found = true;
        target_.append(target.substr(at, name_end + 1 - at)).append(kRedacted);
        at = name_end + 1;
        next = std::min(target.find('&', at), target.size());
        target_.append(target.substr(next, 1));
        at = next + 1;
        continue;
      }
      next = std::min(target.find_first_of("&;?", name_end), target.size());
    }
    target_.append(target.substr(at, next + 1 - at));
    at = next + 1;
  }
  return found ? std::string_view(target_) : target;
}

}  // namespace tcp_sniffer
