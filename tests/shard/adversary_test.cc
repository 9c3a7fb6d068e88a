#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/repetitions.h"
#include "support/shard_harness.h"

// Somebody who sends segments in the name of both ends of real connections. Off path the forger
// knows addresses and ports but no sequence number: whatever is sent, the lines are those that come
// without it. On path the forger sees every packet: what one segment can do then is measured, and
// stands in ARCHITECTURE.md.
namespace tcp_sniffer::adversary_test {
namespace {

using namespace shard_harness;

// How a connection is captured.
enum class View : uint8_t { kWhole, kMidstream, kClientOnly, kServerOnly };

struct Sent {
  Segment segment;
  std::string text;
};

// Odd ports: IPv6.
FlowKey key_of_either(uint16_t client_port) {
  FlowKey key = key_of(client_port);
  if (client_port % 2 == 0) return key;
  key.low_ip = key.high_ip = {0x20, 0x01, 0x0d, 0xb8};
  key.low_ip[15] = 1;
  key.high_ip[15] = 2;
  return key;
}

// A conversation of HTTP/1.1 between a client and a server, as they would have it without loss.
class Conversation {
 public:
  Conversation(std::mt19937_64& random, uint16_t port, View view)
      : random_(random), port_(port), view_(view) {
    for (uint32_t& start : next_) {
      // Often close to the wrap.
      start = below(2) == 0 ? static_cast<uint32_t>(random_())
                            : 0u - static_cast<uint32_t>(below(3000));
    }
    clock_ns_ = kStartNs + static_cast<int64_t>(below(2000)) * kMs;
    speak();
  }

  std::vector<Sent> sent;

 private:
  uint64_t below(uint64_t n) { return random_() % n; }
  bool happens(uint64_t percent) { return below(100) < percent; }

