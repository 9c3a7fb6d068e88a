// What waits for what: for the other direction, and because the protocol refused it.

#include <gtest/gtest.h>

#include <string>

#include "support/reassembler_wire.h"

namespace tcp_sniffer::reassembler_order_test {
namespace {

using namespace reassembler_wire;

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

}  // namespace
}  // namespace tcp_sniffer::reassembler_order_test
