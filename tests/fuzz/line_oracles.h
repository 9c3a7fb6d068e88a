#pragma once

#include <gtest/gtest.h>
#include <simdjson.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

// What every list of lines must keep, whatever was on the wire.
namespace tcp_sniffer::fuzz {

// A line, taken apart.
struct ReadLine {
  std::string connection;
  bool is_request = false;
  bool has_exchange = false;
  uint64_t exchange = 0;
  uint64_t status = 0;
  bool incomplete = false;
  bool after_gap = false;
  bool has_body = false;  // as text
  std::string body;
  uint64_t body_size = 0;
  bool truncated = false;
  bool chunked = false;
  std::string text;  // the whole line
};

inline std::string string_of(const simdjson::dom::element& object, const char* name) {
  std::string_view value;
  return object[name].get(value) == simdjson::SUCCESS ? std::string(value) : std::string();
}

inline uint64_t number_of(const simdjson::dom::element& object, const char* name) {
  uint64_t value = 0;
  return object[name].get(value) == simdjson::SUCCESS ? value : 0;
}

inline bool has(const simdjson::dom::element& object, const char* name) {
  return object[name].error() == simdjson::SUCCESS;
}

// Checks that the line is one JSON object in UTF-8 without a control character.
inline ReadLine read_line(const std::string& text) {
  static simdjson::dom::parser parser;
  ReadLine line;
  line.text = text;
  const bool has_control =
      std::any_of(text.begin(), text.end(), [](char c) { return static_cast<uint8_t>(c) < 0x20; });
  EXPECT_FALSE(has_control) << text;
  EXPECT_TRUE(simdjson::validate_utf8(text)) << text;
  simdjson::dom::element object;
  const simdjson::error_code error = parser.parse(text).get(object);
  EXPECT_EQ(error, simdjson::SUCCESS) << text;
  if (error != simdjson::SUCCESS) return line;
  EXPECT_TRUE(object.is_object()) << text;
  line.connection = string_of(object, "connectionId");
  EXPECT_EQ(line.connection.size(), 16u) << text;
  const std::string direction = string_of(object, "direction");
  EXPECT_TRUE(direction == "request" || direction == "response") << text;
  line.is_request = direction == "request";
  line.has_exchange = has(object, "exchange");
  line.exchange = number_of(object, "exchange");
  line.status = number_of(object, "statusCode");
  line.incomplete = has(object, "incomplete");
  line.after_gap = has(object, "afterGap");
  line.has_body = has(object, "body") && !has(object, "bodyEncoding");
  line.body = string_of(object, "body");
  line.body_size = number_of(object, "bodySize");
  line.truncated = has(object, "bodyTruncated");
  line.chunked = text.find("transfer-encoding") != std::string::npos;
  return line;
}

inline std::vector<ReadLine> read_lines(const std::vector<std::string>& texts) {
  std::vector<ReadLine> lines;
  for (const std::string& text : texts) lines.push_back(read_line(text));
  return lines;
}

// A request comes before its responses; no number is given twice; an exchange has one final
// response.
inline void expect_order_and_pairing(const std::vector<ReadLine>& lines) {
  std::set<std::pair<std::string, uint64_t>> requests;
  std::set<std::pair<std::string, uint64_t>> answered;
  for (const ReadLine& line : lines) {
    const std::pair exchange(line.connection, line.exchange);
    if (line.is_request) {
      EXPECT_TRUE(line.has_exchange) << line.text;
      EXPECT_TRUE(requests.insert(exchange).second) << "twice: " << line.text;
    } else if (line.has_exchange) {
      EXPECT_TRUE(requests.contains(exchange)) << "before its request: " << line.text;
      const bool is_interim = line.status >= 100 && line.status < 200 && line.status != 101;
      EXPECT_FALSE(answered.contains(exchange)) << "answered before: " << line.text;
      if (!is_interim) answered.insert(exchange);
    }
  }
}

// The lines of each connection in their order; across connections there is none.
inline std::map<std::string, std::vector<std::string>> by_connection(
    const std::vector<ReadLine>& lines) {
  std::map<std::string, std::vector<std::string>> grouped;
  for (const ReadLine& line : lines) grouped[line.connection].push_back(line.text);
  return grouped;
}

inline void expect_same_lines(const std::vector<ReadLine>& lines,
                              const std::vector<ReadLine>& others, const char* how) {
  const auto left = by_connection(lines);
  const auto right = by_connection(others);
  EXPECT_EQ(lines.size(), others.size()) << how;
  for (const auto& [connection, texts] : left) {
    const auto found = right.find(connection);
    ASSERT_NE(found, right.end()) << how << ": only once: " << texts.front();
    ASSERT_EQ(texts, found->second) << how;
  }
}

}  // namespace tcp_sniffer::fuzz
