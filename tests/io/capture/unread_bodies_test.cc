#include "io/capture/unread_bodies.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "support/dispatcher_harness.h"

// Bodies that nobody looks at are not copied to their shard: that costs no message and no byte.
namespace tcp_sniffer::unread_bodies_test {
namespace {

using namespace dispatcher_harness;

constexpr uint16_t kPort = 2000;
constexpr uint8_t kPlain = kTcpAck | kTcpPsh;

struct Piece {
  bool from_server;
  uint32_t sequence;
  uint32_t acknowledgment;
  uint8_t flags;
  std::string payload;
  uint16_t port = kPort;
};

Packet frame_of(const Piece& piece) {
  Ipv4Fields ip;
  TcpFields fields;
  fields.source_port = piece.port;
  fields.sequence = piece.sequence;
  fields.acknowledgment = piece.acknowledgment;
  fields.flags = piece.flags;
  if (piece.from_server) {
    std::swap(ip.source, ip.destination);
    std::swap(fields.source_port, fields.destination_port);
  }
  return ethernet(0x0800, ipv4_tcp(ip, tcp(fields, text(piece.payload))));
}

// A capture thread and its shard, which is as far behind as the test lets it be.
class Pair {
 public:
  Pair(bool withholds, uint64_t body_max)
      : shard_(0, shard_settings(withholds, body_max), census_, queue_, true, events_),
        lane_(inbox_),
        dispatcher_(dispatcher_settings(withholds), {&lane_}, nullptr) {}
  ~Pair() { discard_lines(shard_, queue_); }

  // When every block is under way, the capture thread would wait for the shard.
  void give(const Piece& piece, int64_t time_ns) {
    if (lane_.in_flight() + 2 >= ThreadLane::kBlocks) run_shard(5);
    dispatcher_harness::give(dispatcher_, frame_of(piece), time_ns);
  }
  void send_open_block() { dispatcher_.flush(); }
  // The shard takes up to `blocks`.
  void run_shard(size_t blocks = ~size_t{0}) {
    PacketBlock* block = nullptr;
    for (size_t i = 0; i < blocks && inbox_.try_dequeue(block); i++) {
      shard_.process(*block);
      shard_.check_invariants();
      shard_.take_unread_notes(block->unread);
      lane_.give_back(block);
    }
    collect();
  }
  void finish() {
    dispatcher_.finish();
    run_shard();
    shard_.drain();
    collect();
    std::sort(lines.begin(), lines.end());
  }
  uint64_t count(ShardCounter counter) const { return shard_.counters().get(counter); }
  uint64_t uncopied() const { return dispatcher_.counters().get(FrameCounter::uncopied_bytes); }

  std::vector<std::string> lines;

 private:
  static ShardSettings shard_settings(bool withholds, uint64_t body_max) {
    ShardSettings settings;
    settings.protocols.http.body_max = body_max;
    settings.notes_unread = withholds;
    return settings;
  }
  static DispatcherSettings dispatcher_settings(bool withholds) {
    DispatcherSettings settings;
    settings.may_withhold = withholds;
    return settings;
  }
  void collect() {
    shard_.output().flush();
    for (LineBlock* block = nullptr; queue_.try_dequeue(block);) {
      std::string_view rest(block->data, block->used);
      for (size_t end = 0; (end = rest.find('\n')) != std::string_view::npos;) {
        lines.emplace_back(rest.substr(0, end));
        rest.remove_prefix(end + 1);
      }
      block->owner->give_back(block);
    }
  }

