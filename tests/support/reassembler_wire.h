#pragma once

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "core/tcp/reassembler.h"

// A connection between a client (the low side) and a server, segment by segment, and a protocol
// that writes down what it is told. Offsets are relative: 0 is the first byte behind the SYN.
namespace tcp_sniffer::reassembler_wire {

constexpr int64_t kMs = 1'000'000;
constexpr Side kClient = Side::kLow;
constexpr Side kServer = Side::kHigh;

// Delivered bytes as they are, "{lost 5}" and "{cut 5}" for gaps, "{end}" for the end.
struct Recorder {
  std::array<std::string, 2> text;
  std::string order;  // the same of both sides, " c:" or " s:" in front of each
  uint64_t consumed = 0;
  uint64_t missing = 0;
  std::array<uint64_t, 2> takes_at_most = {~uint64_t{0}, ~uint64_t{0}};  // then it refuses
  std::array<uint64_t, 2> next = {0, 0};                                 // 0 = nothing came yet
  std::array<bool, 2> in_message_answer = {false, false};
  std::array<bool, 2> until_close_answer = {false, false};
  std::array<bool, 2> midstream = {false, false};
  std::deque<SegmentMeta> metas;
  bool offsets_continue = true;
  bool empty_calls = false;

  void say(Side side, std::string_view what) {
    text[static_cast<size_t>(side)] += what;
    order += side == kClient ? " c:" : " s:";
    order += what;
  }
  void move_on(Side side, uint64_t offset, uint64_t size) {
    uint64_t& expected = next[static_cast<size_t>(side)];
    offsets_continue &= expected == 0 || offset == expected;
    expected = offset + size;
  }

  uint32_t try_consume(Side side, uint64_t offset, std::span<const uint8_t> bytes,
                       const SegmentMeta& meta, bool force) {
    empty_calls |= bytes.empty();
    uint64_t& left = takes_at_most[static_cast<size_t>(side)];
    const auto size =
        force ? bytes.size() : static_cast<size_t>(std::min<uint64_t>(bytes.size(), left));
    left -= std::min<uint64_t>(left, size);
    if (size == 0) return 0;
    metas.push_back(meta);
    move_on(side, offset, size);
    consumed += size;
    say(side, {reinterpret_cast<const char*>(bytes.data()), size});
    return static_cast<uint32_t>(size);
  }
  bool pass_over(Side, uint64_t, const SegmentMeta&) { return false; }
  void on_gap(Side side, uint64_t offset, uint64_t length, GapCause cause) {
    move_on(side, offset, length);
    missing += length;
    say(side, (cause == GapCause::kLost ? "{lost " : "{cut ") + std::to_string(length) + "}");
  }
  void on_midstream(Side side) { midstream[static_cast<size_t>(side)] = true; }
  void on_beginning(Side) {}
  void on_end(Side side) { say(side, "{end}"); }
  bool in_message(Side side) const { return in_message_answer[static_cast<size_t>(side)]; }
  bool begins_message(std::span<const uint8_t>) const { return false; }
  bool ends_with_stream(Side side) const { return until_close_answer[static_cast<size_t>(side)]; }
};
static_assert(StreamProtocol<Recorder>);

struct WireOptions {
  ReassemblySettings settings = {};
  size_t memory = size_t{64} << 20;
  uint32_t client_start = 1000;  // sequence number of the first byte behind the SYN
  uint32_t server_start = 0x80000000;
};

constexpr int64_t kNone = -1;
constexpr int64_t kNoSynAck = -2;  // 0, but none with a SYN or RST

struct Extra {
  int64_t ack = kNoSynAck;  // offset of the other side that is acknowledged; kNone = no ACK flag
  uint8_t flags = 0;        // besides ACK
  uint32_t cut_off = 0;     // bytes the snaplen cut off behind the text
  uint16_t window = 0;
  uint8_t window_scale = kNoWindowScale;
};

class Wire {
 public:
  explicit Wire(const WireOptions& options = {})
      : options_(options), pool(options.memory), reassembler_(pool, counters, options.settings) {}
  ~Wire() {
    reassembler_.release(streams);
    EXPECT_EQ(pool.used_bytes(), 0u);
    EXPECT_FALSE(protocol.empty_calls);
    EXPECT_TRUE(protocol.offsets_continue);
  }
  Wire(const Wire&) = delete;
  Wire& operator=(const Wire&) = delete;

