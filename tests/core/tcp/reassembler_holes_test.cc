#include <gtest/gtest.h>

#include <string>

#include "support/reassembler_wire.h"

// When a hole is given up, and what waits for what.
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

// ---------------------------------------------------------------- each other's order

TEST(ReassemblerOrder, AResponseWaitsForTheLostPartOfItsRequest) {
  Wire wire;
  wire.handshake();
  wire.client(0, "re", {.ack = 0});
  wire.server(0, "RESPONSE", {.ack = 7});
  EXPECT_EQ(wire.order(), " c:re");
  wire.client(2, "quest", {.ack = 0});
  EXPECT_EQ(wire.order(), " c:re c:quest s:RESPONSE");
}

TEST(ReassemblerOrder, AResponseCapturedBeforeItsRequestWaits) {
  Wire wire;
  wire.handshake();
  wire.server(0, "RESPONSE", {.ack = 7});
  EXPECT_EQ(wire.order(), "");
  wire.client(0, "request", {.ack = 0});
  EXPECT_EQ(wire.order(), " c:request s:RESPONSE");
}

TEST(ReassemblerOrder, TheWaitEndsWithTheHole) {
  Wire wire;
  wire.handshake();
  wire.client(0, "re", {.ack = 0});
  wire.server(0, "RESPONSE", {.ack = 7});
  wire.wait(1000 * kMs);
  wire.client(7, "next", {.ack = 8});
  EXPECT_EQ(wire.order(), " c:re c:{lost 5} s:RESPONSE c:next");
}

TEST(ReassemblerOrder, BytesSentBeforeTheLostOnesWereReceivedDoNotWait) {
  Wire wire;
  wire.handshake();
  wire.server(0, "EARLY", {.ack = 0});
  wire.server(5, "LATE", {.ack = 3});
  EXPECT_EQ(wire.order(), " s:EARLY");
  wire.client(0, "abc", {.ack = 0});
  EXPECT_EQ(wire.order(), " s:EARLY c:abc s:LATE");
}

TEST(ReassemblerOrder, NobodyWaitsForASideThatIsNotCaptured) {
  Wire wire;
  wire.server(0, "RESPONSE", {.ack = 7});
  wire.server(8, "NEXT", {.ack = 70});
  EXPECT_EQ(wire.order(), " s:RESPONSE s:NEXT");
}

TEST(ReassemblerOrder, OfTwoThatWaitForEachOtherTheFirstCapturedGoesFirst) {
  Wire wire;
  wire.handshake();
  // Both are retransmissions that acknowledge the other's bytes.
  wire.client(0, "request", {.ack = 8});
  wire.server(0, "RESPONSE", {.ack = 7});
  EXPECT_EQ(wire.order(), " c:request s:RESPONSE");
}

TEST(ReassemblerOrder, AFullBufferEndsTheWaitForTheOtherSide) {
  WireOptions options;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  const std::string kilobyte(1024, 'x');
  for (int i = 0; i < 5; i++) wire.server(i * 1024, kilobyte, {.ack = 7});
  EXPECT_EQ(wire.order().substr(0, 16), " c:{lost 7} s:xx");
}

TEST(ReassemblerOrder, AFullBufferDoesNotWaitForALostFinOfTheOtherSide) {
  WireOptions options;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  wire.client(0, "request", {.ack = 0});
  const std::string kilobyte(1024, 'x');
  for (int i = 0; i < 5; i++) wire.server(i * 1024, kilobyte, {.ack = 8});
  EXPECT_EQ(wire.order().substr(0, 20), " c:request s:xxxxxxx");
}

// ---------------------------------------------------------------- refusal by the protocol

TEST(ReassemblerRefusal, RefusedBytesAreOfferedAgainWhenTheOtherSideMovesOn) {
  Wire wire;
  wire.handshake();
  wire.protocol.takes_at_most[1] = 0;
  wire.client(0, "req", {.ack = 0});
  wire.server(0, "RESPONSE", {.ack = 3});
  EXPECT_EQ(wire.order(), " c:req");
  wire.protocol.takes_at_most[1] = 100;
  wire.client(3, "uest", {.ack = 0});
  EXPECT_EQ(wire.order(), " c:req c:uest s:RESPONSE");
}

TEST(ReassemblerRefusal, ARefusedSideIsNotWaitedFor) {
  Wire wire;
  wire.handshake();
  wire.protocol.takes_at_most[1] = 0;
  wire.client(0, "req", {.ack = 0});
  wire.server(0, "EARLY", {.ack = 3});
  // The rest of the request acknowledges what the protocol does not want yet, and more.
  wire.client(3, "uest", {.ack = 20});
  EXPECT_EQ(wire.order(), " c:req c:uest");
  wire.protocol.takes_at_most[1] = 100;
  wire.server(5, "MORE", {.ack = 7});
  EXPECT_EQ(wire.order(), " c:req c:uest s:EARLY s:MORE");
}