  LineQueue queue_;
  shard_harness::RecordedEvents events_;
  ConnectionCensus census_{1};
  Shard shard_;
  PacketQueue inbox_;
  ThreadLane lane_;
  Dispatcher dispatcher_;
};

std::string head_of(size_t length) {
  return "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(length) + "\r\n\r\n";
}

// A body that looks like messages wherever it is looked at.
std::string body_of(size_t size) {
  static const std::string kText = "\r\n\r\nHTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nabc";
  std::string body;
  while (body.size() < size) body += kText;
  body.resize(size);
  return body;
}

// The pieces of a connection that asks for bodies of these sizes, one after the other.
std::vector<Piece> download(uint16_t port, const std::vector<size_t>& sizes,
                            size_t segment_size = 1400, bool looks_like_http = true) {
  std::vector<Piece> pieces;
  uint32_t client = 1000;
  uint32_t server = 0xffff0000;  // its numbers wrap
  pieces.push_back({false, client++, 0, kTcpSyn, "", port});
  pieces.push_back({true, server++, client, kTcpSyn | kTcpAck, "", port});
  for (const size_t size : sizes) {
    const std::string request = "GET /" + std::to_string(size) + " HTTP/1.1\r\n\r\n";
    pieces.push_back({false, client, server, kPlain, request, port});
    client += static_cast<uint32_t>(request.size());
    const std::string answer =
        head_of(size) + (looks_like_http ? body_of(size) : std::string(size, 'x'));
    for (size_t at = 0; at < answer.size(); at += segment_size) {
      const std::string part = answer.substr(at, segment_size);
      pieces.push_back({true, server, client, kTcpAck, part, port});
      server += static_cast<uint32_t>(part.size());
      if (at / segment_size % 2 == 1) pieces.push_back({false, client, server, kTcpAck, "", port});
    }
    pieces.push_back({false, client, server, kTcpAck, "", port});
  }
  pieces.push_back({true, server, client, kTcpFin | kTcpAck, "", port});
  pieces.push_back({false, client, server + 1, kTcpFin | kTcpAck, "", port});
  pieces.push_back({true, server + 1, client + 1, kTcpAck, "", port});
  return pieces;
}

TEST(UnreadBodies, ADownloadWithoutBodiesIsHardlyCopied) {
  Pair pair(true, 0), copying(false, 0);
  int64_t time_ns = kStartNs;
  for (const Piece& piece : download(kPort, {1'000'000, 100, 500'000})) {
    for (Pair* each : {&pair, &copying}) {
      each->give(piece, time_ns);
      each->send_open_block();
      each->run_shard();
    }
    time_ns += 10'000;
  }
  pair.finish();
  copying.finish();
  EXPECT_EQ(pair.lines, copying.lines);
  ASSERT_EQ(pair.lines.size(), 6u);
  EXPECT_GT(pair.uncopied(), 1'200'000u);
  for (const ShardCounter counter : {ShardCounter::captured, ShardCounter::parsed}) {
    EXPECT_EQ(pair.count(counter), copying.count(counter));
  }
  EXPECT_EQ(copying.uncopied(), 0u);
}

TEST(UnreadBodies, OfABodyThatIsKeptInPartTheRestIsNotCopied) {
  Pair pair(true, 100'000), copying(false, 100'000);
  int64_t time_ns = kStartNs;
  for (const Piece& piece : download(kPort, {1'000'000, 90'000})) {
    for (Pair* each : {&pair, &copying}) {
      each->give(piece, time_ns);
      each->send_open_block();
      each->run_shard();
    }
    time_ns += 10'000;
  }
  pair.finish();
  copying.finish();
  EXPECT_EQ(pair.lines, copying.lines);
  EXPECT_GT(pair.uncopied(), 700'000u);
  EXPECT_LT(pair.uncopied(), 900'000u);
}

// What the capture thread believes is old by as many blocks as are under way.
TEST(UnreadBodies, AShardThatIsBehindLosesNothing) {
  Pair pair(true, 0);
  int64_t time_ns = kStartNs;
  size_t given = 0;
  for (const Piece& piece : download(kPort, {2'000'000, 50, 2'000'000})) {
    pair.give(piece, time_ns += 10'000);
    if (++given % 20 == 0) pair.send_open_block();
  }
  pair.finish();
  ASSERT_EQ(pair.lines.size(), 6u);
  for (const std::string& line : pair.lines) {
    EXPECT_EQ(line.find("incomplete"), std::string::npos) << line;
  }
  EXPECT_GT(pair.uncopied(), 1'000'000u);
}

// The client's next request is lost, or its end is seen, in the middle of a body: the server's
// segments acknowledge what is not there, and wait for nobody all the same.
TEST(UnreadBodies, WhatTheClientSendsMeanwhileMakesNoDifference) {
  for (const bool ends : {false, true}) {
    Pair pair(true, 0), copying(false, 0);
    int64_t time_ns = kStartNs;
    size_t given = 0;
    const std::vector<Piece> pieces = download(kPort, {1'000'000});
    for (Piece piece : pieces) {
      if (given > 200 && piece.from_server) piece.acknowledgment += ends ? 1 : 40;
      if (given > 200 && !piece.from_server) piece.sequence += ends ? 1 : 40;
      for (Pair* each : {&pair, &copying}) {
        if (given == 200 && ends) {
          each->give({false, piece.sequence, piece.acknowledgment, kTcpFin | kTcpAck, ""}, time_ns);
        }
        each->give(piece, time_ns);
        if (given % 7 == 0) each->send_open_block();
        if (given % 30 == 0) each->run_shard();
      }
      given++;
      time_ns += 10'000;
    }
    pair.finish();
    copying.finish();
    EXPECT_EQ(pair.lines, copying.lines) << ends;
    EXPECT_GT(pair.uncopied(), 400'000u) << ends;
    EXPECT_EQ(pair.count(ShardCounter::captured), copying.count(ShardCounter::captured)) << ends;
  }
}

TEST(UnreadBodies, ASegmentThatHasToBeLookedAtAfterAllIsSaidToBeCut) {
  // The shard has given the connection up meanwhile: it is met in its middle.
  Pair pair(true, 0), copying(false, 0);
  int64_t time_ns = kStartNs;
  size_t given = 0;
  for (const Piece& piece : download(kPort, {400'000}, 1400, false)) {
    if (++given == 150) time_ns += 400'000'000'000;  // idle
    time_ns += 10'000;
    for (Pair* each : {&pair, &copying}) {
      each->give(piece, time_ns);
      each->send_open_block();
      each->run_shard();
    }
  }
  pair.finish();
  copying.finish();
  EXPECT_EQ(pair.lines, copying.lines);
  ASSERT_EQ(pair.lines.size(), 2u);
  EXPECT_NE(pair.lines[1].find("\"incomplete\":\"idle\""), std::string::npos) << pair.lines[1];
  EXPECT_EQ(copying.count(ShardCounter::missing), 0u);
  // Once, and then the capture thread knows.
  EXPECT_EQ(pair.count(ShardCounter::missing), 1400 - kPayloadHeadBytes);
}

// Lost, repeated, doubled and exchanged frames, and a shard that is now and then far behind: the
// same lines as with copies of everything.
TEST(UnreadBodies, OverDamagedCapturesTheLinesAreTheSame) {
  uint64_t uncopied = 0;
  for (uint32_t seed = 0; seed < 60; seed++) {
    std::mt19937 random(seed);
    const auto below = [&](uint32_t most) { return static_cast<uint32_t>(random() % most); };
    const auto chance = [&](uint32_t in) { return below(in) == 0; };
    std::vector<std::vector<Piece>> connections;
    for (uint16_t i = 0; i < 3; i++) {
      std::vector<size_t> sizes;
      for (uint32_t n = 1 + below(3); n > 0; n--) sizes.push_back(below(400'000));
      connections.push_back(
          download(static_cast<uint16_t>(kPort + i), sizes, chance(2) ? 1400 : 9000));
    }
    // Interleaved, then damaged.
    std::vector<Piece> all;
    std::vector<size_t> at(connections.size(), 0);
    for (;;) {
      std::vector<size_t> left;
      for (size_t i = 0; i < at.size(); i++) {
        if (at[i] < connections[i].size()) left.push_back(i);
      }
      if (left.empty()) break;
      const size_t from = left[below(static_cast<uint32_t>(left.size()))];
      for (uint32_t n = 1 + below(20); n > 0 && at[from] < connections[from].size(); n--) {
        all.push_back(connections[from][at[from]++]);
      }
    }
    const uint32_t kind = seed % 5;
    std::vector<Piece> damaged;
    for (size_t i = 0; i < all.size(); i++) {
      if (kind == 1 && chance(100)) continue;
      if (kind == 2 && i + 1 < all.size() && chance(50)) std::swap(all[i], all[i + 1]);
      damaged.push_back(all[i]);
      if (kind == 3 && chance(30)) damaged.push_back(all[i - std::min<size_t>(i, below(30))]);
      if (kind == 4) damaged.push_back(all[i]);
    }
    Pair pair(true, seed % 2 == 0 ? 0 : 50'000);
    Pair copying(false, seed % 2 == 0 ? 0 : 50'000);
    int64_t time_ns = kStartNs;
    const uint32_t every = 1 + below(100);
    for (const Piece& piece : damaged) {
      for (Pair* each : {&pair, &copying}) each->give(piece, time_ns);
      time_ns += 20'000;
      if (chance(10)) pair.send_open_block();
      if (chance(every)) pair.run_shard(1 + below(20));
      if (chance(10)) copying.send_open_block(), copying.run_shard();
    }
    pair.finish();
    copying.finish();
    EXPECT_EQ(pair.lines, copying.lines) << seed;
    EXPECT_EQ(pair.count(ShardCounter::missing), copying.count(ShardCounter::missing)) << seed;
    uncopied += pair.uncopied();
  }
  EXPECT_GT(uncopied, 3'000'000u);
}

TEST(WithoutShards, ALargePayloadIsNotCopied) {
  const std::string large(9000, 'l');
  for (const bool at_once : {false, true}) {
    RecordingLane lane;
    lane.at_once = at_once;
    Dispatcher dispatcher({}, {&lane}, nullptr);
    give(dispatcher, frame_of({true, 1000, 2000, kPlain, "small"}), kStartNs);
    give(dispatcher, frame_of({true, 1005, 2000, kPlain, large}), kStartNs);
    EXPECT_EQ(lane.sent.size(), at_once ? 1u : 0u);
    dispatcher.flush();
    ASSERT_EQ(lane.sent.size(), 1u);
    EXPECT_EQ(lane.sent[0].payloads, (std::vector<std::string>{"small", large}));
    EXPECT_EQ(lane.sent[0].copied_bytes, at_once ? 5u : 9005u);
  }
}

// ---------------------------------------------------------------- the notes themselves

Segment segment_of(uint32_t sequence, uint32_t size, uint8_t flags = kTcpAck) {
  Segment segment;
  segment.key = shard_harness::key_of(kPort);
  segment.flow_hash = shard_harness::hash_of(segment.key);
  segment.side = Side::kHigh;
  segment.sequence = sequence;
  segment.payload_size = segment.payload_wire_size = size;
  segment.flags = flags;
  return segment;
}

UnreadNote note_of(uint32_t from, uint32_t to) {
  const Segment segment = segment_of(0, 0);
  return {segment.flow_hash, segment.key, from, to, Side::kHigh};
}

TEST(UnreadNotes, HoldOnlyForWhatFollowsWithoutAHole) {
  UnreadBodies bodies;
  bodies.hand_over(segment_of(1000, 1000));
  const std::vector<UnreadNote> notes = {note_of(2000, 100'000)};
  EXPECT_FALSE(bodies.covers(segment_of(2000, 1000))) << "nothing is noted";
  bodies.learn(notes);
  EXPECT_TRUE(bodies.covers(segment_of(2000, 1000)));
  EXPECT_FALSE(bodies.covers(segment_of(3000, 1000))) << "a hole in front of it";
  EXPECT_FALSE(bodies.covers(segment_of(1500, 1000))) << "repeated in part";
  EXPECT_FALSE(bodies.covers(segment_of(2000, 1000, kTcpAck | kTcpFin)));
  EXPECT_FALSE(bodies.covers(segment_of(2000, 98'001))) << "beyond what is noted";
  EXPECT_TRUE(bodies.covers(segment_of(2000, 98'000)));
  Segment cut = segment_of(2000, 1000);
  cut.payload_wire_size = 1400;
  EXPECT_FALSE(bodies.covers(cut));
  Segment other_side = segment_of(2000, 1000);
  other_side.side = Side::kLow;
  EXPECT_FALSE(bodies.covers(other_side));
  // One is lost: not before the shard has told anew, from behind the hole.
  bodies.hand_over(segment_of(4000, 1000));
  EXPECT_FALSE(bodies.covers(segment_of(5000, 1000)));
  bodies.learn(notes);
  EXPECT_FALSE(bodies.covers(segment_of(5000, 1000)));
  const std::vector<UnreadNote> newer = {note_of(4000, 100'000)};
  bodies.learn(newer);
  EXPECT_TRUE(bodies.covers(segment_of(5000, 1000)));
  // What came before again changes nothing; the end of the connection does.
  bodies.hand_over(segment_of(1000, 1000));
  EXPECT_TRUE(bodies.covers(segment_of(5000, 1000)));
  bodies.hand_over(segment_of(0, 0, kTcpSyn));
  EXPECT_FALSE(bodies.covers(segment_of(5000, 1000)));
}

}  // namespace
}  // namespace tcp_sniffer::unread_bodies_test
