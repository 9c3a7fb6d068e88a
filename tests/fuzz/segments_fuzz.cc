// A script of segments, forged ones among them, through a shard to lines. Whatever comes: the
// ledger closes, memory is given back, each line is valid, a request comes before its response,
// bodies are made of what was sent, and neither the cutting into blocks nor the number of shards
// matters.

#include <gtest/gtest.h>

#include <memory>

#include "line_oracles.h"
#include "segment_script.h"

namespace tcp_sniffer::fuzz {
namespace {

using shard_harness::hash_of;
using shard_harness::ShardHarness;

struct Outcome {
  std::vector<ReadLine> lines;
  bool deterministic = true;
};

// As the `stopped` event says it (io/report.cc).
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
    harness->drain();
    harness->check_ledger();
    const std::vector<ReadLine> lines = read_lines(harness->lines);
    outcome.lines.insert(outcome.lines.end(), lines.begin(), lines.end());
    outcome.deterministic = outcome.deterministic && is_deterministic(*harness);
  }
  return outcome;
}

// The bytes of every complete body were sent, in that order, by the message's sender.
void expect_bodies_were_sent(const SegmentScript& script, const std::vector<ReadLine>& lines) {
  std::string sent;  // by anybody, in the order of capture
  for (const ScriptedSegment& scripted : script.segments) sent += scripted.payload;
  for (const ReadLine& line : lines) {
    if (line.incomplete || !line.has_body || line.truncated) continue;
    EXPECT_EQ(line.body.size(), line.body_size) << line.text;
    std::array<size_t, 256> wanted{};
    for (const char c : line.body) wanted[static_cast<uint8_t>(c)]++;
    for (const char c : sent) {
      if (wanted[static_cast<uint8_t>(c)] > 0) wanted[static_cast<uint8_t>(c)]--;
    }
    for (const size_t missing : wanted) ASSERT_EQ(missing, 0u) << "never sent: " << line.text;
  }
}

void check(const SegmentScript& script) {
  const Outcome whole = run(script, 1, [](size_t) { return false; });
  expect_order_and_pairing(whole.lines);
  if (!script.settings.bodies.decode) expect_bodies_were_sent(script, whole.lines);
  const Outcome single = run(script, 1, [](size_t) { return true; });
  if (whole.deterministic && single.deterministic) {
    expect_same_lines(whole.lines, single.lines, "a block for each segment");
  }
  const Outcome two = run(script, 2, [](size_t i) { return i % 3 == 0; });
  if (whole.deterministic && two.deterministic) {
    expect_same_lines(whole.lines, two.lines, "two shards");
  }
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(SegmentScriptReader(FuzzInput(data, size)).read());
  return 0;
}
