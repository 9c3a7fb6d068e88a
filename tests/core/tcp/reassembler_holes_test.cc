// When a hole is given up.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "support/reassembler_wire.h"

namespace tcp_sniffer::reassembler_holes_test {
namespace {

using namespace reassembler_wire;

// A client that has sent "abc", lost "def", sent "ghi".
struct HoleTest : testing::Test {
  Wire wire;

  HoleTest() {
    wire.handshake();
    wire.client(0, "abc", {.ack = 0});
    wire.client(6, "ghi", {.ack = 0});
  }
};

// ---------------------------------------------------------------- evidence

TEST_F(HoleTest, IsNotGivenUpWhileTheAcknowledgmentStandsBeforeIt) {
  wire.server(0, "", {.ack = 3});
  wire.wait(3'600'000 * kMs);
  for (int i = 0; i < 10; i++) wire.server(0, "", {.ack = 3});
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghi");
}

TEST_F(HoleTest, IsGivenUpASecondAfterItWasAcknowledged) {
  wire.server(0, "", {.ack = 9});
  wire.wait(999 * kMs);
  wire.server(0, "", {.ack = 9});
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(1 * kMs);
  wire.server(0, "", {.ack = 9});
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
}

TEST_F(HoleTest, IsGivenUpByASweepAtTheSameTime) {
  wire.server(0, "", {.ack = 9});
  EXPECT_TRUE(Reassembler::timed(wire.streams));
  wire.wait(999 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(1 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
  EXPECT_FALSE(Reassembler::timed(wire.streams));
}

TEST_F(HoleTest, ThreeAdvancingAcknowledgmentsAnd50MillisecondsProveTheLoss) {
  wire.server(0, "", {.ack = 7});
  for (int i = 0; i < 2; i++) {
    wire.wait(20 * kMs);
    wire.client(9 + i, "x", {.ack = 0});
    wire.server(0, "", {.ack = 9 + i});
  }
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(10 * kMs);
  wire.client(11, "y", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.server(0, "", {.ack = 12});
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghixxy");
}

TEST_F(HoleTest, ThreeAdvancingAcknowledgmentsAreNotEnoughBefore50Milliseconds) {
  for (int i = 0; i < 4; i++) wire.server(0, "", {.ack = 6 + i});
  wire.wait(49 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghi");
}

TEST_F(HoleTest, RepeatedAcknowledgmentsProveNothing) {
  wire.server(0, "", {.ack = 9});
  wire.wait(60 * kMs);
  for (int i = 0; i < 10; i++) wire.server(0, "", {.ack = 9});
  EXPECT_EQ(wire.client_sent(), "abc");
}

TEST_F(HoleTest, NoMoreIsGivenUpThanWasAcknowledged) {
  wire.server(0, "", {.ack = 5});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 2}");
  wire.client(5, "f", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{lost 2}fghi");
}

TEST_F(HoleTest, AnAcknowledgedTailWithNothingBehindItIsAHoleToo) {
  wire.client(3, "def", {.ack = 0});
  wire.server(0, "", {.ack = 20});
  wire.wait(20 * kMs);  // a copy of the frame would come sooner
  wire.server(0, "", {.ack = 20});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abcdefghi{lost 11}");
}

TEST_F(HoleTest, ATailIsGivenUpWhenItsSenderSaysThatItSentIt) {
  wire.client(3, "def", {.ack = 0});
  wire.server(0, "", {.ack = 20});
  wire.client(20, "", {.ack = 0});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abcdefghi{lost 11}");
}

TEST_F(HoleTest, ATailThatOneSegmentClaimsIsNotGivenUp) {
  wire.client(3, "def", {.ack = 0});
  wire.server(0, "", {.ack = 1000});
  wire.wait(60'000 * kMs);
  wire.sweep();
  wire.client(9, "jkl", {.ack = 0});
  wire.server(0, "", {.ack = 12});
  wire.wait(60'000 * kMs);
  wire.client(12, "mno", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghijklmno");
  EXPECT_EQ(wire.stream(kClient).acked, kStreamOrigin + 12);
}

TEST_F(HoleTest, SeveralHolesUnderOneAcknowledgmentAreGivenUpTogether) {
  wire.client(12, "mno", {.ack = 0});
  wire.client(18, "stu", {.ack = 0});
  wire.server(0, "", {.ack = 21});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi{lost 3}mno{lost 3}stu");
  EXPECT_EQ(wire.count(ShardCounter::gaps), 3u);
  EXPECT_EQ(wire.count(ShardCounter::missing), 9u);
}

TEST_F(HoleTest, ALaterHoleHasItsOwnTime) {
  wire.server(0, "", {.ack = 9});
  wire.wait(900 * kMs);
  wire.client(12, "mno", {.ack = 0});
  wire.server(0, "", {.ack = 15});
  wire.wait(100 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
  wire.wait(999 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
  wire.wait(1 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi{lost 3}mno");
}

TEST_F(HoleTest, ALateSweepChangesNothing) {
  // As before, but somebody looks only when both timers have run out.
  wire.server(0, "", {.ack = 9});
  wire.wait(900 * kMs);
  wire.client(12, "mno", {.ack = 0});
  wire.server(0, "", {.ack = 15});
  wire.wait(1100 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi{lost 3}mno");
}

TEST_F(HoleTest, BytesThatComeAfterAllAreCountedAsLate) {
  wire.server(0, "", {.ack = 9});
  wire.wait(1000 * kMs);
  wire.client(2, "cdefgh", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
  EXPECT_EQ(wire.count(ShardCounter::bridged_late), 3u);
  EXPECT_EQ(wire.count(ShardCounter::duplicate), 3u);
}

// ---------------------------------------------------------------- the other side is not captured

TEST(ReassemblerOneSided, AHoleIsGivenUpByTheTimeout) {
  WireOptions options;
  options.settings.gap_timeout_ns = 700 * kMs;
  Wire wire(options);
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(0, "abc", {.ack = 0});
  wire.client(6, "ghi", {.ack = 0});
  wire.wait(699 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(1 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghi");
}

TEST(ReassemblerOneSided, TheTimeoutEndsWhenTheOtherSideIsSeen) {
  Wire wire;
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(0, "abc", {.ack = 0});
  wire.client(6, "ghi", {.ack = 0});
  wire.wait(1900 * kMs);
  wire.server(0, "", {.ack = 3});
  wire.wait(10'000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
}

// ---------------------------------------------------------------- gapPolicy buffer

TEST(ReassemblerBufferPolicy, OnlyAFullBufferEndsTheWait) {
  WireOptions options;
  options.settings.by_evidence = false;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  const std::string kilobyte(1024, 'x');
  for (int i = 0; i < 3; i++) wire.client(10 + i * 1024, kilobyte, {.ack = 0});
  wire.server(0, "", {.ack = 3000});
  wire.wait(3'600'000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.client(10 + 3 * 1024, kilobyte, {.ack = 0});
  wire.client(10 + 4 * 1024, kilobyte, {.ack = 0});
  EXPECT_EQ(wire.client_sent().substr(0, 12), "abc{lost 7}x");
  EXPECT_EQ(wire.protocol.consumed, 3 + 5 * 1024u);
}

TEST(ReassemblerBufferPolicy, AFullBufferGivesUpTheFirstHoleOnly) {
  WireOptions options;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  const std::string text(1000, 'x');
  wire.client(100, text, {.ack = 0});
  wire.client(2000, text, {.ack = 0});
  wire.client(3900, text, {.ack = 0});
  EXPECT_EQ(wire.client_sent().substr(0, 12), "{lost 100}xx");
  EXPECT_EQ(wire.count(ShardCounter::missing), 100u);
  EXPECT_EQ(wire.count(ShardCounter::buffered), 2000u);
}

TEST(ReassemblerBufferPolicy, TheSegmentThatFillsTheHoleIsNotGivenUpForRoom) {
  WireOptions options;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  wire.client(100, std::string(3996, 'x'), {.ack = 0});
  wire.client(0, std::string(50, 'a'), {.ack = 0});
  wire.client(50, std::string(50, 'b'), {.ack = 0});
  EXPECT_EQ(wire.count(ShardCounter::missing), 0u);
  EXPECT_EQ(wire.protocol.consumed, 4096u);
}

// ---------------------------------------------------------------- memory

TEST(ReassemblerMemory, WithoutAnyMemoryEveryHoleIsGivenUpAtOnce) {
  WireOptions options;
  options.memory = 0;
  Wire wire(options);
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(6, "ghi", {.ack = 0});
  wire.client(9, "jkl", {.ack = 0, .cut_off = 3});
  wire.client(15, "pq", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}ghijkl{cut 3}pq");
  EXPECT_GT(wire.pool.refusals(), 0u);
}

TEST(ReassemblerMemory, WithoutAnyMemoryNothingIsRefusedByTheProtocol) {
  WireOptions options;
  options.memory = 0;
  Wire wire(options);
  wire.handshake();
  wire.protocol.takes_at_most[0] = 1;
  wire.client(0, "abc", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc");
}

TEST(ReassemblerMemory, ARefusalOfMemoryGivesUpTheOldestHole) {
  for (size_t limit = 0; limit < 20'000; limit += 256) {
    WireOptions options;
    options.memory = limit;
    Wire wire(options);
    wire.handshake();
    uint64_t sent = 0;
    for (int i = 0; i < 20; i++) {
      wire.client(10 + i * 700, std::string(600, static_cast<char>('a' + i)), {.ack = 0});
      sent += 600;
    }
    wire.flush();
    EXPECT_EQ(wire.protocol.consumed, sent);
    EXPECT_EQ(wire.protocol.missing, 10 + 19 * 100u);
  }
}

}  // namespace
}  // namespace tcp_sniffer::reassembler_holes_test
