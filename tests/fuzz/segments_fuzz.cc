// A script of segments, forged ones among them, through a shard to lines. Whatever comes: the
// ledger closes, memory is given back, each line is valid, a request comes before its response,
// bodies are made of what was sent, and neither the cutting into blocks nor the number of shards
// matters.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <functional>
#include <memory>

#include "line_oracles.h"
#include "segment_script.h"
#include "show.h"

namespace tcp_sniffer::fuzz {
namespace {

using shard_harness::hash_of;
using shard_harness::ShardHarness;

struct Outcome {
  std::vector<ReadLine> lines;
  bool deterministic = true;
};

// As the `stopped` event says it (io/run/report.cc).
bool is_deterministic(const ShardHarness& harness) {
  using C = ShardCounter;
  for (const C counter : {C::connections_evicted, C::connections_refused, C::memory_refusals,
                          C::limits_reached, C::incomplete_limit, C::messages_dropped_overload,
                          C::bodies_too_slow, C::tombstones_forgotten}) {
    if (harness.count(counter) != 0) return false;
  }
  return true;
}

// A new block begins before every segment whose number `begins_block` answers for.
template <class BeginsBlock>
Outcome run(const SegmentScript& script, size_t shards, BeginsBlock begins_block) {
  std::vector<std::unique_ptr<ShardHarness>> harnesses;
  for (size_t i = 0; i < shards; i++) {
    harnesses.push_back(std::make_unique<ShardHarness>(script.settings));
  }
  for (size_t i = 0; i < script.segments.size(); i++) {
    const auto& [segment, payload] = script.segments[i];
    ShardHarness& harness = *harnesses[(hash_of(segment.key) >> 60) % shards];
    if (begins_block(i)) harness.process();
    harness.add(segment, payload);
  }
  Outcome outcome;
  for (const auto& harness : harnesses) {
    // Every shard is told how late it is, also one that had no segment for long.
    if (!script.segments.empty()) harness->process(script.segments.back().segment.clock_ns);
    harness->drain();
    harness->check_ledger();
    const std::vector<ReadLine> lines = read_lines(harness->lines);
    outcome.lines.insert(outcome.lines.end(), lines.begin(), lines.end());
    outcome.deterministic = outcome.deterministic && is_deterministic(*harness);
  }
  return outcome;
}

using ByteCounts = std::array<size_t, 256>;

ByteCounts counts_of(std::string_view text) {
  ByteCounts counts{};
  for (const char c : text) counts[static_cast<uint8_t>(c)]++;
  return counts;
}

// The bytes of every complete body were sent.
void expect_bodies_were_sent(const SegmentScript& script, const std::vector<ReadLine>& lines) {
  std::string all;
  for (const ScriptedSegment& scripted : script.segments) all += scripted.payload;
  const ByteCounts sent = counts_of(all);
  for (const ReadLine& line : lines) {
    if (line.incomplete || !line.has_body || line.truncated) continue;
    EXPECT_EQ(line.body.size(), line.body_size) << line.text;
    const ByteCounts wanted = counts_of(line.body);
    const bool is_there = std::equal(wanted.begin(), wanted.end(), sent.begin(), std::less_equal());
    EXPECT_TRUE(is_there) << "never sent: " << line.text;
  }
}

// Neither the cutting into blocks nor the number of shards changes the lines of `whole`.
void expect_the_same_however_cut(const SegmentScript& script, const Outcome& whole) {
  const Outcome single = run(script, 1, [](size_t) { return true; });
  if (whole.deterministic && single.deterministic) {
    expect_same_lines(whole.lines, single.lines, "a block for each segment");
  }
  const Outcome two = run(script, 2, [](size_t i) { return i % 3 == 0; });
  if (whole.deterministic && two.deterministic) {
    expect_same_lines(whole.lines, two.lines, "two shards");
  }
}

void check(SegmentScript script) {
  for (const auto& [segment, payload] : script.segments) show(segment, payload);
  const Outcome whole = run(script, 1, [](size_t) { return false; });
  expect_order_and_pairing(whole.lines);
  if (!script.settings.bodies.decode) expect_bodies_were_sent(script, whole.lines);
  expect_the_same_however_cut(script, whole);
  // In parts.
  script.settings.protocols.http.part_after_ns = 50'000'000;
  expect_the_same_however_cut(script, run(script, 1, [](size_t) { return false; }));
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(SegmentScriptReader(FuzzInput(data, size)).read());
  return 0;
}
