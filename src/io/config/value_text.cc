#include "io/config/value_text.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

using nlohmann::json;

// A number of digits only, times a factor; the greatest number instead of an overflow.
std::optional<uint64_t> parse_scaled(std::string_view digits, uint64_t factor) {
  constexpr uint64_t kGreatest = std::numeric_limits<uint64_t>::max();
  uint64_t number = 0;
  const auto end = digits.data() + digits.size();
  const auto [stop, error] = std::from_chars(digits.data(), end, number);
  if (digits.empty() || stop != end || error == std::errc::invalid_argument) return {};
  if (error == std::errc::result_out_of_range || number > kGreatest / factor) return kGreatest;
  return number * factor;
}

std::string_view leading_digits(std::string_view text) {
  return text.substr(0, std::min(text.find_first_not_of("0123456789"), text.size()));
}

// The number at the text as a JSON number, or nothing.
std::optional<json> parse_json_number(std::string_view text) {
  const bool begins_well = !text.empty() && (text[0] == '-' || is_digit(text[0]));
  if (!begins_well) return {};
  json value = json::parse(text, nullptr, false);
  if (value.is_number()) return value;
  return {};
}

}  // namespace

std::vector<std::string> split_properties(std::string_view text) {
  std::vector<std::string> items;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t comma = std::min(text.find(',', begin), text.size());
    const std::string item(text.substr(begin, comma - begin));
    if (!items.empty() && item.find('=') == std::string::npos) {
      items.back() += "," + item;
    } else {
      items.push_back(item);
    }
    begin = comma + 1;
  }
  return items;
}

std::optional<uint64_t> parse_size(std::string_view text) {
  const std::string_view digits = leading_digits(text);
  std::string unit(text.substr(digits.size()));
  std::transform(unit.begin(), unit.end(), unit.begin(), [](char c) {
    return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
  });
  constexpr std::string_view kUnits[] = {"", "K", "M", "G", "T"};
  for (size_t i = 0; i < std::size(kUnits); ++i) {
    if (unit == kUnits[i] || (i > 0 && unit == std::string(kUnits[i]) + "IB")) {
      return parse_scaled(digits, uint64_t{1} << (10 * i));
    }
  }
  return {};
}

std::optional<uint64_t> parse_duration_ms(std::string_view text) {
  const std::string_view digits = leading_digits(text);
  const std::string_view unit = text.substr(digits.size());
  if (unit.empty() || unit == "ms") return parse_scaled(digits, 1);
  if (unit == "s") return parse_scaled(digits, 1000);
  if (unit == "m" || unit == "min") return parse_scaled(digits, 60000);
  if (unit == "h") return parse_scaled(digits, 3600000);
  return {};
}

nlohmann::json value_from_text(const KeySpec& key, std::string_view text) {
  if (is_boolean(key)) {
    if (text == "true" || text == "false") return text == "true";
  } else if (std::holds_alternative<uint64_t Config::*>(key.target)) {
    if (key.unit == Unit::kMilliseconds) {
      if (const auto time = parse_duration_ms(text)) return *time;
    }
    if (key.unit == Unit::kBytes) {
      // A size out of range stays text: "99999G" tells more than the number.
      const auto size = parse_size(text);
      if (size && *size >= key.minimum && *size <= key.maximum) return *size;
    }
    if (auto plain = parse_json_number(text)) return *plain;
  } else if (std::holds_alternative<double Config::*>(key.target) ||
             std::holds_alternative<std::vector<uint16_t> Config::*>(key.target)) {
    if (auto number = parse_json_number(text)) return *number;
  }
  return std::string(text);
}

}  // namespace tcp_sniffer