  void handshake() {
    client(-1, "", {.flags = kTcpSyn});
    server(-1, "", {.ack = 0, .flags = kTcpSyn});
    client(0, "", {.ack = 0});
  }

  void client(int64_t offset, std::string_view text, const Extra& extra = {}) {
    segment(kClient, offset, text, extra);
  }
  void server(int64_t offset, std::string_view text, const Extra& extra = {}) {
    segment(kServer, offset, text, extra);
  }
  void wait(int64_t duration_ns) { clock_ns += duration_ns; }
  // What a sweep does.
  void sweep() {
    reassembler_.advance_clock(streams, protocol, clock_ns);
    check();
  }
  void flush() {
    reassembler_.flush(streams, protocol, clock_ns);
    check();
    EXPECT_EQ(counters.get(ShardCounter::buffered), 0u);
  }

  const std::string& client_sent() const { return protocol.text[0]; }
  const std::string& server_sent() const { return protocol.text[1]; }
  const std::string& order() const { return protocol.order; }
  uint64_t count(ShardCounter counter) const { return counters.get(counter); }
  TcpStream& stream(Side side) { return streams[static_cast<size_t>(side)]; }

  // Every captured byte is somewhere, and only once.
  void check() {
    using C = ShardCounter;
    uint64_t buffered = 0;
    for (const TcpStream& s : streams) {
      if (s.reorder != nullptr) buffered += s.reorder->buffered_bytes();
    }
    ASSERT_EQ(counters.get(C::buffered), buffered);
    ASSERT_EQ(captured_, protocol.consumed + counters.get(C::duplicate) +
                             counters.get(C::bridged_late) + counters.get(C::out_of_window) +
                             counters.get(C::refused) + counters.get(C::evicted) + buffered);
    ASSERT_EQ(counters.get(C::missing), protocol.missing);
  }

 private:
  void segment(Side side, int64_t offset, std::string_view text, const Extra& extra) {
    // A copy of exactly this size, gone when the call is over, so that nobody keeps a view.
    std::vector<uint8_t> bytes(text.begin(), text.end());
    bytes.shrink_to_fit();
    const bool from_client = side == kClient;
    const uint32_t mine = from_client ? options_.client_start : options_.server_start;
    const uint32_t theirs = from_client ? options_.server_start : options_.client_start;
    Segment made;
    made.side = side;
    made.flags = extra.flags;
    made.sequence = mine + static_cast<uint32_t>(offset);
    const bool plain = (extra.flags & (kTcpSyn | kTcpRst)) == 0;
    const int64_t ack = extra.ack == kNoSynAck ? (plain ? 0 : kNone) : extra.ack;
    if (ack >= 0) {
      made.flags |= kTcpAck;
      made.acknowledgment = theirs + static_cast<uint32_t>(ack);
    }
    made.window = extra.window;
    made.clock_ns = made.time_ns = clock_ns;
    made.frame = ++frame_;
    made.payload = bytes.data();
    made.payload_size = static_cast<uint32_t>(bytes.size());
    made.payload_wire_size = made.payload_size + extra.cut_off;
    captured_ += bytes.size();
    if ((extra.flags & kTcpSyn) != 0) stream(side).window_scale = extra.window_scale;
    reassembler_.advance_clock(streams, protocol, clock_ns);
    reassembler_.on_segment(streams, protocol, made);
    check();
  }

  WireOptions options_;
  uint64_t captured_ = 0;
  uint64_t frame_ = 0;

 public:
  BufferPool pool;
  ShardCounters counters;
  TcpStreams streams;
  Recorder protocol;
  int64_t clock_ns = 1'000'000'000'000;

 private:
  Reassembler reassembler_;
};

}  // namespace tcp_sniffer::reassembler_wire