TEST(ReassemblerRefusal, AFullBufferForcesWhatWasRefused) {
  WireOptions options;
  options.settings.buffer_max = 4096;
  Wire wire(options);
  wire.handshake();
  wire.protocol.takes_at_most[0] = 0;
  const std::string kilobyte(1024, 'x');
  for (int i = 0; i < 4; i++) wire.client(i * 1024, kilobyte, {.ack = 0});
  EXPECT_EQ(wire.protocol.consumed, 0u);
  wire.client(4 * 1024, kilobyte, {.ack = 0});
  EXPECT_EQ(wire.protocol.consumed, 1024u);
}

TEST(ReassemblerRefusal, TheEndForcesWhatWasRefused) {
  Wire wire;
  wire.handshake();
  wire.protocol.takes_at_most[0] = 2;
  wire.client(0, "abc", {.ack = 0});
  wire.client(5, "fgh", {.ack = 0});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{lost 2}fgh");
}

// ---------------------------------------------------------------- the end

TEST(ReassemblerEnd, AFinActsWhenItsPlaceIsReachedAndTheOtherSideHasIt) {
  Wire wire;
  wire.handshake();
  wire.client(3, "", {.ack = 0, .flags = kTcpFin});
  wire.server(0, "", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "");
  wire.client(0, "abc", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.server(0, "", {.ack = 3});
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.server(0, "", {.ack = 4});
  EXPECT_EQ(wire.client_sent(), "abc{end}");
}

TEST(ReassemblerEnd, AFinThatTheOtherSideHadBeforeActsAtOnce) {
  Wire wire;
  wire.handshake();
  wire.client(3, "", {.ack = 0, .flags = kTcpFin});
  wire.server(0, "", {.ack = 4});
  wire.client(0, "abc", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{end}");
}

TEST(ReassemblerEnd, BytesBehindAFinThatWasAcknowledgedAreNoPartOfTheStream) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .flags = kTcpFin});
  wire.server(0, "", {.ack = 4});
  wire.client(2, "cXX", {.ack = 0});
  wire.client(4, "YY", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{end}");
  EXPECT_EQ(wire.count(ShardCounter::out_of_window), 3u);
}

TEST(ReassemblerEnd, LaterBytesBehindAFinTakeItBack) {
  for (const int64_t forged : {0, 1, 3, 4, 4000, 4 << 20}) {
    Wire wire;
    wire.handshake();
    wire.client(0, "abc", {.ack = 0});
    wire.client(3 + forged, "", {.ack = 0, .flags = kTcpFin});
    wire.client(3, "defg", {.ack = 0});
    wire.server(0, "", {.ack = 7});
    wire.client(7, "hi", {.ack = 0, .flags = kTcpFin});
    EXPECT_EQ(wire.client_sent(), "abcdefghi") << forged;
    wire.server(0, "", {.ack = 10});
    EXPECT_EQ(wire.client_sent(), "abcdefghi{end}") << forged;
  }
}

TEST(ReassemblerEnd, AFinInFrontOfBytesThatWaitIsForged) {
  Wire wire;
  wire.handshake();
  wire.client(1, "bcXX", {.ack = 0});
  wire.client(3, "", {.ack = 0, .flags = kTcpFin});
  wire.client(0, "a", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcXX");
}

TEST(ReassemblerEnd, AFinOfASideWhoseAcknowledgmentsAreNotCapturedActsAfterTheTimeout) {
  Wire wire;
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(0, "abc", {.ack = 0, .flags = kTcpFin});
  wire.wait(1999 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(1 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{end}");
}

TEST(ReassemblerEnd, ALostFinIsGuessedAndTakenBackWhenTheStreamGoesOn) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.server(0, "", {.ack = 4});
  wire.server(0, "", {.ack = 4});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  EXPECT_TRUE(wire.stream(kClient).ended);
  wire.client(4, "efg", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{lost 1}efg");
}

TEST(ReassemblerEnd, ALostFinIsTheEndWhenTheConnectionIsOver) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.server(0, "", {.ack = 4});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{end}");
  EXPECT_EQ(wire.count(ShardCounter::missing), 0u);
}

TEST(ReassemblerEnd, ABodyUntilTheCloseIsNotWholeBecauseTheCaptureEnds) {
  for (const bool other_side_ended : {false, true}) {
    Wire wire;
    wire.handshake();
    wire.protocol.until_close_answer[0] = true;
    wire.client(0, "abc", {.ack = 0});
    wire.server(0, "", {.ack = 4, .flags = other_side_ended ? kTcpFin : uint8_t{0}});
    wire.flush();
    EXPECT_EQ(wire.client_sent(), other_side_ended ? "abc{end}" : "abc{lost 1}");
  }
}

TEST(ReassemblerEnd, WithinAMessageAnAcknowledgedByteIsAByte) {
  Wire wire;
  wire.handshake();
  wire.protocol.in_message_answer[0] = true;
  wire.client(0, "abc", {.ack = 0});
  wire.server(0, "", {.ack = 4});
  wire.server(0, "", {.ack = 4});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 1}");
}

TEST(ReassemblerEnd, AResetEndsTheStreamWhereItStandsWhenTheConnectionIsOver) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(3, "", {.flags = kTcpRst});
  EXPECT_TRUE(wire.stream(kClient).was_reset());
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{end}");
}

