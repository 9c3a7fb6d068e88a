#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "capture_file.h"
#include "damage.h"
#include "frame_edit.h"
#include "packets/packet_builder.h"
#include "packets/pcap.h"

namespace pcapdamage {
namespace {

using namespace tcp_sniffer::packets;

constexpr std::uint32_t kClientOrigin = 1000;
constexpr std::uint32_t kServerOrigin = 5000;

// 0xffff when the TCP checksum of an IPv4 packet of link type RAW is right (RFC 9293, 3.1).
std::uint32_t tcp_checksum_sum(const Frame& frame) {
  const std::span<const std::uint8_t> ip(frame.bytes);
  const Packet ends(ip.begin() + 12, ip.begin() + 20);
  const Packet pseudo =
      ends + be16(kTcpProtocol) + be16(static_cast<std::uint32_t>(ip.size() - 20));
  return fold(ones_sum(pseudo) + ones_sum(ip.subspan(20)));
}

// An IPv4 TCP segment with an odd-positioned SACK block (one NOP before it) and `payload_bytes`.
Frame make_segment(bool from_client, std::uint32_t sequence, std::uint32_t acknowledgment,
                   std::size_t payload_bytes) {
  TcpFields tcp_fields{.source_port = 40000,
                       .destination_port = 80,
                       .sequence = sequence,
                       .acknowledgment = acknowledgment,
                       .flags = 0x10,
                       .window = 256};
  tcp_fields.options =
      bytes({1, 5, 10}) + be32(acknowledgment + 10) + be32(acknowledgment + 20) + bytes({0});
  Ipv4Fields ip_fields{.id = 7};
  if (!from_client) {
    std::swap(tcp_fields.source_port, tcp_fields.destination_port);
    std::swap(ip_fields.source, ip_fields.destination);
  }
  Packet payload(payload_bytes);
  for (std::size_t i = 0; i < payload_bytes; ++i) {
    payload[i] = static_cast<std::uint8_t>(i * 7 + 3);
  }
  Frame frame;
  frame.bytes = ipv4_tcp(ip_fields, tcp(tcp_fields, payload));
  frame.wire_length = static_cast<std::uint32_t>(frame.bytes.size());
  return frame;
}

CaptureFile make_capture(std::size_t frames) {
  CaptureFile capture;
  capture.link_type = kLinkRaw;
  std::uint32_t client = kClientOrigin;
  std::uint32_t server = kServerOrigin;
  for (std::size_t i = 0; i < frames; ++i) {
    const bool from_client = i % 2 == 0;
    Frame frame = from_client ? make_segment(true, client, server, 100)
                              : make_segment(false, server, client, 100);
    (from_client ? client : server) += 100;
    frame.time_ns = 1'000'000 * (i + 1);
    capture.frames.push_back(std::move(frame));
  }
  return capture;
}

std::vector<std::uint64_t> times(const CaptureFile& capture) {
  std::vector<std::uint64_t> result;
  for (const Frame& frame : capture.frames) result.push_back(frame.time_ns);
  return result;
}

std::multiset<std::string> contents(const CaptureFile& capture) {
  std::multiset<std::string> result;
  for (const Frame& frame : capture.frames) result.emplace(frame.bytes.begin(), frame.bytes.end());
  return result;
}

std::string file_bytes(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(CaptureFile, ReadingWhatWasWrittenGivesTheSameInEveryByteOrderAndResolution) {
  const std::string path = testing::TempDir() + "pcapdamage_round_trip.pcap";
  for (const bool big_endian : {false, true}) {
    for (const bool nanoseconds : {false, true}) {
      CaptureFile written = make_capture(5);
      written.big_endian = big_endian;
      written.nanoseconds = nanoseconds;
      if (nanoseconds) written.frames[2].time_ns += 7;
      ASSERT_EQ(write_capture(path, written), "");
      CaptureFile read;
      ASSERT_EQ(read_capture(path, read), "");
      EXPECT_EQ(read.big_endian, big_endian);
      EXPECT_EQ(read.nanoseconds, nanoseconds);
      EXPECT_EQ(read.link_type, kLinkRaw);
      EXPECT_EQ(times(read), times(written));
      EXPECT_EQ(contents(read), contents(written));
    }
  }
  std::filesystem::remove(path);
}

TEST(CaptureFile, AFileCutAnywhereIsRefusedOrEndsBetweenRecords) {
  const std::string path = testing::TempDir() + "pcapdamage_cut.pcap";
  ASSERT_EQ(write_capture(path, make_capture(2)), "");
  const std::string whole = file_bytes(path);
  const std::size_t record_bytes = (whole.size() - 24) / 2;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    std::ofstream(path, std::ios::binary | std::ios::trunc)
        .write(whole.data(), static_cast<std::streamsize>(length));
    CaptureFile read;
    const bool between_records = length >= 24 && (length - 24) % record_bytes == 0;
    EXPECT_EQ(read_capture(path, read).empty(), between_records) << length;
  }
  std::filesystem::remove(path);
}

TEST(Damage, NoOptionsChangeNothing) {
  CaptureFile capture = make_capture(20);
  const CaptureFile before = capture;
  damage_capture(capture, {});
  EXPECT_EQ(times(capture), times(before));
  EXPECT_EQ(contents(capture), contents(before));
}

TEST(Damage, CutAndListedFramesGoByTheirNumberInTheInput) {
  CaptureFile capture = make_capture(8);
  damage_capture(capture, {.cut_start = 2, .drop_frames = {1, 4, 8}});
  EXPECT_EQ(times(capture),
            (std::vector<std::uint64_t>{3'000'000, 5'000'000, 6'000'000, 7'000'000}));
}

TEST(Damage, SequenceNumbersPassZeroAtTheChosenByteAndChecksumsStayRight) {
  CaptureFile capture = make_capture(10);
  damage_capture(capture, {.wrap_after = 150});
  std::map<bool, std::uint32_t> expected = {{true, 0U - 150}, {false, 0U - 150}};
  for (std::size_t i = 0; i < capture.frames.size(); ++i) {
    const Frame& frame = capture.frames[i];
    const bool from_client = i % 2 == 0;
    EXPECT_EQ(read_be32(frame.bytes, 24), expected[from_client]);
    EXPECT_EQ(read_be32(frame.bytes, 28), expected[!from_client]);
    EXPECT_EQ(read_be32(frame.bytes, 43), expected[!from_client] + 10) << "SACK edge";
    EXPECT_EQ(tcp_checksum_sum(frame), 0xffffU);
    expected[from_client] += 100;
  }
}

TEST(Damage, AWrongChecksumStaysWrong) {
  CaptureFile capture = make_capture(2);
  capture.frames[0].bytes[36] ^= 0x55;
  damage_capture(capture, {.wrap_after = 10});
  EXPECT_NE(tcp_checksum_sum(capture.frames[0]), 0xffffU);
  EXPECT_EQ(tcp_checksum_sum(capture.frames[1]), 0xffffU);
}

TEST(Damage, FragmentsJoinToTheWholePacketAndHaveRightHeaderChecksums) {
  const Frame whole = make_segment(true, 1, 2, 1000);
  const std::vector<Frame> fragments = fragment_frame(whole, kLinkRaw, 300, 9);
  ASSERT_EQ(fragments.size(), 4U);
  std::vector<std::uint8_t> joined(whole.bytes.begin(), whole.bytes.begin() + 20);
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const std::span<const std::uint8_t> ip(fragments[i].bytes);
    EXPECT_LE(ip.size(), 300U);
    EXPECT_EQ(read_be16(ip, 2), ip.size());
    EXPECT_EQ(fold(ones_sum(ip.first(20))), 0xffffU);
    const std::uint32_t offset = (read_be16(ip, 6) & 0x1fffU) * 8;
    EXPECT_EQ(offset, joined.size() - 20);
    EXPECT_EQ((read_be16(ip, 6) & 0x2000) != 0, i + 1 < fragments.size());
    joined.insert(joined.end(), ip.begin() + 20, ip.end());
  }
  EXPECT_TRUE(
      std::equal(joined.begin() + 20, joined.end(), whole.bytes.begin() + 20, whole.bytes.end()));
}

TEST(Damage, Ipv6FragmentsCarryTheSameIdentificationAndJoinToTheWholePacket) {
  const Frame ipv4 = make_segment(true, 1, 2, 500);
  const auto payload_bytes = static_cast<int>(ipv4.bytes.size() - 20);
  Frame whole;
  whole.bytes = bytes({0x60, 0, 0, 0}) + be16(payload_bytes) + bytes({kTcpProtocol, 64});
  for (std::uint32_t word = 0; word < 8; ++word)
    whole.bytes = whole.bytes + be32(0xfd000000 + word);
  whole.bytes.insert(whole.bytes.end(), ipv4.bytes.begin() + 20, ipv4.bytes.end());
  const std::vector<Frame> fragments = fragment_frame(whole, kLinkRaw, 248, 0xabcdef01);
  ASSERT_EQ(fragments.size(), 3U);
  std::vector<std::uint8_t> joined(whole.bytes.begin(), whole.bytes.begin() + 40);
  for (std::size_t i = 0; i < fragments.size(); ++i) {
    const std::span<const std::uint8_t> ip(fragments[i].bytes);
    EXPECT_LE(ip.size(), 248U);
    EXPECT_EQ(read_be16(ip, 4), ip.size() - 40);
    EXPECT_EQ(ip[6], 44);
    EXPECT_EQ(ip[40], 6);
    EXPECT_EQ(read_be16(ip, 42) & 0xfff8U, joined.size() - 40);
    EXPECT_EQ((read_be16(ip, 42) & 1) != 0, i + 1 < fragments.size());
    EXPECT_EQ(read_be32(ip, 44), 0xabcdef01U);
    joined.insert(joined.end(), ip.begin() + 48, ip.end());
  }
  EXPECT_EQ(joined, whole.bytes);
}

TEST(Damage, FaultsOnlyMoveAndCopyFramesAndTimesStayAscending) {
  for (std::uint64_t seed = 0; seed < 200; ++seed) {
    SCOPED_TRACE(seed);
    CaptureFile capture = make_capture(60);
    const CaptureFile before = capture;
    damage_capture(capture, {.seed = seed, .reorder_probability = 0.3, .reorder_distance = 5});
    EXPECT_EQ(contents(capture), contents(before));
    damage_capture(capture, {.seed = seed, .duplicate_probability = 0.3, .duplicate_distance = 4});
    EXPECT_GT(capture.frames.size(), before.frames.size());
    const std::vector<std::uint64_t> after = times(capture);
    EXPECT_TRUE(std::is_sorted(after.begin(), after.end()));
  }
}

TEST(Damage, TheSameSeedGivesTheSameCaptureAndAnotherSeedAnother) {
  const DamageOptions options{.seed = 4, .drop_probability = 0.2, .reorder_probability = 0.2};
  CaptureFile first = make_capture(100);
  CaptureFile second = first;
  CaptureFile other = first;
  damage_capture(first, options);
  damage_capture(second, options);
  damage_capture(other, {.seed = 5, .drop_probability = 0.2, .reorder_probability = 0.2});
  EXPECT_EQ(contents(first), contents(second));
  EXPECT_NE(contents(first), contents(other));
  EXPECT_LT(first.frames.size(), 95U);
}

TEST(Damage, SnaplenCutsBytesAndKeepsTheLengthOnTheWire) {
  CaptureFile capture = make_capture(2);
  const std::uint32_t wire_length = capture.frames[0].wire_length;
  damage_capture(capture, {.snaplen = 60});
  EXPECT_EQ(capture.frames[0].bytes.size(), 60U);
  EXPECT_EQ(capture.frames[0].wire_length, wire_length);
  EXPECT_EQ(capture.snaplen, 60U);
}

}  // namespace
}  // namespace pcapdamage
