// Messages in parts (partialAfterMs), over random conversations: joined, the parts are the messages
// that come without it, and they depend neither on how the segments are cut into blocks nor on when
// the shard looks at its timers.

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/http/event_stream.h"
#include "support/message_parts.h"
#include "support/repetitions.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::parts_test {
namespace {

using namespace shard_harness;
using nlohmann::json;

struct Sent {
  Segment segment;
  std::string text;
};

// Random exchanges on one connection, in segments of random sizes at random times. Some of the
// server's are lost.
class Conversation {
 public:
  Conversation(uint64_t seed, uint16_t port, bool loses, bool is_ascii)
      : random_(seed), loses_(loses), is_ascii_(is_ascii) {
    key_ = key_of(port);
    clock_ns_ = kStartNs + static_cast<int64_t>(below(1000)) * kMs;
    put(Side::kLow, "", kTcpSyn);
    put(Side::kHigh, "", kTcpSyn);
    put(Side::kLow, "", 0);
    for (uint64_t left = 1 + below(4); left > 0; left--) exchange(left == 1);
    if (below(3) > 0) end();
  }

  std::vector<Sent> segments;

 private:
  uint64_t below(uint64_t n) { return random_() % n; }

  std::string text(size_t size) {
    constexpr std::string_view kPieces[] = {"data: word\n", "\n",           "\r\n", "\r",
                                            "caf\xc3\xa9",  "\xe2\x82\xac", "abc ", "x",
                                            "event: y",     "\xff"};
    std::string made;
    while (made.size() < size) made += kPieces[below(is_ascii_ ? 4 : std::size(kPieces))];
    return made;
  }

  std::string framed(const std::string& head, const std::string& body, bool is_last) {
    const std::string type = below(2) == 0 ? "Content-Type: text/event-stream\r\n" : "";
    switch (below(is_last ? 3 : 2)) {
      case 0:
        return head + type + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
      case 1: {
        std::string coded = head + type + "Transfer-Encoding: chunked\r\n\r\n";
        for (size_t at = 0; at < body.size();) {
          const size_t size = std::min(body.size() - at, 1 + below(40));
          char digits[8];
          std::snprintf(digits, sizeof(digits), "%zx\r\n", size);
          coded += digits + body.substr(at, size) + "\r\n";
          at += size;
        }
        return coded + "0\r\n" + (below(2) == 0 ? "X-Sum: 1\r\n" : "") + "\r\n";
      }
      default:
        return head + type + "\r\n" + body;
    }
  }

  void exchange(bool is_last) {
    const std::string upload = text(below(3) == 0 ? 1 + below(100) : 0);
    send(Side::kLow, upload.empty() ? "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
                                    : framed("POST / HTTP/1.1\r\n", upload, false));
    send(Side::kHigh, framed("HTTP/1.1 200 OK\r\n", text(1 + below(300)), is_last));
  }

  void send(Side side, const std::string& bytes) {
    const uint64_t longest = 1 + below(200);
    for (size_t at = 0; at < bytes.size();) {
      const size_t size = std::min<size_t>(bytes.size() - at, 1 + below(longest));
      wait();
      const bool is_lost = loses_ && side == Side::kHigh && below(12) == 0;
      put(side, bytes.substr(at, size), 0, is_lost);
      if (below(2) == 0) put(tcp_sniffer::other(side), "", 0);
      at += size;
    }
  }

  void end() {
    wait();
    if (below(3) == 0) return put(Side::kHigh, "", kTcpRst);
    put(Side::kHigh, "", kTcpFin);
    put(Side::kLow, "", kTcpFin);
  }

  void wait() {
    constexpr uint64_t kWaitsMs[] = {0, 0, 1, 10, 30, 100, 700};
    clock_ns_ += static_cast<int64_t>(kWaitsMs[below(std::size(kWaitsMs))]) * kMs;
  }

