#include "io/event/debug_log.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>
#include <thread>
#include <vector>

#include "core/line/segment_text.h"
#include "support/run_program.h"

namespace tcp_sniffer::debug_log_test {
namespace {

Segment segment_of(std::string_view payload) {
  Segment segment;
  segment.key.low_ip = segment.key.high_ip = kV4MappedPrefix;
  segment.key.low_ip[12] = segment.key.high_ip[12] = 10;
  segment.key.low_ip[15] = 1;
  segment.key.high_ip[15] = 2;
  segment.key.low_port = 40000;
  segment.key.high_port = 80;
  segment.flags = kTcpPsh | kTcpAck;
  segment.time_ns = 1740139200000000000;
  segment.frame = 12;
  segment.sequence = 1000;
  segment.acknowledgment = 2000;
  segment.payload = reinterpret_cast<const uint8_t*>(payload.data());
  segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(payload.size());
  return segment;
}

std::string line_of(const TracedSegment& traced) {
  std::string text;
  append_segment_line(traced, text);
  return text;
}

TEST(SegmentText, LineTellsWhatBecameOfTheSegment) {
  const Segment segment = segment_of("hello");
  TracedSegment traced{.segment = segment, .fate = SegmentFate::kDelivered, .fate_bytes = 5};
  traced.followed = traced.acknowledgment_known = true;
  traced.connection_id = 0xabc;
  traced.relative_sequence = 1;
  traced.relative_acknowledgment = 77;
  EXPECT_EQ(line_of(traced),
            "2025-02-21T12:00:00.000000Z 12 10.0.0.1:40000 > 10.0.0.2:80 [PA] seq 1 ack 77 len 5 "
            "delivered 0000000000000abc\n");
}

TEST(SegmentText, PartOfASegmentIsCounted) {
  const Segment segment = segment_of("hello");
  TracedSegment traced{.segment = segment, .fate = SegmentFate::kBuffered, .fate_bytes = 2};
  EXPECT_NE(line_of(traced).find("len 5 buffered 2\n"), std::string::npos);
}

TEST(SegmentText, NumbersAreAbsoluteWithoutAConnection) {
  const Segment segment = segment_of("hello");
  TracedSegment traced{.segment = segment, .fate = SegmentFate::kRefused, .fate_bytes = 5};
  EXPECT_NE(line_of(traced).find("seq 1000* ack 2000* len 5 refused\n"), std::string::npos);
}

TEST(SegmentText, HexDumpShowsOffsetBytesAndCharacters) {
  const std::string bytes = "GET / HTTP/1.1\r\n\x01\xff|";
  std::string text;
  append_hex_dump({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}, text);
  EXPECT_EQ(text,
            "    00000  47 45 54 20 2f 20 48 54  54 50 2f 31 2e 31 0d 0a  |GET / HTTP/1.1..|\n"
            "    00010  01 ff 7c                                          |..||\n");
}

TEST(DebugLog, LinesOfSeveralShardsAreWhole) {
  TemporaryFolder folder;
  const std::string payload(300, 'x');
  {
    DebugLog log(true);
    ASSERT_FALSE(log.open((folder / "log").string()));
    std::vector<std::thread> shards;
    for (int shard = 0; shard < 4; shard++) {
      shards.emplace_back([section = log.add_section(), &payload] {
        const Segment segment = segment_of(payload);
        const TracedSegment traced{
            .segment = segment, .fate = SegmentFate::kDelivered, .fate_bytes = 300};
        for (int i = 0; i < 2000; i++) {
          section->on_segment(traced);
          if (i % 7 == 0) section->flush();
        }
        section->flush();
      });
    }
    for (std::thread& shard : shards) shard.join();
  }
  const Segment segment = segment_of(payload);
  std::string expected;
  append_segment_line({.segment = segment, .fate = SegmentFate::kDelivered, .fate_bytes = 300},
                      expected);
  append_hex_dump({segment.payload, segment.payload_size}, expected);
  const std::string text = content_of(folder / "log");
  ASSERT_EQ(text.size(), expected.size() * 4 * 2000);
  for (size_t at = 0; at < text.size(); at += expected.size()) {
    ASSERT_EQ(text.compare(at, expected.size(), expected), 0) << at;
  }
}

TEST(DebugLog, FileIsTheOwnersAloneAndBeginsEmpty) {
  TemporaryFolder folder;
  for (int run = 0; run < 2; run++) {
    DebugLog log(false);
    ASSERT_FALSE(log.open((folder / "log").string()));
    const Segment segment = segment_of("x");
    SegmentTrace* section = log.add_section();
    section->on_segment({.segment = segment, .fate = SegmentFate::kDelivered, .fate_bytes = 1});
    section->flush();
  }
  EXPECT_EQ(lines_of(content_of(folder / "log")).size(), 1u);
  struct stat status {};
  ASSERT_EQ(stat((folder / "log").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST(DebugLog, SymbolicLinkIsNotFollowed) {
  TemporaryFolder folder;
  write_file(folder / "victim", "precious");
  std::filesystem::create_symlink(folder / "victim", folder / "log");
  DebugLog log(false);
  EXPECT_TRUE(log.open((folder / "log").string()));
  EXPECT_EQ(content_of(folder / "victim"), "precious");
}

TEST(DebugLog, FullDiskIsRememberedAndHarmsNothing) {
  DebugLog log(false);
  ASSERT_FALSE(log.open("/dev/full"));
  SegmentTrace* section = log.add_section();
  const Segment segment = segment_of("x");
  for (int i = 0; i < 3; i++) {
    section->on_segment({.segment = segment, .fate = SegmentFate::kDelivered, .fate_bytes = 1});
    section->flush();
  }
  EXPECT_EQ(log.error(), ENOSPC);
}

}  // namespace
}  // namespace tcp_sniffer::debug_log_test
