#include "io/config/config_parse.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "core/base/closest_name.h"
#include "io/base/printable.h"
#include "io/config/config_values.h"

namespace tcp_sniffer {
namespace {

using nlohmann::json;

std::string unknown_key(const std::string& name, const json& value) {
  std::string out = "unknown key " + quote_text(name);
  if (value.is_primitive()) {
    out += " with the value ";
    out += value.is_string() ? quote_text(value.get_ref<const std::string&>()) : value.dump();
  }
  std::vector<std::string_view> names;
  for (const KeySpec& key : config_keys()) names.push_back(key.name);
  const std::string_view meant = closest_name(name, names);
  if (!meant.empty()) return out + "; did you mean \"" + std::string(meant) + "\"?";
  return out + "; allowed: the keys that --help lists, in camelCase";
}

// The parser's own words without its error number: "[json.exception...] parse error at line ...".
std::string parser_words(const json::exception& exception) {
  std::string_view words = exception.what();
  const size_t bracket = words.find("] ");
  if (bracket != std::string_view::npos) words.remove_prefix(bracket + 2);
  return printable(words);
}

// Parses to a JSON value, and finds the first key that the outermost object has twice: the parser
// keeps only the last one.
json parse_noting_repeats(std::string_view text, std::string& repeated) {
  std::set<std::string> seen;
  const auto note = [&](int depth, json::parse_event_t event, json& parsed) {
    if (event == json::parse_event_t::key && depth == 1 && repeated.empty()) {
      auto name = parsed.get<std::string>();
      if (!seen.insert(name).second) repeated = name;
    }
    return true;
  };
  return json::parse(text, note);
}

bool append_from(int fd, size_t size, std::string& text, ssize_t& got) {
  char buffer[4096];
  do {
    got = ::read(fd, buffer, std::min(size, sizeof buffer));
  } while (got < 0 && errno == EINTR);
  if (got > 0) text.append(buffer, static_cast<size_t>(got));
  return got > 0;
}

Problem too_long() {
  return error("config: the configuration is longer than " + std::to_string(kConfigTextMax) +
               " bytes");
}

std::optional<Problem> read_line(int fd, std::string& text) {
  // Byte by byte, because what follows the line is not for this program.
  ssize_t got = 0;
  while (append_from(fd, 1, text, got)) {
    if (text.back() == '\n') {
      text.pop_back();
      return {};
    }
    if (text.size() > kConfigTextMax) return too_long();
  }
  if (got < 0) {
    return error(std::string("config: cannot read standard input: ") + std::strerror(errno));
  }
  if (text.empty()) {
    return error(
        "config: standard input ended before a line came; --config - takes one line "
        "with a JSON object");
  }
  return {};
}

std::optional<Problem> read_file(const std::string& path, std::string& text) {
  const auto failed = [&] {
    return error("config: cannot read " + quote_text(path, 512) + ": " + std::strerror(errno));
  };
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return failed();
  std::optional<Problem> result;
  ssize_t got = 0;
  while (!result && append_from(fd, kConfigTextMax, text, got)) {
    if (text.size() > kConfigTextMax) result = too_long();
  }
  if (got < 0) result = failed();
  ::close(fd);
  return result;
}

}  // namespace

std::optional<Problem> parse_config_json(std::string_view text, Config& config) {
  json object;
  std::string repeated;
  try {
    object = parse_noting_repeats(text, repeated);
  } catch (const json::exception& exception) {
    return error("config: not valid JSON: " + parser_words(exception));
  }
  if (!object.is_object()) {
    return error(std::string("config: ") + object.type_name() +
                 " where a JSON object is expected; for example {\"ports\": [80]}");
  }
  if (!repeated.empty()) {
    return error(quote_text(repeated) + " is given twice; allowed: each key once");
  }
  for (const auto& [name, value] : object.items()) {
    const KeySpec* key = find_key(name);
    if (key == nullptr) return error(unknown_key(name, value));
    if (const auto fault = set_value(*key, value, config)) {
      return error(std::string(key->name) + ": " + *fault);
    }
    config.given.set(key_index(name));
  }
  return {};
}

std::optional<Problem> read_config_text(const std::string& path, int standard_input,
                                        std::string& text) {
  text.clear();
  return path == "-" ? read_line(standard_input, text) : read_file(path, text);
}

}  // namespace tcp_sniffer
