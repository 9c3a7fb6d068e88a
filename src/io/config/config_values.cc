#include "io/config/config_values.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>
#include <system_error>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/text_encoding.h"
#include "core/field/fields.h"
#include "core/metrics/routes.h"
#include "core/redaction/patterns.h"
#include "io/base/kafka_target.h"
#include "io/base/printable.h"
#include "io/config/value_text.h"

namespace tcp_sniffer {
namespace {

using nlohmann::json;
using Fault = std::optional<std::string>;

constexpr double kExactIntegersMax = 9007199254740992.0;  // 2^53

std::string shown(const json& value) {
  switch (value.type()) {
    case json::value_t::array:
      return value.empty() ? "an empty list" : "a list";
    case json::value_t::object:
      return "an object";
    case json::value_t::string:
      return quote_text(value.get_ref<const std::string&>());
    default:
      return value.dump();
  }
}

std::string fault(const KeySpec& key, const std::string& value, std::string_view problem) {
  std::string out = value;
  out.append(" ").append(problem).append("; allowed: ").append(allowed_text(key));
  return out;
}

std::string join(std::span<const std::string_view> words) {
  std::string out;
  for (const std::string_view word : words) {
    if (!out.empty()) out += ", ";
    out += word;
  }
  return out;
}

std::string range_text(const KeySpec& key) {
  return "from " + std::to_string(key.minimum) + " to " + std::to_string(key.maximum);
}

// A whole number in the key's range. JSON has one type of number: 1e3 and 80.0 are whole.
Fault read_number(const KeySpec& key, const json& value, uint64_t& out) {
  uint64_t number = 0;
  if (value.is_number_unsigned()) {
    number = value.get<uint64_t>();
  } else if (value.is_number_integer()) {
    if (value.get<int64_t>() < 0) return fault(key, shown(value), "is out of range");
    number = value.get<uint64_t>();
  } else if (value.is_number_float()) {
    const double real = value.get<double>();
    if (std::floor(real) != real) return fault(key, shown(value), "is not a whole number");
    if (real < 0 || real > kExactIntegersMax) {
      return fault(key, shown(value), "is out of range");
    }
    number = static_cast<uint64_t>(real);
  } else if (key.unit == Unit::kBytes && value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    const auto size = parse_size(text);
    // A size as a text is for its unit's sake; "80" is a number of the wrong type.
    if (!size || is_digit(text.back())) {
      return fault(key, shown(value), "is not a size");
    }
    number = *size;
  } else {
    return fault(key, shown(value),
                 key.unit == Unit::kMilliseconds ? "is not a duration" : "is not a whole number");
  }
  if (number < key.minimum || number > key.maximum) {
    return fault(key, shown(value), "is out of range");
  }
  out = number;
  return {};
}

Fault read_ratio(const KeySpec& key, const json& value, double& out) {
  if (!value.is_number()) return fault(key, shown(value), "is not a number");
  const double number = value.get<double>();
  if (!(number >= static_cast<double>(key.minimum) && number <= static_cast<double>(key.maximum))) {
    return fault(key, shown(value), "is out of range");
  }
  out = number;
  return {};
}

Fault read_word(const KeySpec& key, const json& value, size_t& out) {
  if (!value.is_string()) return fault(key, shown(value), "is not one of the words");
  const auto& text = value.get_ref<const std::string&>();
  const auto found = std::find(key.words.begin(), key.words.end(), text);
  if (found == key.words.end()) return fault(key, shown(value), "is not one of the words");
  out = static_cast<size_t>(found - key.words.begin());
  return {};
}

// ADDRESS:PORT with a port from 1 to 65535; the address is what stands before the last colon, an
// IPv6 one in brackets. A port alone becomes 127.0.0.1:PORT.
bool complete_listener(std::string& text) {
  const size_t colon = text.rfind(':');
  std::string_view port = text;
  if (colon != std::string::npos) port.remove_prefix(colon + 1);
  uint32_t number = 0;
  const auto end = port.data() + port.size();
  const auto [stop, error] = std::from_chars(port.data(), end, number);
  if (error != std::errc() || stop != end || number < 1 || number > 65535) return false;
  if (colon == std::string::npos || colon == 0) {
    text = "127.0.0.1:" + std::to_string(number);
    return true;
  }
  const std::string_view address = std::string_view(text).substr(0, colon);
  const bool bracketed = address.size() > 2 && address.front() == '[' && address.back() == ']';
  return bracketed || address.find_first_of("[]:") == std::string_view::npos;
}

// The text may be a secret, which no error shows.
Fault read_property(const KeySpec& key, const json& value, std::string& out) {
  if (!value.is_string()) return fault(key, "an element", "is not NAME=VALUE");
  out = value.get<std::string>();
  KafkaProperty property;
  std::string wrong = read_kafka_property(out, false, property);
  if (out.find('\0') != std::string::npos || !is_utf8(out)) wrong = "is not valid UTF-8";
  if (wrong.empty()) return {};
  return wrong + "; allowed: " + allowed_text(key);
}

Fault read_text(const KeySpec& key, const json& value, std::string& out) {
  if (key.text_kind == TextKind::kProperty) return read_property(key, value, out);
  if (!value.is_string()) return fault(key, shown(value), "is not a string");
  std::string text = value.get<std::string>();
  if (text.find('\0') != std::string::npos) return fault(key, shown(value), "contains U+0000");
  if (key.text_kind != TextKind::kPath && !is_utf8(text)) {
    return fault(key, shown(value), "is not valid UTF-8");
  }
  if (key.text_kind != TextKind::kText && text.empty()) {
    return fault(key, shown(value), "is empty");
  }
  if (key.text_kind == TextKind::kHeaderName) {
    if (!is_token(text)) return fault(key, shown(value), "is not a header name");
    std::transform(text.begin(), text.end(), text.begin(), ascii_lower);
  }
  if (key.text_kind == TextKind::kListener && !complete_listener(text)) {
    return fault(key, shown(value), "is not an address and port");
  }
  if (key.text_kind == TextKind::kPattern) {
    const std::string wrong = Patterns::fault_of(text);
    if (!wrong.empty()) {
      return fault(key, shown(value), "is not a regular expression: " + printable(wrong));
    }
  }
  if (key.text_kind == TextKind::kRoute) {
    const std::string wrong = Routes::fault_of(text);
    if (!wrong.empty()) return fault(key, shown(value), "is no pattern of paths: " + wrong);
  }
  if (key.text_kind == TextKind::kField) {
    const auto field = parse_field(text);
    if (const auto* problem = std::get_if<std::string>(&field)) return *problem;
    text = std::get<FieldRef>(field).name;
  }
  out = std::move(text);
  return {};
}

Fault read_item(const KeySpec& key, const json& value, std::string& out) {
  return read_text(key, value, out);
}
Fault read_item(const KeySpec& key, const json& value, uint16_t& out) {
  uint64_t number = 0;
  if (auto wrong = read_number(key, value, number)) return wrong;
  out = static_cast<uint16_t>(number);
  return {};
}
Fault read_item(const KeySpec& key, const json& value, Protocol& out) {
  size_t word = 0;
  if (auto wrong = read_word(key, value, word)) return wrong;
  out = static_cast<Protocol>(word);
  return {};
}

template <typename Item>
Fault read_list(const KeySpec& key, const json& value, std::vector<Item>& out) {
  const bool of_interfaces = key.text_kind == TextKind::kInterface;
  if (of_interfaces && value.is_string()) return read_list(key, json::array({value}), out);
  const bool of_properties = key.text_kind == TextKind::kProperty;
  if (of_properties && value.is_string()) {
    return read_list(key, json(split_properties(value.get_ref<const std::string&>())), out);
  }
  if (!value.is_array()) {
    return fault(key, of_properties ? "its value" : shown(value),
                 of_interfaces ? "is not a name or a list" : "is not a list");
  }
  // For files, none is not the same as the key left out, and probably a mistake.
  const bool needs_one = key.text_kind == TextKind::kPath || of_interfaces || !key.words.empty();
  if (value.empty() && needs_one) return fault(key, shown(value), "names nothing");
  std::vector<Item> items;
  items.reserve(value.size());
  std::vector<bool> seen(std::is_same_v<Item, uint16_t> ? 65536 : 0);
  for (const json& element : value) {
    Item item{};
    if (auto wrong = read_item(key, element, item)) return wrong;
    if constexpr (std::is_same_v<Item, uint16_t>) {
      if (seen[item]) return fault(key, shown(element), "is given twice");
      seen[item] = true;
    } else if constexpr (std::is_same_v<Item, Protocol>) {
      if (std::find(items.begin(), items.end(), item) != items.end()) {
        return fault(key, shown(element), "is given twice");
      }
    }
    if ((key.text_kind == TextKind::kField || of_interfaces) &&
        std::find(items.begin(), items.end(), item) != items.end()) {
      return fault(key, shown(element), "is given twice");
    }
    items.push_back(std::move(item));
  }
  out = std::move(items);
  return {};
}

}  // namespace

std::optional<std::string> set_value(const KeySpec& key, const nlohmann::json& value,
                                     Config& config) {
  return std::visit(
      [&](auto target) -> Fault {
        using Target = decltype(target);
        if constexpr (std::is_same_v<Target, WordTarget>) {
          size_t word = 0;
          if (auto wrong = read_word(key, value, word)) return wrong;
          target.set(config, word);
          return {};
        } else {
          auto& member = config.*target;
          using Member = std::remove_reference_t<decltype(member)>;
          if constexpr (std::is_same_v<Member, bool>) {
            if (!value.is_boolean()) return fault(key, shown(value), "is not true or false");
            member = value.get<bool>();
            return {};
          } else if constexpr (std::is_same_v<Member, uint64_t>) {
            return read_number(key, value, member);
          } else if constexpr (std::is_same_v<Member, double>) {
            return read_ratio(key, value, member);
          } else if constexpr (std::is_same_v<Member, std::string>) {
            return read_text(key, value, member);
          } else {
            return read_list(key, value, member);
          }
        }
      },
      key.target);
}

nlohmann::json get_value(const KeySpec& key, const Config& config) {
  return std::visit(
      [&](auto target) -> json {
        using Target = decltype(target);
        if constexpr (std::is_same_v<Target, WordTarget>) {
          return std::string(key.words[target.get(config)]);
        } else if constexpr (std::is_same_v<Target, std::vector<Protocol> Config::*>) {
          json list = json::array();
          for (const Protocol item : config.*target) {
            list.push_back(std::string(key.words[static_cast<size_t>(item)]));
          }
          return list;
        } else {
          return config.*target;
        }
      },
      key.target);
}

std::string default_text(const KeySpec& key) {
  if (!key.default_text.empty()) return std::string(key.default_text);
  const json value = get_value(key, Config{});
  if (value.is_array()) {
    std::string out;
    for (const json& item : value) {
      if (!out.empty()) out += ",";
      out += item.is_string() ? item.get<std::string>() : item.dump();
    }
    return out.empty() ? "none" : out;
  }
  if (value.is_string()) {
    const auto& text = value.get_ref<const std::string&>();
    return text.empty() ? "none" : text;
  }
  return value == json(1.0) ? "1" : value.dump();
}

std::string allowed_text(const KeySpec& key) {
  if (is_boolean(key)) return "true or false";
  if (std::holds_alternative<WordTarget>(key.target)) return "one of " + join(key.words);
  if (std::holds_alternative<std::vector<Protocol> Config::*>(key.target)) {
    return "a list of " + join(key.words);
  }
  if (std::holds_alternative<double Config::*>(key.target)) return "a number " + range_text(key);
  if (std::holds_alternative<std::vector<uint16_t> Config::*>(key.target)) {
    return "a list of whole numbers " + range_text(key) + ", none twice";
  }
  if (std::holds_alternative<uint64_t Config::*>(key.target)) {
    if (key.unit == Unit::kBytes) {
      return "whole bytes " + range_text(key) + ", also written as \"64K\", \"1M\", \"2G\"";
    }
    if (key.unit == Unit::kMilliseconds) {
      return "whole milliseconds " + range_text(key) + ", in flags also 500ms, 5s, 2m";
    }
    return "a whole number " + range_text(key);
  }
  std::string_view what;
  switch (key.text_kind) {
    case TextKind::kText:
      what = is_list(key) ? "strings" : "a string";
      break;
    case TextKind::kName:
      what = is_list(key) ? "names that are not empty" : "a name that is not empty";
      break;
    case TextKind::kPath:
      what = is_list(key) ? "paths, at least one, none empty" : "a path that is not empty";
      break;
    case TextKind::kHeaderName:
      what = is_list(key) ? "header names" : "a header name";
      break;
    case TextKind::kPattern:
      what = "regular expressions of RE2, not empty";
      break;
    case TextKind::kField:
      what = "fields that --help-fields lists, none twice";
      break;
    case TextKind::kRoute:
      what = "patterns of paths as /users/{id}, /users/:id or /static/**";
      break;
    case TextKind::kCondition:
      what = "a condition on an exchange";
      break;
    case TextKind::kProperty:
      what = "NAME=VALUE as librdkafka takes them";
      break;
    case TextKind::kListener:
      what = "ADDRESS:PORT or a port, from 1 to 65535";
      break;
    case TextKind::kInterface:
      return "a name that is not empty, or a list of such names, none twice";
  }
  return is_list(key) ? "a list of " + std::string(what) : std::string(what);
}

}  // namespace tcp_sniffer
