#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

// Messages that were written in parts (partialAfterMs), put together again.
namespace tcp_sniffer {

// The bytes of a body that was written with `binaryBody: base64`.
inline std::string body_bytes(const nlohmann::json& line) {
  const std::string text = line.value("body", "");
  if (line.value("bodyEncoding", "") != "base64") return text;
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char c : text) {
    const auto digit =
        std::string_view("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
            .find(c);
    if (digit == std::string_view::npos) break;
    bits = bits << 6 | static_cast<uint32_t>(digit);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

// The messages of these lines, sorted, as text: parts joined, each body as its bytes. So it is the
// same for a message that was written whole and for one that came in parts.
inline std::vector<std::string> joined_messages(const std::vector<nlohmann::json>& lines) {
  using nlohmann::json;
  struct Joined {
    json message;
    std::string bytes;
    json gaps = json::array();
  };
  std::map<std::string, Joined> open;  // by connection and direction
  std::vector<std::string> messages;
  const auto finish = [&](Joined& joined) {
    std::string digits;
    for (const char c : joined.bytes) {
      digits += "0123456789abcdef"[static_cast<uint8_t>(c) >> 4];
      digits += "0123456789abcdef"[c & 15];
    }
    for (const char* own : {"part", "lastPart", "body", "bodyEncoding", "bodyGaps"}) {
      joined.message.erase(own);
    }
    joined.message["bytes"] = digits;
    joined.message["gaps"] = joined.gaps;
    messages.push_back(joined.message.dump());
  };
  for (const json& line : lines) {
    const std::string key = line.value("connectionId", "") + " " + line.value("direction", "");
    const uint64_t part = line.value("part", uint64_t{0});
    Joined whole;
    Joined& joined = part == 0 ? whole : open[key];
    if (part > 1) {
      EXPECT_EQ(joined.message.value("part", uint64_t{0}) + 1, part) << line.dump();
      EXPECT_FALSE(line.contains("headers")) << line.dump();
      EXPECT_EQ(line["timestamp"], joined.message["timestamp"]);
      EXPECT_EQ(line.value("exchange", 0), joined.message.value("exchange", 0));
    } else {
      EXPECT_TRUE(joined.message.empty()) << line.dump();
    }
    joined.message.update(line);
    joined.bytes += body_bytes(line);
    for (const json& gap : line.value("bodyGaps", json::array())) joined.gaps.push_back(gap);
    if (part > 0 && !line.contains("lastPart")) {
      EXPECT_FALSE(line.contains("incomplete")) << line.dump();
      if (!line.contains("bodyGaps") && joined.gaps.empty()) {
        EXPECT_EQ(line["bodySize"], joined.bytes.size()) << line.dump();
      }
      continue;
    }
    finish(joined);
    if (part > 0) open.erase(key);
  }
  EXPECT_TRUE(open.empty()) << "a message without a last part";
  std::sort(messages.begin(), messages.end());
  return messages;
}

}  // namespace tcp_sniffer
