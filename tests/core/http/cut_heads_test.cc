// Where segments cut a head decides nothing: every cut in two, and byte by byte, gives the same.

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/http/head.h"
#include "core/net/frame_decoder.h"
#include "support/capture_files.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::cut_heads_test {
namespace {

using namespace shard_harness;

// ---------------------------------------------------------------- whole conversations

// The client speaks, then the server, then both close.
struct Conversation {
  std::string_view client, server;
};

using Pieces = std::vector<std::string_view>;

Pieces in_steps(std::string_view text, size_t step) {
  Pieces pieces;
  for (; !text.empty(); text.remove_prefix(pieces.back().size())) {
    pieces.push_back(text.substr(0, step));
  }
  return pieces;
}

std::vector<std::string> lines_of(const Pieces& client, const Pieces& server) {
  ShardSettings settings;
  settings.ports = PortSet(std::array<uint16_t, 1>{80});
  ShardHarness harness(settings);
  Ends ends;
  const auto send = [&](Side side, uint8_t flags, std::string_view text) {
    harness.add(ends.segment(40000, side, flags, text.size(), kStartNs), text);
  };
  send(Side::kLow, kTcpSyn, {});
  send(Side::kHigh, kTcpSyn | kTcpAck, {});
  for (const std::string_view piece : client) send(Side::kLow, kTcpAck, piece);
  for (const std::string_view piece : server) send(Side::kHigh, kTcpAck, piece);
  send(Side::kHigh, kTcpAck | kTcpFin, {});
  send(Side::kLow, kTcpAck | kTcpFin, {});
  harness.drain();
  harness.check_ledger();
  return harness.lines;
}

TEST(CutHeads, OddConversationsGiveTheSameLinesForEveryCut) {
  constexpr std::string_view kAsked = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
  constexpr std::string_view kAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  const Conversation conversations[] = {
      {kAsked, kAnswer},
      {kAsked, "HTTP/1.1\t200\tOK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1  200  OK\nContent-Length : 2\n\nok"},
      {kAsked, "HTTP/1.0 2XX OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.0.8 200 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP 503 Busy\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "ICY 200 OK\r\nicy-name: a\r\n\r\nmusic"},
      {kAsked, "\r\n \r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "\rHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1 200 OK\rContent-Length: 2\r\rok"},
      {kAsked, "HTTP/1.1 200 OK\rContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1 200 O\rK: 1\nContent-Length: 2\r\r\nok"},
      {kAsked, "HTTP/1.1 200 OK\n\rContent-Length: 2\n\r\n\rok"},
      {kAsked, "HTTP/1.1 200 OK\r\r\nContent-Length: 2\r\n\r\nok"},
      {kAsked, "HTTP/1.1 200 OK\r\n A: 1\r\nB\r\n: c\r\nContent-Length:\r\n 2\r\n\r\nok"},
      {kAsked, "SSH-2.0-OpenSSH\r\nmore\r\n"},
      {kAsked, "220 mail\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
      {kAsked, "ICYX\r\n"},
      {kAsked, "HTT\r\n"},
      {"GET /x\r\nHost: a\r\n\r\n", kAnswer},
      {"GET HTTP/1.1\r\nHost: a\r\n\r\n", kAnswer},
      {"GET / http/1.1\r\nHost: a\r\n\r\n", kAnswer},
      {"GET / HTTP/1.0.8\r\nHost: a\r\n\r\n", kAnswer},
      {"GET /a b HTTP/1.1\nHost: a\n\n", kAnswer},
      {"GET / HTTP/1.1\rHost: a\r\r", kAnswer},
      {" \t\r\nGET  /\tHTTP/1.1\r\nHost: a\r\n\r\n", kAnswer},
      {"FROB /x HTTP/1.1\r\nHost: a\r\n\r\n", kAnswer},
      {"GET /old\r\n", "<html>\r\nold"},
      {"GET /old\r\n\r\n", "HTML HTTP/1.1"},
      {"GET /old\r", "hello world"},
      {"GET /old\r..\r\n", "hello world"},
      {"GET /old\rHost: a\r\n\r\n", kAnswer},
      {"GET /old\r\n", "\r\n hello"},
      {"GET /old\r\n", kAnswer},
      {"GET /old\r\n", "HT"},
      {"GET /key\r\nGET /key\r\n", "$1\r\n"},
      {"HEAD /old\r\n\r\n", kAnswer},
      {"EHLO a\r\n", "220 ready\r\n"},
      {"OPTIONS sip:a SIP/2.0\r\nVia: b\r\n\r\n", "SIP/2.0 200 OK\r\n\r\n"},
      {"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n \r\n2 \r\nab\r\n\n1;x\r\nc\r\n0\r\n"
       "A: 1\r\n\r\n",
       kAnswer},
      {kAsked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n\r\n\rdead beef"},
      {kAsked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\ndeadbeef is text\r\nmore"},
      {kAsked, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloworld"},
  };
  for (const Conversation& conversation : conversations) {
    const std::string_view client = conversation.client;
    const std::string_view server = conversation.server;
    SCOPED_TRACE(std::string(client) + "|" + std::string(server));
    const std::vector<std::string> whole = lines_of({client}, {server});
    EXPECT_EQ(lines_of(in_steps(client, 1), in_steps(server, 1)), whole);
    for (size_t cut = 1; cut < client.size(); ++cut) {
      ASSERT_EQ(lines_of({client.substr(0, cut), client.substr(cut)}, {server}), whole) << cut;
    }
    for (size_t cut = 1; cut < server.size(); ++cut) {
      ASSERT_EQ(lines_of({client}, {server.substr(0, cut), server.substr(cut)}), whole) << cut;
    }
  }
}

// ---------------------------------------------------------------- all heads of captures

void take_heads(const std::filesystem::path& path, std::set<std::string>& heads) {
  const FrameDecoder decoder({});
  for (const SeenFrame& frame : read_all({path.string()}).frames) {
    Segment segment;
    Fragment fragment;
    if (decoder.decode(static_cast<LinkType>(frame.link_type), frame.data, frame.wire_size, segment,
                       fragment) != FrameFate::kSegment) {
      continue;
    }
    const std::string_view text(reinterpret_cast<const char*>(segment.payload),
                                segment.payload_size);
    if (starts_like_message(text)) heads.emplace(text.substr(0, text.find("\r\n\r\n") + 5));
  }
}

std::set<std::string> all_heads() {
  std::set<std::string> heads;
  for (const std::string_view folder : {"/pcaps", "/../shared/corpus"}) {
    const std::filesystem::path directory = std::string(TCP_SNIFFER_SOURCE_DIR).append(folder);
    if (!std::filesystem::exists(directory)) continue;
    for (const auto& entry : std::filesystem::directory_iterator(directory)) {
      const std::string name = entry.path().filename();
      if (name.find(".pcap") == std::string::npos || name.ends_with("json")) continue;
      take_heads(entry.path(), heads);
    }
  }
  return heads;
}

// What a head was read as, all of it.
std::string text_of(HeadStatus status, const HttpHead& head) {
  std::string text = std::to_string(static_cast<int>(status));
  if (status != HeadStatus::kComplete) return text;
  text.append(" ").append(head.start.method).append(" ").append(head.start.target);
  text += std::to_string(head.start.status).append(head.start.reason);
  text += std::to_string(head.start.version_minor) + std::to_string(head.size);
  for (const HeaderField& field : head.fields) {
    text.append("\n").append(field.name).append("=").append(field.value);
  }
  for (size_t i = 0; i < kAnomalies; ++i) {
    text += head.anomalies.has(static_cast<Anomaly>(i)) ? '1' : '0';
  }
  return text;
}

TEST(CutHeads, EveryHeadOfTheCapturesIsReadTheSameForEveryCut) {
  HeadReader reader(262144, 1000);
  const std::set<std::string> heads = all_heads();
  EXPECT_GT(heads.size(), 50u);
  for (const std::string& head : heads) {
    HttpHead read;
    HeadProgress whole;
    const std::string expected = text_of(reader.read(head, whole, read), read);
    HeadProgress single;
    HeadStatus status = HeadStatus::kIncomplete;
    for (size_t size = 1; size <= head.size() && status == HeadStatus::kIncomplete; ++size) {
      const std::string_view bytes = std::string_view(head).substr(0, size);
      ASSERT_TRUE(expected[0] != '0' || guess_start(bytes) != StartGuess::kNo) << bytes;
      HeadProgress progress;
      HeadStatus cut = reader.read(bytes, progress, read);
      if (cut == HeadStatus::kIncomplete) cut = reader.read(head, progress, read);
      ASSERT_EQ(text_of(cut, read), expected) << "cut at " << size << ": " << head;
      status = reader.read(bytes, single, read);
    }
    EXPECT_EQ(text_of(status, read), expected) << "byte by byte: " << head;
  }
}

// ---------------------------------------------------------------- all heads of a few words

std::vector<std::string> sentences(size_t words_max) {
  constexpr std::string_view kWords[] = {"GET /", " HTTP/1.1", "HTTP/1.1 200 OK", "\r", "\n", "a",
                                         ":",     " ",         "\x16\x03\x01"};
  std::vector<std::string> made = {""};
  for (size_t from = 0, words = 0; words < words_max; ++words) {
    const size_t end = made.size();
    for (; from < end; ++from) {
      for (const std::string_view word : kWords) made.push_back(made[from] + std::string(word));
    }
  }
  return made;
}

TEST(CutHeads, EveryHeadOfAFewWordsIsReadTheSameForEveryCut) {
  constexpr decltype(&HeadReader::read) kKinds[] = {&HeadReader::read, &HeadReader::read_fields,
                                                    &HeadReader::read_candidate};
  HeadReader reader(4096, 16);
  HttpHead read;
  for (const std::string& head : sentences(4)) {
    for (const auto kind : kKinds) {
      HeadProgress whole;
      const std::string expected = text_of((reader.*kind)(head, whole, read), read);
      HeadProgress single;
      HeadStatus status = HeadStatus::kIncomplete;
      for (size_t size = 1; size <= head.size() && status == HeadStatus::kIncomplete; ++size) {
        const std::string_view bytes = std::string_view(head).substr(0, size);
        HeadProgress progress;
        HeadStatus cut = (reader.*kind)(bytes, progress, read);
        if (cut == HeadStatus::kIncomplete) cut = (reader.*kind)(head, progress, read);
        ASSERT_EQ(text_of(cut, read), expected) << "cut at " << size << ": " << head;
        status = (reader.*kind)(bytes, single, read);
      }
      ASSERT_EQ(text_of(status, read), expected) << "byte by byte: " << head;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::cut_heads_test
