// How streams end: FIN, RST, and the end of the capture.

#include <gtest/gtest.h>

#include <cstdint>

#include "support/reassembler_wire.h"

namespace tcp_sniffer::reassembler_ends_test {
namespace {

using namespace reassembler_wire;

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
  wire.wait(20 * kMs);  // a copy of the frame would come sooner
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
  wire.wait(20 * kMs);  // a copy of the frame would come sooner
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
}  // namespace tcp_sniffer::reassembler_ends_test
