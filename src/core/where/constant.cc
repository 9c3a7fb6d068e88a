#include "core/where/constant.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <string>
#include <system_error>
#include <utility>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

std::optional<int64_t> number_of(std::string_view digits) {
  int64_t number = 0;
  const char* end = digits.data() + digits.size();
  if (digits.empty() || !std::all_of(digits.begin(), digits.end(), is_digit)) return {};
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  if (error != std::errc() || stop != end) return {};
  return number;
}

// digits[.digits] times the unit, when that is a whole number.
std::optional<int64_t> scaled(std::string_view decimal, int64_t unit) {
  const size_t point = decimal.find('.');
  const std::optional<int64_t> whole = number_of(decimal.substr(0, point));
  int64_t result = 0;
  if (!whole || __builtin_mul_overflow(*whole, unit, &result)) return {};
  if (point == std::string_view::npos) return result;
  const std::string_view decimals = decimal.substr(point + 1);
  constexpr size_t kDecimalsMax = 18;
  if (decimals.empty() || decimals.size() > kDecimalsMax) return {};
  // Digit by digit: the unit may not be a power of ten.
  int64_t rest = unit;
  int64_t divisor = 1;
  int64_t numerator = 0;
  for (const char c : decimals) {
    if (!is_digit(c)) return {};
    if (__builtin_mul_overflow(numerator, int64_t{10}, &numerator) ||
        __builtin_mul_overflow(divisor, int64_t{10}, &divisor)) {
      return {};
    }
    numerator += c - '0';
  }
  while (divisor > 1 && rest % 2 == 0 && divisor % 2 == 0) {
    rest /= 2;
    divisor /= 2;
  }
  while (divisor > 1 && rest % 5 == 0 && divisor % 5 == 0) {
    rest /= 5;
    divisor /= 5;
  }
  int64_t part = 0;
  if (numerator % divisor != 0 || __builtin_mul_overflow(numerator / divisor, rest, &part) ||
      __builtin_add_overflow(result, part, &result)) {
    return {};
  }
  return result;
}

std::string_view decimal_at(std::string_view text) {
  const size_t size = std::min(text.find_first_not_of("0123456789."), text.size());
  return text.substr(0, size);
}

// Days from 1970-01-01, for years from 1970 on (proleptic Gregorian).
int64_t days_from_1970(int64_t year, int64_t month, int64_t day) {
  const int64_t shifted = month <= 2 ? year - 1 : year;
  const int64_t era = shifted / 400;
  const int64_t of_era = shifted - era * 400;
  const int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
  return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

// Takes a number of that many digits, and the sign after it if it is not '\0'.
std::optional<int64_t> take(std::string_view& text, size_t digits, char sign) {
  if (text.size() < digits + (sign == '\0' ? 0 : 1)) return {};
  const auto number = number_of(text.substr(0, digits));
  text.remove_prefix(digits);
  if (sign == '\0') return number;
  if (text[0] != sign) return {};
  text.remove_prefix(1);
  return number;
}

}  // namespace

std::optional<int64_t> parse_count(std::string_view text) {
  const std::string_view decimal = decimal_at(text);
  std::string unit;
  for (const char c : text.substr(decimal.size())) unit += ascii_lower(c);
  constexpr std::string_view kUnits[] = {"", "k", "m", "g", "t"};
  for (size_t i = 0; i < std::size(kUnits); ++i) {
    const std::string name(kUnits[i]);
    if (unit == name || (i > 0 && unit == name + "ib")) {
      return scaled(decimal, int64_t{1} << (10 * i));
    }
  }
  return {};
}

std::optional<int64_t> parse_duration(std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const std::string_view decimal = decimal_at(text);
  const std::string_view unit = text.substr(decimal.size());
  constexpr std::pair<std::string_view, int64_t> kUnits[] = {
      {"", 1'000'000},          {"ms", 1'000'000},     {"us", 1'000},
      {"s", 1'000'000'000},     {"m", 60'000'000'000}, {"min", 60'000'000'000},
      {"h", 3'600'000'000'000},
  };
  for (const auto& [name, ns] : kUnits) {
    if (unit != name) continue;
    const auto value = scaled(decimal, ns);
    return value && negative ? -*value : value;
  }
  return {};
}

std::optional<int64_t> parse_time(std::string_view text) {
  const auto year = take(text, 4, '-');
  const auto month = take(text, 2, '-');
  const auto day = take(text, 2, '\0');
  constexpr int64_t kYearMin = 1970;
  constexpr int64_t kYearMax = 2261;  // the last whole one that 64 bits of ns hold
  if (!year || !month || !day || *year < kYearMin || *year > kYearMax || *month < 1 ||
      *month > 12 || *day < 1 || *day > 31) {
    return {};
  }
  int64_t seconds = days_from_1970(*year, *month, *day) * 86400;
  int64_t ns = 0;
  if (text.starts_with('T') || text.starts_with(' ')) {
    text.remove_prefix(1);
    const auto hour = take(text, 2, ':');
    const auto minute = take(text, 2, ':');
    const auto second = take(text, 2, '\0');
    if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return {};
    seconds += *hour * 3600 + *minute * 60 + *second;
    if (text.starts_with('.')) {
      const std::string_view decimal = decimal_at(text.substr(1));
      const auto part = scaled("0." + std::string(decimal), 1'000'000'000);
      if (!part) return {};
      ns = *part;
      text.remove_prefix(1 + decimal.size());
    }
    if (text.starts_with('Z')) text.remove_prefix(1);
  }
  if (!text.empty()) return {};
  return seconds * 1'000'000'000 + ns;
}

bool Network::holds(const IpAddress& address) const {
  constexpr uint32_t kV4PrefixBits = 96;
  if (bits < kV4PrefixBits && is_v4_mapped(address)) return false;
  const size_t bytes = bits / 8;
  if (!std::equal(ip.begin(), ip.begin() + static_cast<ptrdiff_t>(bytes), address.begin())) {
    return false;
  }
  const uint32_t rest = bits % 8;
  return rest == 0 || (ip[bytes] ^ address[bytes]) >> (8 - rest) == 0;
}

std::optional<Network> parse_network(std::string_view text) {
  const size_t slash = text.find('/');
  const std::string address(text.substr(0, slash));
  Network network;
  const bool v4 = address.find(':') == std::string::npos;
  if (v4) network.ip = kV4MappedPrefix;
  if (inet_pton(v4 ? AF_INET : AF_INET6, address.c_str(), network.ip.data() + (v4 ? 12 : 0)) != 1) {
    return {};
  }
  if (slash == std::string_view::npos) return network;
  const auto bits = number_of(text.substr(slash + 1));
  const int64_t bits_max = v4 ? 32 : 128;
  if (!bits || *bits > bits_max) return {};
  network.bits = static_cast<uint32_t>(*bits + 128 - bits_max);
  return network;
}

}  // namespace tcp_sniffer
