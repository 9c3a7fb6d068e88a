#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "shard/shard.h"
#include "support/shard_harness.h"

// Packed records are the same, whether their bodies are handed over where they lie or copied.
namespace tcp_sniffer::handed_over_bodies_test {
namespace {

using namespace shard_harness;

struct Options {
  bool hands_over = false;
  uint32_t seed = 1;
  size_t memory = size_t{256} << 20;
  void (*more)(ShardSettings&) = [](ShardSettings&) {};
};

// The output of a shard, and how many blocks came with a body's memory.
struct Output {
  std::string bytes;
  size_t handed_over = 0;
};

const std::vector<size_t>& sizes() {
  static const std::vector<size_t> kSizes = {0,
                                             10,
                                             kLargeBody - 1,
                                             kLargeBody,
                                             kLargeBody + 1,
                                             2 * kLargeBody - kBodyFront,
                                             2 * kLargeBody - kBodyFront + 1,
                                             2 * kLargeBody - kBodyFront - 8,
                                             2 * kLargeBody,
                                             2 * kLargeBody + 1,
                                             300'000,
                                             700'000,
                                             1'500'000};
  return kSizes;
}

std::string chunked(const std::string& body) {
  std::string coded;
  for (size_t at = 0; at < body.size(); at += 50'000) {
    const std::string part = body.substr(at, 50'000);
    char size[16];
    std::snprintf(size, sizeof(size), "%zx\r\n", part.size());
    coded += size + part + "\r\n";
  }
  return coded + "0\r\nTrailer: value\r\n\r\n";
}

// Every size, as text and as bytes, announced and chunked; a response at the end has no length.
std::string responses(std::mt19937& random) {
  std::string all;
  for (const size_t size : sizes()) {
    for (const bool is_text : {false, true}) {
      std::string body(size, 'x');
      for (char& byte : body) {
        byte = is_text ? static_cast<char>('a' + random() % 26) : static_cast<char>(random());
      }
      const std::string fields(random() % 3 * 2000, 'f');
      all += "HTTP/1.1 200 OK\r\nField: " + fields + "\r\n";
      all += random() % 2 == 0 ? "Content-Length: " + std::to_string(size) + "\r\n\r\n" + body
                               : "Transfer-Encoding: chunked\r\n\r\n" + chunked(body);
    }
  }
  return all + "HTTP/1.1 200 OK\r\n\r\n" + std::string(200'000, 'u');
}

Output output_of(const Options& options) {
  ShardSettings settings;
  settings.memory_bytes_max = options.memory;
  settings.lines.format = LineOptions::kPacked;
  settings.lines.binary_base64 = true;
  settings.protocols.http.hands_bodies_over = options.hands_over;
  options.more(settings);
  LineQueue queue;
  RecordedEvents events;
  ConnectionCensus census{1};
  Shard shard(0, settings, census, queue, false, events);
  Output output;
  const auto take_lines = [&] {
    shard.output().flush();
    for (LineBlock* lines = nullptr; queue.try_dequeue(lines);) {
      output.bytes.append(lines->data, lines->used);
      output.handed_over += lines->body ? 1 : 0;
      lines->owner->give_back(lines);
    }
  };

  std::mt19937 random(options.seed);
  std::string requests;
  for (size_t i = 0; i < 2 * sizes().size() + 1; i++) requests += "GET / HTTP/1.1\r\n\r\n";
  const std::string streams[] = {requests, responses(random)};
  Ends ends;
  const auto send = [&](Side side, uint8_t flags, std::string_view text) {
    PacketBlock block;
    Segment segment = ends.segment(1000, side, flags, text.size(), kStartNs);
    segment.flow_hash = hash_of(segment.key);
    // In memory of exactly its size, so that the sanitizer sees every byte too far.
    const std::vector<uint8_t> payload(text.begin(), text.end());
    segment.payload = payload.data();
    block.clock_ns = kStartNs;
    block.segments[block.count++] = segment;
    shard.process(block);
    shard.check_invariants();
    take_lines();
  };
  send(Side::kLow, kTcpSyn, "");
  send(Side::kHigh, kTcpSyn | kTcpAck, "");
  for (const Side side : {Side::kLow, Side::kHigh}) {
    std::string_view rest = streams[static_cast<size_t>(side)];
    while (!rest.empty()) {
      const std::string_view part = rest.substr(0, 1 + random() % 30'000);
      send(side, kTcpAck, part);
      rest.remove_prefix(part.size());
    }
    send(side, kTcpAck | kTcpFin, "");
  }
  shard.drain();
  take_lines();
  return output;
}

void expect_same(Options options) {
  for (options.seed = 1; options.seed <= 3; options.seed++) {
    options.hands_over = false;
    const Output copied = output_of(options);
    options.hands_over = true;
    const Output handed_over = output_of(options);
    EXPECT_EQ(copied.handed_over, 0u);
    EXPECT_GT(copied.bytes.size(), size_t{1} << 20);
    EXPECT_TRUE(copied.bytes == handed_over.bytes) << "seed " << options.seed;
  }
}

void with_whole_bodies(ShardSettings& settings) {
  settings.protocols.http.body_max = size_t{16} << 20;
}

TEST(HandedOverBodies, RecordsAreThoseOfCopiedBodies) {
  expect_same({});
  expect_same({.more = with_whole_bodies});
  EXPECT_GT(output_of({.hands_over = true, .more = with_whole_bodies}).handed_over, 10u);
}

TEST(HandedOverBodies, RecordsAreTheSameWhenMemoryIsShort) {
  for (const size_t memory : {size_t{3} << 20, size_t{6} << 20, size_t{20} << 20}) {
    expect_same({.memory = memory});
  }
}

TEST(HandedOverBodies, RecordsAreTheSameWhenBodiesAreCut) {
  expect_same(
      {.more = [](ShardSettings& settings) { settings.protocols.http.body_max = 2 * kLargeBody; }});
  expect_same(
      {.more = [](ShardSettings& settings) { settings.protocols.http.body_max = kLargeBody + 1; }});
}

TEST(HandedOverBodies, WhatIsHiddenInABodyStaysHidden) {
  expect_same({.more = [](ShardSettings& settings) {
    settings.redaction.patterns = {"[a-f]{2}"};
    settings.bodies.decode = true;
    settings.bodies.decoded_max = size_t{4} << 20;
  }});
}

TEST(HandedOverBodies, RecordsOfExchangesAreTheSame) {
  expect_same({.more = [](ShardSettings& settings) { settings.lines.by_exchange = true; }});
}

}  // namespace
}  // namespace tcp_sniffer::handed_over_bodies_test