  void add(Side side, int flags, std::string_view text = {}) {
    const auto me = static_cast<size_t>(side);
    Sent made;
    made.text = std::string(text);
    made.segment.key = key_of_either(port_);
    made.segment.side = side;
    made.segment.flags = static_cast<uint8_t>(flags);
    made.segment.sequence = next_[me];
    if ((flags & kTcpAck) != 0) made.segment.acknowledgment = next_[1 - me];
    made.segment.window = 0xffff;
    made.segment.payload_size = made.segment.payload_wire_size = static_cast<uint32_t>(text.size());
    made.segment.clock_ns = made.segment.time_ns = clock_ns_;
    next_[me] += static_cast<uint32_t>(text.size()) + ((flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
    clock_ns_ += static_cast<int64_t>(below(3)) * kMs;
    const bool captured = view_ == View::kWhole || view_ == View::kMidstream ||
                          (view_ == View::kClientOnly) == (side == Side::kLow);
    if (captured) sent.push_back(std::move(made));
  }

  void say(Side side, std::string_view text) {
    while (!text.empty()) {
      const size_t size = std::min<size_t>(text.size(), 1 + below(happens(30) ? 8 : 600));
      add(side, kTcpAck, text.substr(0, size));
      text.remove_prefix(size);
      if (happens(30)) add(other(side), kTcpAck);
      if (happens(2)) clock_ns_ += static_cast<int64_t>(below(3000)) * kMs;
    }
  }

  std::string body(size_t size) {
    std::string text(size, ' ');
    for (char& c : text) c = static_cast<char>('a' + below(26));
    return text;
  }
  std::string framed(std::string head) {
    const std::string text = body(below(1500));
    if (happens(40)) {
      head += "Transfer-Encoding: chunked\r\n\r\n";
      for (size_t at = 0; at < text.size();) {
        const size_t size = std::min<size_t>(text.size() - at, 1 + below(400));
        std::array<char, 16> line{};
        std::snprintf(line.data(), line.size(), "%zx\r\n", size);
        head += line.data() + text.substr(at, size) + "\r\n";
        at += size;
      }
      return head + "0\r\n\r\n";
    }
    return head + "Content-Length: " + std::to_string(text.size()) + "\r\n\r\n" + text;
  }

  void speak() {
    if (view_ != View::kMidstream && happens(90)) {
      add(Side::kLow, kTcpSyn);
      add(Side::kHigh, kTcpSyn | kTcpAck);
      add(Side::kLow, kTcpAck);
    }
    const uint64_t exchanges = 1 + below(4);
    const bool until_close = happens(30);
    for (uint64_t i = 0; i < exchanges; i++) {
      const std::string path = "/" + std::to_string(port_) + "/" + std::to_string(i);
      say(Side::kLow, happens(50) ? "GET " + path + " HTTP/1.1\r\nHost: a\r\n\r\n"
                                  : framed("POST " + path + " HTTP/1.1\r\nHost: a\r\n"));
      say(Side::kHigh, until_close && i + 1 == exchanges
                           ? "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + body(below(3000))
                           : framed("HTTP/1.1 200 OK\r\n"));
      clock_ns_ += static_cast<int64_t>(below(3000)) * kMs;
    }
    if (until_close || happens(50)) {
      add(Side::kHigh, kTcpFin | kTcpAck);
      add(Side::kLow, kTcpFin | kTcpAck);
      add(Side::kHigh, kTcpAck);
    } else if (happens(50)) {
      add(Side::kLow, kTcpRst);
    }
  }

  std::mt19937_64& random_;
  uint16_t port_;
  View view_;
  std::array<uint32_t, 2> next_{};
  int64_t clock_ns_ = 0;
};

struct Outcome {
  std::vector<std::string> lines;
  uint64_t opened = 0;
};

Outcome play(const std::vector<Sent>& segments) {
  ShardSettings settings;
  settings.ports = PortSet(std::array<uint16_t, 1>{80});
  ShardHarness harness(settings);
  int64_t clock_ns = 0;
  for (const Sent& sent : segments) {
    Segment segment = sent.segment;
    segment.clock_ns = clock_ns = std::max(clock_ns, segment.clock_ns);
    harness.add(segment, sent.text);
  }
  harness.drain();
  harness.check_ledger();
  Outcome outcome{harness.lines, harness.count(ShardCounter::connections_opened)};
  std::sort(outcome.lines.begin(), outcome.lines.end());
  return outcome;
}

// What only one of the two has.
std::string difference(const Outcome& expected, const Outcome& got) {
  std::vector<std::string> missing;
  std::vector<std::string> extra;
  std::set_difference(expected.lines.begin(), expected.lines.end(), got.lines.begin(),
                      got.lines.end(), std::back_inserter(missing));
  std::set_difference(got.lines.begin(), got.lines.end(), expected.lines.begin(),
                      expected.lines.end(), std::back_inserter(extra));
  std::string text;
  for (const std::string& line : missing) text += "missing " + line.substr(0, 400) + "\n";
  for (const std::string& line : extra) text += "extra " + line.substr(0, 400) + "\n";
  if (expected.opened != got.opened) {
    text += std::to_string(got.opened) + " connections for " + std::to_string(expected.opened);
  }
  return text;
}

// Several conversations at a time, by their times.
std::vector<Sent> mixed(const std::vector<Conversation>& conversations) {
  std::vector<Sent> all;
  for (const Conversation& conversation : conversations) {
    all.insert(all.end(), conversation.sent.begin(), conversation.sent.end());
  }
  std::stable_sort(all.begin(), all.end(), [](const Sent& a, const Sent& b) {
    return a.segment.time_ns < b.segment.time_ns;
  });
  return all;
}

constexpr std::string_view kInvented =
    "GET /invented HTTP/1.1\r\nHost: a\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\ninvented";

// ---------------------------------------------------------------- off path

// Segments of every kind with numbers that are guessed, between the first and the last real one of
// their connection; some in runs that continue each other.
std::vector<Sent> with_guesses(std::mt19937_64& random, const std::vector<Sent>& real,
                               uint64_t percent) {
  const auto below = [&](uint64_t n) { return random() % n; };
  std::vector<Sent> all;
  for (size_t i = 0; i < real.size(); i++) {
    all.push_back(real[i]);
    while (below(100) < percent) {
      // Of a connection that was opened and goes on: without one it is a connection's first.
      const Sent& before = real[below(i + 1)];
      if ((before.segment.flags & kTcpSyn) == 0 && before.segment.payload_wire_size <= 1) continue;
      const bool goes_on =
          std::any_of(real.begin() + static_cast<ptrdiff_t>(i) + 1, real.end(),
                      [&](const Sent& sent) { return sent.segment.key == before.segment.key; });
      if (!goes_on) break;
      constexpr std::array<int, 12> kFlags = {
          kTcpSyn, kTcpSyn | kTcpAck, kTcpRst, kTcpRst | kTcpAck, kTcpFin, kTcpFin | kTcpAck,
          kTcpAck, kTcpAck,           kTcpAck, kTcpAck | kTcpPsh, kTcpPsh, kTcpAck | kTcpUrg};
      Sent forged = before;
      Segment& segment = forged.segment;
      segment.side = static_cast<Side>(below(2));
      segment.flags = static_cast<uint8_t>(kFlags.at(below(kFlags.size())));
      segment.sequence = static_cast<uint32_t>(random());
      segment.acknowledgment = static_cast<uint32_t>(random());
      segment.window = static_cast<uint16_t>(random());
      segment.window_scale = below(2) == 0 ? kNoWindowScale : static_cast<uint8_t>(below(15));
      segment.time_ns = segment.clock_ns = real[i].segment.time_ns;
      constexpr std::array<size_t, 6> kSizes = {0, 0, 1, 2, 20, kInvented.size()};
      const uint64_t run = below(8) == 0 ? 8 : 1;
      for (uint64_t n = 0; n < run; n++) {
        forged.text = kInvented.substr(0, kSizes.at(below(kSizes.size())));
        segment.payload_size = segment.payload_wire_size =
            static_cast<uint32_t>(forged.text.size());
        all.push_back(forged);
        segment.sequence += segment.payload_wire_size;
      }
    }
  }
  return all;
}

void play_off_path(uint64_t seed, uint64_t percent) {
  std::mt19937_64 random(seed);
  std::vector<Conversation> conversations;
  for (uint16_t port = 0; port < 4; port++) {
    const uint64_t draw = random() % 10;
    conversations.emplace_back(random, static_cast<uint16_t>(40000 + port),
                               draw < 7    ? View::kWhole
                               : draw == 7 ? View::kMidstream
                               : draw == 8 ? View::kClientOnly
                                           : View::kServerOnly);
  }
  const std::vector<Sent> real = mixed(conversations);
  const Outcome expected = play(real);
  const Outcome got = play(with_guesses(random, real, percent));
  EXPECT_EQ(difference(expected, got), "");
}

TEST(Adversary, OffPathNothingIsEndedLostOrInvented) {
  const uint64_t seeds = repetitions("TCP_SNIFFER_ADVERSARY_SEEDS", 300, 20);
  for (uint64_t seed = 0; seed < seeds && !testing::Test::HasFailure(); seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    play_off_path(seed, 60);
  }
}

// ---------------------------------------------------------------- on path

enum class Trick : uint8_t {
  kRstExact,
  kRstAhead,
  kFinExact,
  kFinAhead,
  kAckAhead,
  kAckOld,
  kSynAhead,
  kSynWithPayload,
  kSynAck,
  kKeepAliveOctet,
  kBytesBehind,
  kBytesAhead,
  kBytesNext,
};
struct Tricks {
  Trick trick;
  std::string_view name;
  bool harmless;
};
constexpr std::array<Tricks, 13> kTricks = {{
    {Trick::kRstExact, "a RST with the next number", true},
    {Trick::kRstAhead, "a RST ahead in the window", true},
    {Trick::kFinExact, "a FIN with the next number", true},
    {Trick::kFinAhead, "a FIN ahead in the window", true},
    {Trick::kAckAhead, "an acknowledgment of bytes never sent", true},
    {Trick::kAckOld, "an old acknowledgment", true},
    {Trick::kSynAhead, "a SYN with a number that the stream passes", true},
    {Trick::kSynWithPayload, "the same with a payload", true},
    {Trick::kSynAck, "a SYN ACK that nobody asked for", true},
    {Trick::kKeepAliveOctet, "a keep-alive probe's octet", true},
    {Trick::kBytesBehind, "other bytes for those that were delivered", true},
    {Trick::kBytesAhead, "bytes ahead in the window", false},
    {Trick::kBytesNext, "bytes with the next number", false},
}};

// One forged segment of this kind behind the real one with this index.
std::vector<Sent> with_trick(std::mt19937_64& random, const std::vector<Sent>& real, size_t behind,
                             Trick trick) {
  const auto below = [&](uint64_t n) { return static_cast<uint32_t>(random() % n); };
  std::array<uint32_t, 2> next{};
  for (size_t i = 0; i <= behind; i++) {
    const Segment& segment = real[i].segment;
    next[static_cast<size_t>(segment.side)] = segment.sequence + segment.payload_wire_size +
                                              ((segment.flags & (kTcpSyn | kTcpFin)) != 0 ? 1 : 0);
  }
  Sent forged;
  Segment& segment = forged.segment;
  segment = real[behind].segment;
  segment.side = static_cast<Side>(below(2));
  segment.sequence = next[static_cast<size_t>(segment.side)];
  segment.acknowledgment = next[1 - static_cast<size_t>(segment.side)];
  segment.flags = kTcpAck;
  const uint32_t ahead = 1 + below(below(2) == 0 ? 2000 : 4'000'000);
  switch (trick) {
    case Trick::kRstAhead:
      segment.sequence += ahead;
      [[fallthrough]];
    case Trick::kRstExact:
      segment.flags = kTcpRst;
      break;
    case Trick::kFinAhead:
      segment.sequence += ahead;
      [[fallthrough]];
    case Trick::kFinExact:
      segment.flags = kTcpFin | kTcpAck;
      break;
    case Trick::kAckAhead:
      segment.acknowledgment += ahead;
      if (below(2) == 0) segment.sequence += below(10'000);
      break;
    case Trick::kAckOld:
      segment.acknowledgment -= below(1000);
      segment.sequence -= below(1000);
      break;
    case Trick::kSynWithPayload:
      forged.text = kInvented;
      [[fallthrough]];
    case Trick::kSynAhead:
      segment.flags = kTcpSyn;
      segment.sequence += below(2000);
      break;
    case Trick::kSynAck:
      segment.flags = kTcpSyn | kTcpAck;
      segment.sequence += ahead;
      break;
    case Trick::kKeepAliveOctet:
      segment.sequence -= 1;
      forged.text = "U";
      break;
    case Trick::kBytesBehind:
      forged.text = kInvented;
      segment.sequence -= static_cast<uint32_t>(forged.text.size());
      break;
    case Trick::kBytesAhead:
      forged.text = kInvented;
      segment.sequence += 1 + below(2000);
      break;
    case Trick::kBytesNext:
      forged.text = kInvented;
      break;
  }
  segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(forged.text.size());
  std::vector<Sent> all(real.begin(), real.begin() + static_cast<ptrdiff_t>(behind) + 1);
  all.push_back(forged);
  all.insert(all.end(), real.begin() + static_cast<ptrdiff_t>(behind) + 1, real.end());
  return all;
}

TEST(Adversary, OnPathOneSegmentDoesWhatTheDocumentsSay) {
  const uint64_t seeds = repetitions("TCP_SNIFFER_ADVERSARY_SEEDS", 300, 20);
  for (const auto& [trick, name, harmless] : kTricks) {
    SCOPED_TRACE(name);
    uint64_t changed = 0;
    for (uint64_t seed = 0; seed < seeds; seed++) {
      SCOPED_TRACE("seed " + std::to_string(seed));
      std::mt19937_64 random(seed);
      const Conversation conversation(random, static_cast<uint16_t>(40000 + seed % 2),
                                      seed % 4 == 3 ? View::kMidstream : View::kWhole);
      // When both sides have spoken, and before the end.
      const auto& sent = conversation.sent;
      // A stream met in its middle may begin with the forged bytes.
      if (trick == Trick::kBytesBehind && (sent[0].segment.flags & kTcpSyn) == 0) continue;
      size_t first = 1;
      while (sent[first].segment.side == sent[0].segment.side) first++;
      if (sent.size() < first + 6) continue;
      const size_t behind = first + random() % (sent.size() - first - 5);
      const Outcome expected = play(conversation.sent);
      const Outcome got = play(with_trick(random, conversation.sent, behind, trick));
      const std::string changes = difference(expected, got);
      changed += changes.empty() ? 0 : 1;
      if (harmless) {
        ASSERT_EQ(changes, "") << "behind segment " << behind;
      }
    }
    std::printf("%s changes %llu of %llu connections\n", std::string(name).c_str(),
                static_cast<unsigned long long>(changed), static_cast<unsigned long long>(seeds));
  }
}

}  // namespace
}  // namespace tcp_sniffer::adversary_test
