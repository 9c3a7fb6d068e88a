#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "core/line/message_line.h"
#include "support/endpoints.h"

// A request and a response, and the lines that a MessageLineWriter makes of them.
namespace tcp_sniffer::written_line {

using Json = nlohmann::json;

constexpr int64_t kNoon = 1740139200000000000;  // 2025-02-21T12:00:00Z

inline Message request() {
  Message message;
  message.method = "GET";
  message.target = "/index.html?q=1";
  message.receiver = ip4(192, 0, 2, 10, 80);
  message.destination = ip4(198, 51, 100, 7, 51234);
  message.connection_id = 0x0123456789abcdef;
  message.exchange = 0;
  message.first_byte_ns = kNoon;
  message.last_byte_ns = kNoon;
  return message;
}

inline Message response() {
  Message message = request();
  message.direction = MessageDirection::kResponse;
  message.method = {};
  message.target = {};
  message.status = 200;
  message.reason = "OK";
  return message;
}

inline std::string line_of(const Message& message, const LineOptions& options = {},
                           const EscapeKernels& kernels = escape_kernels()) {
  MessageLineWriter writer(options, kernels);
  ScratchLine line;
  writer.write(message, line);
  return std::string(line.view());
}

// Parses the line and checks what holds for every line: one line end, at its end.
inline Json parse(const std::string& line) {
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  return Json::parse(line);
}

inline Json json_of(const Message& message, const LineOptions& options = {}) {
  return parse(line_of(message, options));
}

inline std::vector<const EscapeKernels*> all_kernels() {
  std::vector<const EscapeKernels*> kernels = {&portable_escape_kernels()};
  if (avx2_escape_kernels() != nullptr) kernels.push_back(avx2_escape_kernels());
  if (avx512_escape_kernels() != nullptr) kernels.push_back(avx512_escape_kernels());
  return kernels;
}

}  // namespace tcp_sniffer::written_line
