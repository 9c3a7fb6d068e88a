#include "shard/overload_notes.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace tcp_sniffer::overload_notes_test {
namespace {

DropNote dropped(Side side, uint32_t end_sequence, uint64_t bytes) {
  DropNote note;
  note.side = side;
  note.end_sequence = end_sequence;
  note.bytes = bytes;
  return note;
}

// A connection of which the low side has sent 100 bytes from the sequence number 1000 on.
struct Delivered {
  Delivered() {
    TcpStream& stream = connection.streams[0];
    stream.set_origin(1000);
    stream.seen = true;
    stream.head = stream.offset_of(1100);
  }
  Connection connection;
};

TEST(OverloadNotes, AGapOfAConnectionWithoutNotesIsNotFromHere) {
  const Delivered a;
  const Delivered b;
  OverloadNotes notes;
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 0u);
  notes.note(b.connection, dropped(Side::kLow, 1150, 50));
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 0u);
  EXPECT_EQ(notes.take(b.connection, Side::kHigh, 50), 0u) << "the other side dropped nothing";
  EXPECT_EQ(notes.take(b.connection, Side::kLow, 50), 50u);
}

TEST(OverloadNotes, WhatWasDroppedIsSaidOnceOverAllGaps) {
  const Delivered a;
  OverloadNotes notes;
  notes.note(a.connection, dropped(Side::kLow, 1150, 30));
  notes.note(a.connection, dropped(Side::kLow, 1200, 40));
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 50u);
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 20u) << "the rest is of the network";
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 0u);
}

TEST(OverloadNotes, BytesThatHadComeBeforeAreNotNoted) {
  const Delivered a;
  OverloadNotes notes;
  notes.note(a.connection, dropped(Side::kLow, 1100, 100));
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 100), 0u);
  notes.note(a.connection, dropped(Side::kLow, 1101, 1));
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 100), 1u);
}

TEST(OverloadNotes, OfAStreamThatHasNotBegunEverythingIsNoted) {
  const Connection fresh;
  OverloadNotes notes;
  notes.note(fresh, dropped(Side::kHigh, 7, 100));
  EXPECT_EQ(notes.take(fresh, Side::kHigh, 1000), 100u);
}

TEST(OverloadNotes, TheNextConnectionAtTheSameAddressInheritsNothing) {
  const Delivered a;
  OverloadNotes notes;
  notes.note(a.connection, dropped(Side::kLow, 1150, 50));
  notes.forget(a.connection);
  EXPECT_EQ(notes.take(a.connection, Side::kLow, 50), 0u);
}

TEST(OverloadNotes, MoreThanFourGigabytesStayALargeNumber) {
  const Delivered a;
  OverloadNotes notes;
  notes.note(a.connection, dropped(Side::kLow, 1150, UINT64_C(1) << 32));
  notes.note(a.connection, dropped(Side::kLow, 1200, 5));
  EXPECT_EQ(notes.take(a.connection, Side::kLow, UINT64_C(1) << 40), UINT32_MAX);
}

}  // namespace
}  // namespace tcp_sniffer::overload_notes_test