  void put(Side side, const std::string& text, uint8_t flags, bool is_lost = false) {
    const auto me = static_cast<size_t>(side);
    Segment segment;
    segment.key = key_;
    segment.side = side;
    segment.sequence = next_[me];
    segment.flags = flags;
    if (!((flags & kTcpSyn) != 0 && side == Side::kLow)) segment.flags |= kTcpAck;
    segment.acknowledgment = next_[1 - me];
    segment.clock_ns = segment.time_ns = clock_ns_;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    next_[me] += segment.payload_size + ((flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
    if (!is_lost) segments.push_back({segment, text});
  }

  std::mt19937_64 random_;
  const bool loses_;
  const bool is_ascii_;
  FlowKey key_;
  std::array<uint32_t, 2> next_ = {1000, 5000};
  int64_t clock_ns_ = 0;
};

bool cuts_bodies(uint64_t seed) {
  return seed % 5 == 0;
}

// Where bytes are missing, text that is not ASCII may be binary in the whole and text in a part.
std::vector<Sent> conversations(uint64_t seed) {
  const bool loses = seed % 2 == 1;
  std::vector<Sent> all;
  for (uint16_t i = 0; i < 3; i++) {
    const Conversation one(seed * 3 + i, static_cast<uint16_t>(40000 + i), loses,
                           loses || cuts_bodies(seed));
    all.insert(all.end(), one.segments.begin(), one.segments.end());
  }
  std::stable_sort(all.begin(), all.end(), [](const Sent& a, const Sent& b) {
    return a.segment.clock_ns < b.segment.clock_ns;
  });
  return all;
}

enum class Blocks { kOne, kEach, kEachAndTicks };

struct Outcome {
  std::vector<std::string> lines;  // sorted
  std::vector<json> in_order;
  uint64_t parts = 0;
};

Outcome run(const std::vector<Sent>& sent, int64_t part_after_ms, Blocks blocks, uint64_t seed,
            const ChoiceRules& choice = {}) {
  ShardSettings settings;
  settings.ports = PortSet(std::array<uint16_t, 1>{80});
  settings.lines.binary_base64 = true;
  settings.idle_timeout_ns = 5000 * kMs;
  settings.protocols.http.body_max = cuts_bodies(seed) ? 100 : 1 << 20;
  settings.protocols.http.part_after_ns = part_after_ms * kMs;
  settings.choice = choice;
  ShardHarness harness(settings);
  std::mt19937_64 random(seed);
  int64_t clock_ns = 0;
  for (size_t i = 0; i < sent.size(); i++) {
    const int64_t until_ns = sent[i].segment.clock_ns;
    while (blocks == Blocks::kEachAndTicks && clock_ns != 0 && clock_ns < until_ns) {
      clock_ns += static_cast<int64_t>(1 + random() % 40) * kMs;
      harness.process(std::min(clock_ns, until_ns - 1));
    }
    clock_ns = until_ns;
    harness.add(sent[i].segment, sent[i].text);
    if (blocks != Blocks::kOne) harness.process();
  }
  harness.drain();
  harness.check_ledger();
  Outcome outcome;
  for (const std::string& line : harness.lines) outcome.in_order.push_back(json::parse(line));
  outcome.lines = harness.lines;
  std::sort(outcome.lines.begin(), outcome.lines.end());
  outcome.parts = harness.count(ShardCounter::messages_parts);
  return outcome;
}

TEST(Parts, JoinedAreTheMessagesAndDoNotDependOnBlocks) {
  uint64_t parts = 0;
  for (uint64_t seed = 0; seed < seeds(200); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const std::vector<Sent> sent = conversations(seed);
    const Outcome whole = run(sent, 0, Blocks::kOne, seed);
    EXPECT_EQ(whole.parts, 0u);
    const auto after_ms = static_cast<int64_t>(std::array{1, 20, 100, 400, 2000}[seed / 5 % 5]);
    const Outcome in_parts = run(sent, after_ms, Blocks::kOne, seed);
    EXPECT_EQ(joined_messages(in_parts.in_order), joined_messages(whole.in_order));
    EXPECT_EQ(run(sent, after_ms, Blocks::kEach, seed).lines, in_parts.lines);
    EXPECT_EQ(run(sent, after_ms, Blocks::kEachAndTicks, seed).lines, in_parts.lines);
    parts += in_parts.parts;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(parts, seeds(200));
}

// Messages of exchanges that heads decide come in parts, others whole, and the same ones are there
// as without parts.
TEST(Parts, OfChosenExchangesJoinedAreTheirMessages) {
  const auto chosen = [](const char* where, double sample, const char* always_keep) {
    ChoiceRules rules;
    rules.where = where;
    rules.sample = sample;
    rules.always_keep = always_keep;
    return rules;
  };
  const ChoiceRules choices[] = {
      chosen("method = 'GET'", 1, ""),
      chosen("status = 200", 1, ""),
      chosen("response.contentType ~ 'text/event-stream*'", 1, ""),
      chosen("not orphan and (headers.content-length or exchange > 0)", 1, ""),
      chosen("bodySize > 100 or method = 'POST'", 1, ""),
      chosen("totalMs > 500", 1, ""),
      chosen("incomplete or orphan", 1, ""),
      chosen("", 0.5, ""),
      chosen("", 0.5, "status = 200 and contentType"),
      chosen("method = 'POST'", 0.7, "durationMs > 100"),
  };
  std::map<std::string, uint64_t> parts;
  for (uint64_t seed = 0; seed < seeds(200); seed++) {
    const ChoiceRules& choice = choices[seed % std::size(choices)];
    SCOPED_TRACE("seed " + std::to_string(seed) + ": " + choice.where + ", " + choice.always_keep);
    const std::vector<Sent> sent = conversations(seed);
    const Outcome whole = run(sent, 0, Blocks::kOne, seed, choice);
    const auto after_ms = static_cast<int64_t>(std::array{1, 20, 100}[seed / 7 % 3]);
    const Outcome in_parts = run(sent, after_ms, Blocks::kOne, seed, choice);
    EXPECT_EQ(joined_messages(in_parts.in_order), joined_messages(whole.in_order));
    EXPECT_EQ(run(sent, after_ms, Blocks::kEachAndTicks, seed, choice).lines, in_parts.lines);
    parts[choice.where] += in_parts.parts;
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_GT(parts["method = 'GET'"], 10u);
  EXPECT_GT(parts["status = 200"], 10u);
  EXPECT_EQ(parts["totalMs > 500"], 0u);
}

// A stream that goes on holds no more than what arrives between two parts.
TEST(Parts, TheMemoryOfWhatWasGivenOutIsFree) {
  ShardSettings settings;
  settings.protocols.http.body_max = 64 << 20;
  settings.protocols.http.part_after_ns = 100 * kMs;
  ShardHarness harness(settings);
  Segment segment;
  segment.key = key_of(40000);
  segment.side = Side::kHigh;
  segment.flags = kTcpAck;
  segment.sequence = 1000;
  segment.acknowledgment = 5000;
  segment.clock_ns = kStartNs;
  const auto send = [&](const std::string& text) {
    segment.time_ns = segment.clock_ns;
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    harness.add(segment, text);
    harness.process();
    segment.sequence += segment.payload_size;
    segment.clock_ns += 50 * kMs;
  };
  send("HTTP/1.1 200 OK\r\n\r\n");
  uint64_t most = 0;
  for (int i = 0; i < 2000; i++) {
    send(std::string(1400, 'a'));
    most = std::max(most, harness.count(ShardCounter::memory_bytes));
  }
  EXPECT_LT(most, 20000u);
  harness.drain();
  harness.check_ledger();
  EXPECT_GT(harness.count(ShardCounter::messages_parts), 500u);
}

// A shard whose lines nobody takes until the test does, so that its output has no room left.
class UnreadShard {
 public:
  UnreadShard() : shard_(0, settings(), census_, queue_, false, events_) {}
  ~UnreadShard() {
    take_lines();
    shard_.drain();
    take_lines();
  }

  void send(uint16_t port, Side side, std::string_view text) {
    if (!next_.contains({port, side})) put(port, side, kTcpSyn, "");
    put(port, side, kTcpAck, text);
  }
  void pass_time(int64_t ns) {
    PacketBlock block;
    block.clock_ns = now_ns_ += ns;
    shard_.process(block);
  }
  uint64_t count(ShardCounter counter) const { return shard_.counters().get(counter); }
  std::string take_lines() {
    shard_.output().flush();
    std::string text;
    for (LineBlock* lines = nullptr; queue_.try_dequeue(lines);) {
      text.append(lines->data, lines->used);
      uint64_t messages = 0;
      for (const RecordRun& run : lines->runs) messages += uint64_t{run.records} * run.messages;
      EXPECT_EQ(messages, lines->messages) << "a block cut by its end would be counted wrongly";
      lines->owner->give_back(lines);
    }
    return text;
  }

 private:
  static ShardSettings settings() {
    ShardSettings settings;
    settings.protocols.http.part_after_ns = 10 * kMs;
    settings.line_blocks_max = LineOutput::kBlocksMin;
    return settings;
  }

  void put(uint16_t port, Side side, uint8_t flags, std::string_view text) {
    PacketBlock block;
    Segment segment;
    segment.key = key_of(port);
    segment.flow_hash = hash_of(segment.key);
    segment.side = side;
    segment.flags = flags;
    uint32_t& next = next_[{port, side}];
    segment.sequence = next;
    segment.clock_ns = segment.time_ns = block.clock_ns = now_ns_ += 1000;
    segment.payload = reinterpret_cast<const uint8_t*>(text.data());
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    next += segment.payload_size + ((flags & kTcpSyn) != 0 ? 1 : 0);
    block.segments[block.count++] = segment;
    shard_.process(block);
  }

  LineQueue queue_;
  RecordedEvents events_;
  ConnectionCensus census_{1};
  Shard shard_;
  std::map<std::pair<uint16_t, Side>, uint32_t> next_;
  int64_t now_ns_ = kStartNs;
};

TEST(Parts, APartThatFindsNoRoomInTheOutputIsWrittenLaterAndLacksNothing) {
  UnreadShard shard;
  shard.send(1000, Side::kLow, "GET /slow HTTP/1.1\r\nHost: a\r\n\r\n");
  shard.send(1000, Side::kHigh, "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\none, ");
  // No line needs less room than that of such a request.
  for (int i = 0; i < 10000 && shard.count(ShardCounter::messages_dropped_overload) == 0; i++) {
    shard.send(2000, Side::kLow, "GET / HTTP/1.1\r\n\r\n");
  }
  ASSERT_GT(shard.count(ShardCounter::messages_dropped_overload), 0u);
  shard.pass_time(20 * kMs);
  EXPECT_EQ(shard.count(ShardCounter::messages_parts), 0u) << "there is room after all";
  shard.send(1000, Side::kHigh, "two, ");
  shard.pass_time(20 * kMs);
  EXPECT_EQ(shard.count(ShardCounter::messages_parts), 0u);

  std::string text = shard.take_lines();
  shard.pass_time(20 * kMs);
  EXPECT_EQ(shard.count(ShardCounter::messages_parts), 1u);
  shard.send(1000, Side::kHigh, "three");
  text += shard.take_lines();

  std::vector<json> parts;
  for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find('\n') + 1)) {
    const json line = json::parse(rest.substr(0, rest.find('\n')));
    if (line["direction"] == "response") parts.push_back(line);
  }
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(parts[0]["part"], 1);
  EXPECT_EQ(parts[0]["statusCode"], 200);
  EXPECT_EQ(parts[0]["body"], "one, two, ");
  EXPECT_EQ(parts[1]["part"], 2);
  EXPECT_EQ(parts[1]["lastPart"], true);
  EXPECT_EQ(parts[1]["body"], "three");
  EXPECT_EQ(parts[1]["bodySize"], 15);
}

// However the bytes come, the events found are the same.
TEST(Parts, EventsEndAtTheSamePlacesHoweverTheyCome) {
  const std::string_view stream =
      "data: 1\n\ndata: 2\r\n\r\n: a\r\rdata: 3\r\n\ndata: 4\n\r\ndata: 5\n\nx";
  std::vector<size_t> ends;
  for (size_t size = 1; size <= stream.size(); size++) {
    size_t searched = 0;
    const size_t whole = whole_events_size(stream.substr(0, size), searched);
    if (whole > 0 && (ends.empty() || ends.back() != whole)) ends.push_back(whole);
  }
  EXPECT_EQ(ends, (std::vector<size_t>{9, 20, 25, 35, 45, 54}));
  // A search that goes on gives the same as one from the beginning.
  for (size_t first = 0; first <= stream.size(); first++) {
    size_t searched = 0;
    const size_t before = whole_events_size(stream.substr(0, first), searched);
    const size_t after = whole_events_size(stream, searched);
    EXPECT_EQ(std::max(before, after), 54u) << first;
  }
}

}  // namespace
}  // namespace tcp_sniffer::parts_test
