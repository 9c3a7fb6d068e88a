#include "core/tcp/reassembler.h"

#include <gtest/gtest.h>

#include <string>

#include "support/reassembler_wire.h"

namespace tcp_sniffer::reassembler_test {
namespace {

using namespace reassembler_wire;

// ---------------------------------------------------------------- five faults of another assembler

TEST(ReassemblerFaults, NoByteIsLostWhereTheSequenceNumberWraps) {
  for (const uint32_t before_wrap : {0u, 1u, 4u, 5u, 9u, 14u, 15u}) {
    Wire wire({.client_start = 0u - before_wrap});
    wire.handshake();
    wire.client(0, "abcde", {.ack = 0});
    wire.client(10, "klmno", {.ack = 0});
    wire.client(5, "fghij", {.ack = 0});
    wire.client(15, "p", {.ack = 0, .flags = kTcpFin});
    wire.server(0, "", {.ack = 17});
    EXPECT_EQ(wire.client_sent(), "abcdefghijklmnop{end}") << before_wrap;
  }
}

TEST(ReassemblerFaults, AHoleOverTheWrapIsReportedAsItIs) {
  Wire wire({.client_start = 0xfffffffc});
  wire.handshake();
  wire.client(0, "ab", {.ack = 0});
  wire.client(8, "ij", {.ack = 0});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "ab{lost 6}ij");
}

TEST(ReassemblerFaults, ACoalescedRetransmissionDeliversItsNewBytes) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abcde");
  wire.client(0, "abcdefghij");
  EXPECT_EQ(wire.client_sent(), "abcdefghij");
  EXPECT_EQ(wire.count(ShardCounter::duplicate), 5u);
}

TEST(ReassemblerFaults, ACoalescedRetransmissionOverAHoleDeliversItsNewBytesOnce) {
  Wire wire;
  wire.handshake();
  wire.client(2, "cd");
  wire.client(6, "gh");
  wire.client(0, "abcdefghij");
  EXPECT_EQ(wire.client_sent(), "abcdefghij");
  EXPECT_EQ(wire.count(ShardCounter::duplicate), 4u);
}

TEST(ReassemblerFaults, RefusedBytesKeepTheirPlace) {
  Wire wire;
  wire.handshake();
  wire.protocol.takes_at_most[0] = 3;
  wire.client(0, "abcde");
  wire.client(5, "fghij");
  wire.client(12, "mn");
  EXPECT_EQ(wire.client_sent(), "abc");
  EXPECT_EQ(wire.count(ShardCounter::buffered), 9u);
  wire.protocol.takes_at_most[0] = 4;
  wire.client(10, "kl");
  EXPECT_EQ(wire.client_sent(), "abcdefg");
  wire.protocol.takes_at_most[0] = 1000;
  wire.server(0, "", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghijklmn");
  EXPECT_EQ(wire.pool.used_bytes(), 0u);
}

TEST(ReassemblerFaults, AFinThatCameTooEarlyEndsTheStreamInItsPlace) {
  Wire wire;
  wire.handshake();
  wire.client(5, "fghij", {.ack = 0, .flags = kTcpFin});
  EXPECT_EQ(wire.client_sent(), "");
  wire.client(2, "cde", {.ack = 0});
  wire.client(0, "ab", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghij");
  wire.server(0, "", {.ack = 11});
  EXPECT_EQ(wire.client_sent(), "abcdefghij{end}");
}

TEST(ReassemblerFaults, OneSidesFinLeavesTheOtherSideAlone) {
  Wire wire;
  wire.handshake();
  wire.client(0, "ab", {.ack = 0, .flags = kTcpFin});
  wire.server(4, "EF", {.ack = 3});
  wire.server(0, "ABCD", {.ack = 3});
  wire.server(6, "GH", {.ack = 3, .flags = kTcpFin});
  wire.client(3, "", {.ack = 9});
  EXPECT_EQ(wire.order(), " c:ab c:{end} s:ABCD s:EF s:GH s:{end}");
}

// ---------------------------------------------------------------- bytes

TEST(Reassembler, InOrderBytesAreDeliveredWithoutABuffer) {
  Wire wire;
  wire.handshake();
  for (int i = 0; i < 1000; i++) wire.client(i * 3, "abc", {.ack = 0});
  EXPECT_EQ(wire.protocol.consumed, 3000u);
  EXPECT_EQ(wire.pool.used_bytes(), 0u);
}

TEST(Reassembler, TheBufferGoesBackWhenTheHoleCloses) {
  Wire wire;
  wire.handshake();
  wire.client(3, "def");
  EXPECT_GT(wire.pool.used_bytes(), 0u);
  EXPECT_EQ(wire.count(ShardCounter::reorder_buffers), 1u);
  wire.client(0, "abc");
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_EQ(wire.pool.used_bytes(), 0u);
  EXPECT_EQ(wire.count(ShardCounter::reorder_buffers), 0u);
}

TEST(Reassembler, EachSegmentKeepsItsTimeAndAcknowledgment) {
  Wire wire;
  wire.handshake();
  wire.server(0, "1234567", {.ack = 0});
  wire.client(3, "def", {.ack = 7});
  wire.wait(5 * kMs);
  wire.client(0, "abc", {.ack = 4});
  const auto& metas = wire.protocol.metas;
  ASSERT_EQ(metas.size(), 3u);
  EXPECT_EQ(metas[1].time_ns - metas[2].time_ns, 5 * kMs);
  EXPECT_EQ(metas[1].acknowledged, kStreamOrigin + 4);
  EXPECT_EQ(metas[2].acknowledged, kStreamOrigin + 7);
}

TEST(Reassembler, DifferentBytesForTheSamePlaceAreCountedAndTheFirstWin) {
  Wire wire;
  wire.handshake();
  wire.client(2, "cd");
  wire.client(0, "abXd");
  EXPECT_EQ(wire.client_sent(), "abcd");
  EXPECT_EQ(wire.count(ShardCounter::conflicting), 1u);
}

TEST(Reassembler, AKeepAliveProbeIsADuplicate) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(2, std::string_view("\0", 1), {.ack = 0});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_EQ(wire.count(ShardCounter::duplicate), 1u);
}

TEST(Reassembler, AZeroWindowProbeCarriesTheNextByte) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(3, "d", {.ack = 0});
  wire.client(3, "d", {.ack = 0});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
}

