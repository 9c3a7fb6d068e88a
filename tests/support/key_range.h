#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/config/config_keys.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

// One numeric key at one end of its range, and a run of the program with it.
namespace tcp_sniffer::key_range {

using Arguments = std::vector<std::string>;

inline bool is_numeric(const KeySpec& key) {
  return std::holds_alternative<uint64_t Config::*>(key.target) ||
         std::holds_alternative<double Config::*>(key.target) ||
         std::holds_alternative<std::vector<uint16_t> Config::*>(key.target);
}

struct Outcome {
  Finished run;
  Json stopped;
  std::vector<Json> messages;

  uint64_t with(std::string_view field) const {
    return static_cast<uint64_t>(std::count_if(messages.begin(), messages.end(),
                                               [&](const Json& m) { return m.contains(field); }));
  }
};

// One key at one end of its range.
struct End {
  const KeySpec& key;
  bool at_most;

  uint64_t number() const { return at_most ? key.maximum : key.minimum; }
  std::string flag() const { return "--" + flag_name(key.name); }
  std::string text() const { return std::to_string(number()); }

  // The program with this value, over the capture: it ends by itself, and its ledger closes.
  Outcome read(const CaptureMaker& maker, const Arguments& arguments = {}) const {
    const TemporaryFolder folder;
    const auto path = folder / "capture.pcap";
    write_file(path, maker.bytes());
    Arguments all = {"-r", path.string(), "--format", "ndjson", flag(), text()};
    all.insert(all.end(), arguments.begin(), arguments.end());
    Outcome outcome{run_sniffer(all), {}, {}};
    EXPECT_EQ(outcome.run.exit.code, 0) << outcome.run.err.substr(0, 2000);
    outcome.stopped = event_named(outcome.run.err, "stopped");
    expect_ledger_closes(outcome.stopped);
    outcome.messages = json_lines(outcome.run.out);
    return outcome;
  }
};

inline CaptureMaker exchanges(size_t count, std::string_view body = "body", uint16_t port = 80) {
  CaptureMaker maker;
  for (size_t i = 0; i < count; i++) {
    auto connection = maker.connection();
    connection.server_port = port;
    maker.handshake(connection);
    maker.exchange(connection, "/" + std::to_string(i), body);
    maker.close(connection);
  }
  return maker;
}

}  // namespace tcp_sniffer::key_range
