#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>

// The equations of docs/ledger.md over the `stopped` event.
namespace tcp_sniffer {

inline uint64_t ledger_sum(const nlohmann::json& group, std::initializer_list<const char*> names) {
  uint64_t sum = 0;
  for (const char* name : names) {
    EXPECT_TRUE(group.contains(name)) << "the ledger has no counter named " << name;
    sum += group.value(name, uint64_t{0});
  }
  return sum;
}

// Every frame has one fate, every payload byte one counter, every message an end.
inline void expect_ledger_closes(const nlohmann::json& stopped) {
  ASSERT_TRUE(stopped.contains("frames")) << stopped;
  const auto& frames = stopped["frames"];
  EXPECT_EQ(
      frames["received"],
      ledger_sum(frames, {"not_ip", "not_tcp", "other_port", "filtered", "not_sampled", "malformed",
                          "bad_checksum", "fragment_merged", "fragment_dropped", "fragment_held",
                          "tunnel_too_deep", "dropped_overload", "dispatched"}))
      << frames;
  EXPECT_EQ(frames["dispatched"], stopped["tcp"]["segments"]);

  const auto& bytes = stopped["bytes"];
  EXPECT_EQ(
      bytes["captured"],
      ledger_sum(bytes, {"parsed", "tunnel", "ignored_stream", "skipped_in_resync", "bridged_late",
                         "duplicate", "out_of_window", "refused", "evicted", "buffered"}))
      << bytes;

  const auto& messages = stopped["messages"];
  EXPECT_EQ(messages["parsed"],
            ledger_sum(messages, {"written", "dropped_overload", "discarded", "queued", "held",
                                  "filtered", "sampled_out", "beyond_count"}))
      << messages;
  EXPECT_EQ(messages["parsed"], ledger_sum(messages, {"requests", "responses"})) << messages;

  if (stopped.contains("kafka")) {
    const auto& kafka = stopped["kafka"];
    EXPECT_EQ(kafka["acknowledged"], messages["written"]) << kafka;
    EXPECT_LE(kafka["failed"], messages["discarded"]) << kafka;
    EXPECT_EQ(kafka["queued"], 0) << kafka;
  }

  const auto& bodies = stopped["bodies"];
  EXPECT_EQ(bodies["searched"], ledger_sum(bodies, {"redacted", "unchanged", "withheld"}))
      << bodies;

  const auto& connections = stopped["connections"];
  EXPECT_EQ(connections["opened"],
            ledger_sum(connections, {"closed", "idle", "evicted", "reused", "drained", "open"}))
      << connections;

  EXPECT_EQ(frames["fragment_held"], 0);
  EXPECT_EQ(bytes["buffered"], 0);
  EXPECT_EQ(messages["queued"], 0);
  EXPECT_EQ(messages["held"], 0);
  EXPECT_EQ(connections["open"], 0);
  EXPECT_EQ(connections["half_open"], 0);
  EXPECT_EQ(stopped["memory"]["bytes"], 0);
  EXPECT_EQ(stopped["memory"]["reorder_buffers"], 0);
}

}  // namespace tcp_sniffer
