#pragma once

#include <array>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "http_words.h"
#include "support/shard_harness.h"

// An input as a script of segments: settings, then steps, each with the connection and the side
// that it is about.
namespace tcp_sniffer::fuzz {

struct ScriptedSegment {
  Segment segment;
  std::string payload;
};

struct SegmentScript {
  ShardSettings settings;
  std::vector<ScriptedSegment> segments;
};

class SegmentScriptReader {
 public:
  explicit SegmentScriptReader(FuzzInput input) : input_(input) {}

  SegmentScript read() {
    read_settings();
    while (!input_.empty() && script_.segments.size() < kSegmentsMax) step();
    return std::move(script_);
  }

 private:
  static constexpr size_t kSegmentsMax = 150;
  static constexpr size_t kConnections = 4;

  struct Stream {
    uint32_t next = 0;  // sequence number of what the sender sends next
  };
  struct Talk {
    std::array<Stream, 2> streams;
  };

  void read_settings() {
    ShardSettings& settings = script_.settings;
    const uint8_t first = input_.u8();
    const uint8_t second = input_.u8();
    settings.protocols.speak("pop3", (first & 1) != 0);
    settings.allow_missing_init = (first & 2) == 0;
    settings.reassembly.by_evidence = (first & 4) == 0;
    settings.lines.raw_headers = (first & 8) != 0;
    if ((first & 16) != 0) settings.memory_bytes_max = 64 << 10;
    if ((first & 32) != 0) {
      settings.protocols.http.header_bytes_max = 1024;
      settings.protocols.http.headers_max = 3;
      settings.protocols.http.outstanding_max = 2;
    }
    settings.bodies.decode = (first & 64) != 0;
    settings.ignore_fsm_errors = (first & 128) == 0;
    if ((second & 1) != 0) settings.ports = PortSet(std::array<uint16_t, 1>{80});
    settings.lines.binary_base64 = (second & 2) != 0;
    settings.lines.extended = (second & 4) != 0;
    if ((second & 8) != 0) settings.protocols.http.body_max = 7;
    settings.bodies.decoded_max = settings.protocols.http.body_max;
    settings.check_tcp_options = (second & 16) != 0;
    if ((second & 32) != 0) settings.redaction.headers = {"host", "authorization"};
    if ((second & 64) != 0) settings.connections_max = 2;
    if ((second & 128) != 0) settings.reassembly.buffer_max = 4096;
    const uint32_t start = input_.u32();
    for (Talk& talk : talks_) {
      talk.streams[0].next = start;
      talk.streams[1].next = ~start;
    }
  }

  void step() {
    const uint8_t what = input_.u8();
    Talk& talk = talks_[what >> 3 & (kConnections - 1)];
    const Side side = (what & 32) != 0 ? Side::kHigh : Side::kLow;
    Stream& mine = talk.streams[static_cast<size_t>(side)];
    const Stream& theirs = talk.streams[static_cast<size_t>(other(side))];
    const auto index = static_cast<uint16_t>(&talk - talks_.data());
    Segment segment;
    segment.key = shard_harness::key_of(
        static_cast<uint16_t>(40000 + index),
        script_.settings.protocols.spoken[protocol_number("pop3")] ? 110 : 80);
    segment.side = side;
    segment.flags = kTcpAck;
    segment.sequence = mine.next;
    segment.acknowledgment = theirs.next;
    switch (what & 7) {
      case 0:  // words
        send(mine, segment, words());
        break;
      case 1:  // bytes as they are
        send(mine, segment, std::string(input_.text(input_.u8())));
        break;
      case 2:  // flags, perhaps with a word
        segment.flags = input_.u8();
        send(mine, segment, (what & 64) != 0 ? words() : "");
        break;
      case 3:  // the stream goes on elsewhere: what is between is lost, or sent again
        mine.next += static_cast<uint32_t>(static_cast<int16_t>(input_.u16()));
        break;
      case 4:  // a segment from elsewhere: the streams stay where they are
        segment.flags = input_.u8();
        segment.sequence += distance();
        segment.acknowledgment += distance();
        add(segment, (what & 64) != 0 ? words() : "");
        break;
      case 5:
        clock_ns_ += int64_t{shard_harness::kMs} << (input_.u8() & 15);
        break;
      case 6:  // cut by the snaplen, or an odd acknowledgment or window
        segment.acknowledgment += static_cast<uint32_t>(static_cast<int8_t>(input_.u8()));
        segment.window = input_.u8();
        cut_ = input_.u8() & 31;
        send(mine, segment, words());
        break;
      default:  // words again and again
        send(mine, segment, repeated());
        break;
    }
  }

  std::string words() {
    std::string text;
    for (size_t count = 1 + input_.below(6); count > 0; count--) {
      text += kWords[input_.below(std::size(kWords))];
    }
    return text;
  }
  std::string repeated() {
    const std::string_view word = kWords[input_.below(std::size(kWords))];
    std::string text;
    for (size_t count = 1 + input_.below(80); count > 0; count--) text += word;
    return text;
  }
  // Small, or as far as 2 GiB in either direction.
  uint32_t distance() {
    const uint8_t bits = input_.u8();
    const uint32_t value = (uint32_t{input_.u8()} | 1) << (bits & 31);
    return (bits & 128) != 0 ? ~value : value;
  }

  void send(Stream& mine, const Segment& segment, const std::string& payload) {
    const uint32_t flags = (segment.flags & kTcpSyn) != 0 ? 1 : 0;
    add(segment, payload);
    mine.next += static_cast<uint32_t>(payload.size()) + flags;
    if ((segment.flags & kTcpFin) != 0) mine.next++;
  }

  void add(Segment segment, std::string payload) {
    segment.payload_wire_size = static_cast<uint32_t>(payload.size());
    if (cut_ > 0) payload.resize(payload.size() - std::min(payload.size(), cut_));
    cut_ = 0;
    segment.payload_size = static_cast<uint32_t>(payload.size());
    segment.clock_ns = segment.time_ns = clock_ns_;
    segment.frame = script_.segments.size() + 1;
    clock_ns_ += 10'000;
    script_.segments.push_back({segment, std::move(payload)});
  }

  FuzzInput input_;
  SegmentScript script_;
  std::array<Talk, kConnections> talks_;
  int64_t clock_ns_ = shard_harness::kStartNs;
  size_t cut_ = 0;
};

}  // namespace tcp_sniffer::fuzz