TEST(Reassembler, UrgentBytesStayInLine) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .flags = kTcpUrg | kTcpPsh});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
}

TEST(Reassembler, DataWithTheSynIsTheBeginning) {
  Wire wire;
  wire.client(-1, "abc", {.flags = kTcpSyn});
  // The server did not take the data (RFC 7413 section 3): it is sent again.
  wire.server(-1, "", {.ack = 0, .flags = kTcpSyn});
  wire.client(0, "abcdef", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_EQ(wire.count(ShardCounter::duplicate), 3u);
}

TEST(Reassembler, BytesTheSnaplenCutOffAreReportedInTheirPlace) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  wire.client(10, "klm", {.ack = 0, .cut_off = 2});
  EXPECT_EQ(wire.client_sent(), "abc{cut 7}klm");
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "abc{cut 7}klm{cut 2}");
}

TEST(Reassembler, AWholeCopyFillsWhatTheSnaplenCutOff) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  wire.server(0, "", {.ack = 10});
  wire.client(2, "cdefghij", {.ack = 0});
  wire.client(10, "klm", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdefghijklm");
}

TEST(Reassembler, APartOfACopyFillsAPartOfWhatTheSnaplenCutOff) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  wire.client(3, "def", {.ack = 0});
  wire.client(8, "ij", {.ack = 0});
  wire.client(10, "klm", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef{cut 4}klm");
}

TEST(Reassembler, WhatTheSnaplenCutOffIsWaitedForASecondAtMost) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  wire.wait(999 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.wait(1 * kMs);
  wire.sweep();
  EXPECT_EQ(wire.client_sent(), "abc{cut 7}");
}

TEST(Reassembler, TheAnswerDoesNotWaitForWhatTheSnaplenCutOff) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  wire.server(0, "ABC", {.ack = 10});
  EXPECT_EQ(wire.order(), " c:abc c:{cut 7} s:ABC");
}

TEST(Reassembler, CutOffBytesBehindAHoleAreReportedInTheirPlace) {
  Wire wire;
  wire.handshake();
  wire.client(10, "klm", {.ack = 0, .cut_off = 2});
  wire.client(15, "pq", {.ack = 0});
  wire.client(0, "abc", {.ack = 0, .cut_off = 7});
  EXPECT_EQ(wire.client_sent(), "abc{cut 7}klm{cut 2}pq");
}

TEST(Reassembler, ASegmentWithoutCapturedBytesIsStillPartOfTheStream) {
  Wire wire;
  wire.handshake();
  wire.client(0, "", {.ack = 0, .cut_off = 10});
  wire.client(10, "k", {.ack = 0, .flags = kTcpFin});
  wire.flush();
  EXPECT_EQ(wire.client_sent(), "{cut 10}k{end}");
}

// ---------------------------------------------------------------- the window

TEST(ReassemblerWindow, OneStraySegmentMovesNothing) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(5 << 20, "stray", {.ack = 0});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_EQ(wire.count(ShardCounter::out_of_window), 5u);
}

