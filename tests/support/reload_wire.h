#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/shard_harness.h"

// HTTP over connections to a shard whose settings change meanwhile, and the lines that come of it.
namespace tcp_sniffer::reload_wire {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

inline std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: h\r\n\r\n";
}

// A shard and connections to it, whose segments are processed as they are sent.
class Wire {
 public:
  explicit Wire(const ShardSettings& settings) : harness_(settings) {}

  void client(uint16_t port, std::string_view text) { send(port, Side::kLow, text); }
  void server(uint16_t port, std::string_view text) { send(port, Side::kHigh, text); }
  void change(const ShardSettings& settings) { harness_.shard().change(settings); }
  void pass_time(int64_t ns) {
    now_ns_ += ns;
    harness_.process(now_ns_);
  }
  uint64_t count(ShardCounter counter) const { return harness_.count(counter); }

  // The lines since the last call.
  std::vector<Json> lines() {
    std::vector<Json> parsed;
    for (const std::string& line : harness_.lines) parsed.push_back(Json::parse(line));
    harness_.lines.clear();
    return parsed;
  }
  std::string text() {
    std::string all;
    for (const std::string& line : harness_.lines) all += line + "\n";
    harness_.lines.clear();
    return all;
  }
  // Which messages, as `path` or `status` for each.
  Words what() {
    Words found;
    for (const Json& line : lines()) {
      found.push_back(line.contains("path") ? line["path"].get<std::string>()
                                            : std::to_string(line["statusCode"].get<int>()));
    }
    return found;
  }
  void end() {
    harness_.drain();
    harness_.check_ledger();
  }

 private:
  void send(uint16_t port, Side side, std::string_view text) {
    if (!ends_.has_sent(port, Side::kLow)) {
      add(port, Side::kLow, kTcpSyn, "");
      add(port, Side::kHigh, kTcpSyn | kTcpAck, "");
      add(port, Side::kLow, kTcpAck, "");
    }
    add(port, side, kTcpAck, text);
    harness_.process();
  }
  void add(uint16_t port, Side side, uint8_t flags, std::string_view text) {
    harness_.add(ends_.segment(port, side, flags, text.size(), now_ns_ += 1000), text);
  }

  shard_harness::ShardHarness harness_;
  shard_harness::Ends ends_;
  int64_t now_ns_ = shard_harness::kStartNs;
};

}  // namespace tcp_sniffer::reload_wire