TEST(ReassemblerEnd, AResetThatTheStreamIgnoresIsTakenBack) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(3, "", {.flags = kTcpRst});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_FALSE(wire.stream(kClient).was_reset());
}

TEST(ReassemblerEnd, AResetIsTakenBackWhenItsSenderAcknowledgesMore) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(3, "", {.flags = kTcpRst});
  wire.server(0, "ABC", {.ack = 3});
  EXPECT_TRUE(wire.stream(kClient).was_reset());
  wire.client(3, "", {.ack = 3});
  EXPECT_FALSE(wire.stream(kClient).was_reset());
}

TEST(ReassemblerEnd, AResetAtTheLastAcknowledgmentCounts) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abcdef", {.ack = 0});
  wire.server(0, "ABC", {.ack = 4});
  wire.client(4, "", {.flags = kTcpRst});
  EXPECT_TRUE(wire.stream(kClient).was_reset());
}

TEST(ReassemblerEnd, AResetOfASideThatWasNotSeenCountsWhereTheOtherWaits) {
  Wire wire;
  wire.client(100, "abc", {.ack = 50});
  wire.server(51, "", {.flags = kTcpRst});
  wire.server(49, "", {.flags = kTcpRst});
  wire.server(1 << 30, "", {.flags = kTcpRst});
  EXPECT_FALSE(wire.stream(kServer).was_reset());
  wire.server(50, "", {.flags = kTcpRst});
  EXPECT_TRUE(wire.stream(kServer).was_reset());
  wire.client(103, "def", {.ack = 60});
  EXPECT_FALSE(wire.stream(kServer).was_reset());
  EXPECT_EQ(wire.client_sent(), "abcdef");
}

TEST(ReassemblerEnd, AResetOutsideTheWindowEndsNothing) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(5 << 20, "", {.flags = kTcpRst});
  wire.client(1, "", {.flags = kTcpRst});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
}

TEST(ReassemblerEnd, AResetAheadIsProvenForgedByBytesBehindIt) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(5, "", {.flags = kTcpRst});
  wire.client(3, "defghi", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghi");
  EXPECT_FALSE(wire.stream(kClient).ended);
}

TEST(ReassemblerEnd, AResetBehindAHoleWaitsUntilTheHoleIsProven) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(6, "", {.flags = kTcpRst});
  wire.wait(60'000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  EXPECT_FALSE(wire.stream(kClient).was_reset());
  wire.server(0, "", {.ack = 6});
  wire.wait(1000 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{lost 3}");
  EXPECT_TRUE(wire.stream(kClient).was_reset());
}

TEST(ReassemblerEnd, WhatAResetCarriesIsNoData) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(3, "go away", {.flags = kTcpRst});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{end}");
  EXPECT_EQ(wire.count(ShardCounter::out_of_window), 7u);
}

TEST(ReassemblerEnd, AResetBehindAFinSaysThatNothingIsWantedAnyMore) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .flags = kTcpFin});
  EXPECT_FALSE(wire.stream(kClient).was_reset());
  wire.client(4, "", {.flags = kTcpRst});
  EXPECT_TRUE(wire.stream(kClient).was_reset());
  wire.server(0, "", {.ack = 4});
  EXPECT_TRUE(wire.stream(kClient).was_reset());
  EXPECT_EQ(wire.client_sent(), "abc{end}");
}

TEST(ReassemblerEnd, FlushReportsEveryHoleInTheOrderOfTheCapture) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.server(5, "FGH", {.ack = 20});
  wire.client(20, "xyz", {.ack = 8});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{lost 17}xyz");
  EXPECT_EQ(wire.server_sent(), "{lost 5}FGH");
  EXPECT_EQ(wire.order(), " c:abc s:{lost 5} c:{lost 17} s:FGH c:xyz");
}

TEST(ReassemblerEnd, FlushReportsAnAcknowledgedTail) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.server(0, "ABC", {.ack = 3});
  wire.client(3, "", {.ack = 9});
  wire.flush();
  EXPECT_EQ(wire.server_sent(), "ABC{lost 6}");
}

TEST(ReassemblerEnd, FlushReportsWhatIsMissingBeforeAFin) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(9, "", {.ack = 0, .flags = kTcpFin});
  wire.server(0, "", {.ack = 10});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{lost 6}{end}");
}

TEST(ReassemblerEnd, FlushDoesNotBelieveAFinThatNothingLeadsTo) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(9, "", {.ack = 0, .flags = kTcpFin});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc");
}

}  // namespace
}  // namespace tcp_sniffer::reassembler_holes_test