TEST(ReassemblerWindow, FourSegmentsThatContinueEachOtherMoveTheHead) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.client(5, "fgh", {.ack = 0});
  const int64_t far = 5 << 20;
  for (int i = 0; i < 3; i++) wire.client(far + i * 2, "xy", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc");
  wire.client(far + 6, "XY", {.ack = 0});
  wire.client(far + 8, "z", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc{lost 2}fgh{lost " + std::to_string(far + 6 - 8) + "}XYz");
}

TEST(ReassemblerWindow, FourStraysThatDoNotContinueEachOtherMoveNothing) {
  Wire wire;
  wire.handshake();
  const int64_t far = 5 << 20;
  for (int i = 0; i < 8; i++) wire.client(far + i * 3, "xy", {.ack = 0});
  wire.client(0, "abc", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abc");
}

TEST(ReassemblerWindow, StraysInterruptedByTheStreamMoveNothing) {
  Wire wire;
  wire.handshake();
  const int64_t far = 5 << 20;
  for (int i = 0; i < 8; i++) {
    wire.client(far + i * 2, "xy", {.ack = 0});
    wire.client(i, "a", {.ack = 0});
  }
  EXPECT_EQ(wire.client_sent(), "aaaaaaaa");
}

TEST(ReassemblerWindow, AnAnnouncedWindowReachesFurther) {
  Wire wire;
  wire.client(-1, "", {.flags = kTcpSyn, .window_scale = 8});
  wire.server(-1, "", {.ack = 0, .flags = kTcpSyn, .window_scale = 8});
  wire.server(0, "", {.ack = 0, .window = 0xffff});  // 16 MiB
  wire.client(10 << 20, "far", {.ack = 0});
  EXPECT_EQ(wire.count(ShardCounter::out_of_window), 0u);
  // Further than the buffer may grow: the hole is given up instead.
  EXPECT_EQ(wire.client_sent(), "{lost " + std::to_string(10 << 20) + "}far");
}

TEST(ReassemblerWindow, AnAcknowledgmentOfBytesNeverSentIsIgnored) {
  Wire wire;
  wire.handshake();
  wire.client(0, "abc", {.ack = 0});
  wire.server(0, "ABC", {.ack = 1 << 30});
  wire.wait(5000 * kMs);
  wire.server(3, "DEF", {.ack = 3});
  wire.client(3, "def", {.ack = 6});
  EXPECT_EQ(wire.client_sent(), "abcdef");
  EXPECT_EQ(wire.count(ShardCounter::missing), 0u);
}

// ---------------------------------------------------------------- origin

TEST(ReassemblerOrigin, AStreamMetInItsMiddleBeginsAtItsFirstSegment) {
  Wire wire;
  wire.client(100, "abc", {.ack = 50});
  wire.server(50, "xyz", {.ack = 103});
  EXPECT_EQ(wire.order(), " c:abc s:xyz");
}

TEST(ReassemblerOrigin, MovesBackUntilTheFirstDelivery) {
  Wire wire;
  wire.client(100, "", {.ack = 50});
  wire.server(50, "xyz", {.ack = 100});
  // Held, for it acknowledges bytes of the server that were not seen.
  wire.client(103, "def", {.ack = 56});
  wire.client(97, "789", {.ack = 53});
  wire.client(100, "abc", {.ack = 53});
  wire.server(53, "uvw", {.ack = 100});
  EXPECT_EQ(wire.order(), " s:xyz c:789 c:abc s:uvw c:def");
}

TEST(ReassemblerOrigin, DoesNotMoveBackForAnOldAcknowledgmentOrAProbe) {
  Wire wire;
  wire.client(100, "", {.ack = 50});
  wire.client(90, "", {.ack = 50});
  wire.client(99, std::string_view("\0", 1), {.ack = 50});
  wire.client(100, "abc", {.ack = 50});
  EXPECT_EQ(wire.client_sent(), "abc");
}

TEST(ReassemblerOrigin, AProbeIsNotTheBeginningOfAStream) {
  Wire wire;
  wire.client(99, std::string_view("\0", 1), {.ack = 50});
  wire.client(100, "abc", {.ack = 50});
  EXPECT_EQ(wire.client_sent(), "abc");
}

TEST(ReassemblerOrigin, ALostSynAckIsToldByTheHandshakesAcknowledgment) {
  Wire wire;
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(0, "", {.ack = 0});
  wire.client(0, "abc", {.ack = 0});
  wire.server(3, "DEF", {.ack = 3});  // the first segment with data was lost, too
  EXPECT_EQ(wire.server_sent(), "");
  wire.server(0, "ABC", {.ack = 3});
  EXPECT_EQ(wire.server_sent(), "ABCDEF");
}

TEST(ReassemblerOrigin, AnAcknowledgmentLongAfterTheHandshakeIsNoBeginning) {
  Wire wire;
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(500, "abc", {.ack = 700});
  Segment next;
  next.side = kServer;
  next.sequence = 0x80000000u + 700;
  EXPECT_FALSE(Reassembler::knows_start(wire.stream(kServer), next));
}

TEST(ReassemblerOrigin, ASynBehindItsDataChangesNothing) {
  Wire wire;
  wire.client(0, "abc", {.ack = 0});
  wire.client(-1, "", {.flags = kTcpSyn});
  wire.client(3, "def", {.ack = 0});
  EXPECT_EQ(wire.client_sent(), "abcdef");
}

TEST(ReassemblerOrigin, AFirstSegmentFarFromTheHintKeepsTheCoordinates) {
  Wire wire;
  wire.client(0, "abc", {.ack = 100});
  wire.client(3, "def", {.ack = 20 << 20});
  wire.server(21 << 20, "far", {.ack = 6});
  EXPECT_EQ(wire.server_sent(), "far");
  wire.client(6, "ghi", {.ack = (21 << 20) + 3});
  EXPECT_EQ(wire.client_sent(), "abcdefghi");
}

}  // namespace
}  // namespace tcp_sniffer::reassembler_test
