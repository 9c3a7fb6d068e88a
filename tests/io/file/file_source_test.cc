#include "io/file/file_source.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "support/capture_files.h"

namespace tcp_sniffer::file_source_test {
namespace {

constexpr uint32_t kMicro = 0xa1b2c3d4;
constexpr uint32_t kNano = 0xa1b23c4d;
constexpr uint32_t kModified = 0xa1b2cd34;

using FileSourceTest = CaptureFileTest;

Bytes small_pcap() {
  return pcap_header(kMicro, false) + pcap_packet(pattern(60, 1), 100, 7) +
         pcap_packet(pattern(5, 2), 101, 8) + pcap_packet({}, 102, 9, false, 40) +
         pcap_packet(pattern(33, 3), 103, 10);
}

std::vector<SeenFrame> small_pcap_frames() {
  return {seen(pattern(60, 1), 100'000'007'000), seen(pattern(5, 2), 101'000'008'000),
          seen({}, 102'000'009'000, 1, 40), seen(pattern(33, 3), 103'000'010'000)};
}

// --- pcap ------------------------------------------------------------------------------------

TEST_F(FileSourceTest, BothByteOrdersAndResolutionsOfPcapAreRead) {
  for (const bool big_endian : {false, true}) {
    for (const uint32_t magic : {kMicro, kNano}) {
      const std::string path =
          write("a", pcap_header(magic, big_endian, 113) +
                         pcap_packet(pattern(70, 5), 4'000'000'000, 999'999, big_endian, 1500));
      const ReadAll got = read_all({path});
      EXPECT_EQ(got.error, "");
      const int64_t fraction = magic == kMicro ? 999'999'000 : 999'999;
      EXPECT_EQ(got.frames, (std::vector<SeenFrame>{seen(
                                pattern(70, 5), 4'000'000'000'000'000'000 + fraction, 113, 1500)}));
    }
  }
}

TEST_F(FileSourceTest, TheModifiedFormatHasALongerPacketHeader) {
  const Bytes packet = Writer()
                           .u32(5)
                           .u32(6)
                           .u32(10)
                           .u32(20)
                           .u32(1)
                           .u16(0x800)
                           .u8(0)
                           .u8(0)
                           .raw(pattern(10, 1))
                           .bytes;
  const ReadAll got = read_all({write("a", pcap_header(kModified, false) + packet + packet)});
  EXPECT_EQ(got.error, "");
  const SeenFrame frame = seen(pattern(10, 1), 5'000'006'000, 1, 20);
  EXPECT_EQ(got.frames, (std::vector<SeenFrame>{frame, frame}));
}

TEST_F(FileSourceTest, OldNumbersOfRawIpAndFlagsAboveTheLinkTypeAreUnderstood) {
  for (const uint32_t written : {12U, 14U, 101U, 0x24000065U}) {
    const ReadAll got = read_all(
        {write("a", pcap_header(kMicro, false, written) + pcap_packet(pattern(20, 0), 1, 0))});
    ASSERT_EQ(got.frames.size(), 1U);
    EXPECT_EQ(got.frames[0].link_type, 101);
  }
}

TEST_F(FileSourceTest, ACapturedLengthBeyondTheWireLengthRaisesTheWireLength) {
  const ReadAll got = read_all(
      {write("a", pcap_header(kMicro, false) + pcap_packet(pattern(60, 1), 1, 0, false, 20))});
  EXPECT_EQ(got.frames, (std::vector<SeenFrame>{seen(pattern(60, 1), 1'000'000'000)}));
}

TEST_F(FileSourceTest, AFrameLongerThanTheFilesSnapshotLengthIsDeliveredWhole) {
  const ReadAll got = read_all(
      {write("a", pcap_header(kMicro, false, 1, 1500) + pcap_packet(pattern(9000, 1), 1, 0))});
  EXPECT_EQ(got.frames, (std::vector<SeenFrame>{seen(pattern(9000, 1), 1'000'000'000)}));
}

TEST_F(FileSourceTest, AnImpossibleCapturedLengthIsDamageAndSaysWhere) {
  Bytes file = small_pcap();
  file = file + Writer().u32(104).u32(0).u32(262145).u32(262145).raw(pattern(100, 0)).bytes;
  const std::string path = write("a.pcap", file);
  const ReadAll got = read_all({path});
  EXPECT_EQ(got.frames, small_pcap_frames());
  EXPECT_EQ(got.error, "\"" + path + "\" is damaged at byte " +
                           std::to_string(small_pcap().size()) +
                           ": the packet's captured length is 262145, the most is 262144");
}

TEST_F(FileSourceTest, AnUnknownPcapVersionIsRefused) {
  const std::string path = write("a", pcap_header(kMicro, false, 1, 65535, 9));
  EXPECT_EQ(read_all({path}).error,
            "\"" + path +
                "\" is damaged at byte 0: the pcap version is 2.9, supported are 2.0 to "
                "2.4");
}

TEST_F(FileSourceTest, FramesLargerThanAPieceGetAPieceOfTheirOwn) {
  Bytes file = pcap_header(kNano, false);
  std::vector<SeenFrame> expected;
  for (uint32_t i = 0; i < 20; ++i) {
    const Bytes data = pattern(i % 2 == 0 ? 50'000 + i : 90, static_cast<uint8_t>(i));
    file = file + pcap_packet(data, i, i);
    expected.push_back(seen(data, int64_t{i} * 1'000'000'001));
  }
  for (const size_t held : {size_t{0}, size_t{100}}) {
    const ReadAll got = read_all({write("a", file)}, 4096, held);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.frames, expected);
  }
}

// --- pcapng ----------------------------------------------------------------------------------

Bytes small_pcapng() {
  return section() + interface_block(1) + enhanced(pattern(61, 1), 100'000'007) +
         block(0x0bad, pattern(24, 9)) + interface_block(101, 0, resolution(9)) +
         enhanced(pattern(3, 2), 5, 1, false, 90) + section(true) +
         interface_block(276, 0, {}, true) + enhanced(pattern(16, 3), 42, 0, true);
}

std::vector<SeenFrame> small_pcapng_frames() {
  return {seen(pattern(61, 1), 100'000'007'000), seen(pattern(3, 2), 5, 101, 90),
          seen(pattern(16, 3), 42'000, 276)};
}

TEST_F(FileSourceTest, SectionsHaveTheirOwnByteOrderAndInterfaces) {
  const ReadAll got = read_all({write("a", small_pcapng())});
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.frames, small_pcapng_frames());
}

TEST_F(FileSourceTest, SimpleAndObsoletePacketBlocksAreRead) {
  const Bytes simple = block(3, Writer().u32(100).raw(pattern(32, 1)).bytes);
  const Bytes whole = block(3, Writer().u32(5).raw(pattern(5, 2)).bytes);
  const Bytes obsolete =
      block(2, Writer().u16(0).u16(77).u32(0).u32(12).u32(7).u32(9).raw(pattern(7, 3)).bytes);
  const ReadAll got =
      read_all({write("a", section() + interface_block(1, 32) + simple + whole + obsolete)});
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.frames,
            (std::vector<SeenFrame>{seen(pattern(32, 1), 0, 1, 100), seen(pattern(5, 2), 0),
                                    seen(pattern(7, 3), 12'000, 1, 9)}));
}

TEST_F(FileSourceTest, UnknownBlocksLargerThanAPieceAreSkipped) {
  const std::string path =
      write("a", section() + interface_block(1) + block(0x0a0b0c0d, pattern(100'000, 1)) +
                     enhanced(pattern(20, 2), 1) + block(4, pattern(70'001, 1)));
  const ReadAll got = read_all({path}, 4096, 1);
  EXPECT_EQ(got.error, "");
  EXPECT_EQ(got.frames, (std::vector<SeenFrame>{seen(pattern(20, 2), 1000)}));
}

TEST_F(FileSourceTest, TimesAreCountedFromTheInterfacesOffset) {
  const Bytes options = Writer().u16(14).u16(8).u64(1'000'000'000).bytes + resolution(0x80 | 10);
  const ReadAll got = read_all({write(
      "a", section() + interface_block(1, 0, options) + enhanced(pattern(4, 1), 1024 + 512))});
  ASSERT_EQ(got.frames.size(), 1U);
  EXPECT_EQ(got.frames[0].time_ns, 1'000'000'001'500'000'000);
}

TEST(PcapngClockTest, TimesOutsideTheRangeAreKeptAtItsEnds) {
  constexpr uint64_t kMost = std::numeric_limits<uint64_t>::max();
  for (unsigned resolution = 0; resolution < 256; ++resolution) {
    PcapngClock clock;
    const unsigned exponent = resolution & 0x7fU;
    const bool possible = exponent <= ((resolution & 0x80U) != 0 ? 63U : 19U);
    ASSERT_EQ(clock.set_resolution(static_cast<uint8_t>(resolution)), possible);
    for (const int64_t offset :
         {int64_t{0}, std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max()}) {
      clock.set_offset_s(offset);
      for (const uint64_t units : {uint64_t{0}, uint64_t{1}, kMost / 2, kMost}) {
        const int64_t time_ns = clock.time_ns(units);
        EXPECT_GE(time_ns, 0);
        EXPECT_LE(time_ns, kPacketTimeMaxNs);
      }
    }
  }
}

TEST_F(FileSourceTest, DamagedPcapngBlocksAreRefusedWithTheirPlace) {
  const Bytes start = section() + interface_block(1);
  const struct {
    Bytes bytes;
    const char* problem;
  } cases[] = {
      {Writer().u32(6).u32(33).raw(pattern(40, 0)).bytes,
       "the block's length is 33, which is not a multiple of 4 from 12 to 67108864"},
      {Writer().u32(6).u32(8).raw(pattern(40, 0)).bytes,
       "the block's length is 8, which is not a multiple of 4 from 12 to 67108864"},
      {Writer().u32(77).u32(67108868).raw(pattern(40, 0)).bytes,
       "the block's length is 67108868, which is not a multiple of 4 from 12 to 67108864"},
      {Writer().u32(6).u32(36).raw(Bytes(24, 0)).u32(40).bytes,
       "the block's two lengths are not the same: 36 and 40"},
      {block(6, Bytes(16, 0)), "the packet block is too short"},
      {enhanced(pattern(4, 0), 0, 1),
       "the packet block is of interface 1, which the section has not described"},
      {block(6, Writer().u32(0).u32(0).u32(0).u32(9).u32(9).raw(Bytes(8, 0)).bytes),
       "the packet's captured length is 9, its block has room for 8"},
      {block(1, Bytes(4, 0)), "the interface description block is too short"},
      {interface_block(1, 0, Writer().u16(2).u16(9).u32(0).bytes),
       "an option runs past the end of its block"},
      {interface_block(1, 0, Writer().u16(9).u16(2).u32(0).bytes),
       "the option if_tsresol has not 1 byte"},
      {interface_block(1, 0, resolution(20)),
       "the option if_tsresol asks for a finer time than 64 bits can hold"},
      {interface_block(1, 0, Writer().u16(14).u16(4).u32(0).bytes),
       "the option if_tsoffset has not 8 bytes"},
      {block(0x0a0d0d0a, Bytes(16, 0)), "the section header has no byte-order magic"},
      {block(0x0a0d0d0a, Writer().u32(0x1a2b3c4d).u16(2).u16(1).u64(0).bytes),
       "the pcapng version is 2.1, supported is 1.0"},
  };
  for (const auto& damaged : cases) {
    const std::string path = write("a", start + damaged.bytes);
    EXPECT_EQ(read_all({path}).error, "\"" + path + "\" is damaged at byte " +
                                          std::to_string(start.size()) + ": " + damaged.problem);
  }
  const std::string path =
      write("a", start + Writer().u32(77).u32(36).raw(Bytes(24, 0)).u32(40).bytes);
  EXPECT_EQ(read_all({path}).error,
            "\"" + path + "\" is damaged at byte " + std::to_string(start.size() + 32) +
                ": the block that ends here has two lengths that are not the same: 36 and 40");
}

// --- damage ----------------------------------------------------------------------------------

// Header, packet or block of a file; the file may end behind it.
struct Part {
  Bytes bytes;
  bool is_frame = true;
};

// Cuts a file at every byte: every frame that is whole comes out, and where the file may not end
// the error says so, with the byte.
class CutTest : public CaptureFileTest {
 protected:
  void cut_at_every_byte(const std::vector<Part>& parts, const std::vector<SeenFrame>& frames) {
    Bytes file;
    std::vector<size_t> ends;
    std::vector<size_t> frame_ends;
    for (const Part& part : parts) {
      file = file + part.bytes;
      ends.push_back(file.size());
      if (part.is_frame) frame_ends.push_back(file.size());
    }
    ASSERT_EQ(frames.size(), frame_ends.size());
    for (size_t size = 0; size <= file.size(); ++size) {
      SCOPED_TRACE("cut at byte " + std::to_string(size));
      const std::string path =
          write("cut", Bytes(file.begin(), file.begin() + static_cast<std::ptrdiff_t>(size)));
      const ReadAll got = read_all({path}, 4096);
      const auto whole = std::upper_bound(frame_ends.begin(), frame_ends.end(), size);
      EXPECT_EQ(got.frames, std::vector<SeenFrame>(frames.begin(),
                                                   frames.begin() + (whole - frame_ends.begin())));
      std::string expected = "\"" + path + "\" is cut at byte " + std::to_string(size) + ": ";
      if (size == 0) expected = "\"" + path + "\" is empty";
      if (std::find(ends.begin(), ends.end(), size) != ends.end()) {
        EXPECT_EQ(got.error, "");
      } else {
        EXPECT_EQ(got.error.substr(0, expected.size()), expected);
      }
    }
  }
};

TEST_F(CutTest, APcapCutAnywhereDeliversWhatIsWholeAndNamesTheByte) {
  cut_at_every_byte({{pcap_header(kMicro, false), false},
                     {pcap_packet(pattern(60, 1), 100, 7)},
                     {pcap_packet(pattern(5, 2), 101, 8)},
                     {pcap_packet({}, 102, 9, false, 40)},
                     {pcap_packet(pattern(33, 3), 103, 10)}},
                    small_pcap_frames());
}

TEST_F(CutTest, APcapngCutAnywhereDeliversWhatIsWholeAndNamesTheByte) {
  cut_at_every_byte({{section(), false},
                     {interface_block(1), false},
                     {enhanced(pattern(61, 1), 100'000'007)},
                     {block(0x0bad, pattern(24, 9)), false},
                     {interface_block(101, 0, resolution(9)), false},
                     {enhanced(pattern(3, 2), 5, 1, false, 90)},
                     {section(true), false},
                     {interface_block(276, 0, {}, true), false},
                     {enhanced(pattern(16, 3), 42, 0, true)}},
                    small_pcapng_frames());
}

TEST_F(FileSourceTest, TheErrorOfACutFileSaysWhatIsMissing) {
  Bytes file = small_pcap();
  file.resize(24 + 16 + 10);
  const std::string path = write("a.pcap", file);
  EXPECT_EQ(read_all({path}).error,
            "\"" + path +
                "\" is cut at byte 50: the packet at byte 24 has at least 76 bytes, of "
                "which 26 are there");
}

TEST_F(FileSourceTest, RandomDamageNeverCrashesOrHangs) {
  const Bytes originals[] = {small_pcap(), small_pcapng()};
  for (uint32_t seed = 0; seed < 1000; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    Bytes file = originals[seed % 2];
    for (auto flips = random() % 8 + 1; flips > 0; --flips) {
      // Any bit, or a whole byte to an extreme: lengths are what is worth breaking.
      uint8_t& byte = file[random() % file.size()];
      const auto kind = random() % 3;
      byte = kind == 0   ? uint8_t{0xff}
             : kind == 1 ? uint8_t{0}
                         : uint8_t(byte ^ 1U << random() % 8);
    }
    const std::string path = write("damaged", file);
    const ReadAll got = read_all({path}, 128 + random() % 512, random() % 2);
    EXPECT_LE(got.frames.size(), 64U);
    if (!got.error.empty()) {
      EXPECT_EQ(got.error.find("\"" + path + "\" is "), 0U) << got.error;
    }
  }
}

// --- several files, and files that are none ---------------------------------------------------

TEST_F(FileSourceTest, SeveralFilesAreOneStreamInTheOrderGiven) {
  const std::string a = write("a", small_pcap());
  const std::string b = write("b", small_pcapng());
  const std::string header_only = write("c", pcap_header(kMicro, true));
  for (const size_t piece_size : {size_t{128}, kPieceSize}) {
    const ReadAll got = read_all({b, header_only, a, b}, piece_size, 1);
    EXPECT_EQ(got.error, "");
    EXPECT_EQ(got.files, (std::vector<std::string>{b, header_only, a, b}));
    std::vector<SeenFrame> expected = small_pcapng_frames();
    for (const auto& more : {small_pcap_frames(), small_pcapng_frames()}) {
      expected.insert(expected.end(), more.begin(), more.end());
    }
    EXPECT_EQ(got.frames, expected);
  }
}

TEST_F(FileSourceTest, WhatIsNoCaptureFileIsNamedInTheError) {
  const std::string good = write("good.pcap", small_pcap());
  const std::string missing = (folder_ / "missing.pcap").string();
  const std::string text = write("text", {'h', 'e', 'l', 'l', 'o'});
  const std::string tiny = write("tiny", {1, 2, 3});
  const std::string empty = write("empty", {});
  const std::string xz = write("a.xz", {0xfd, '7', 'z', 'X', 'Z', 0});
  const struct {
    std::string path;
    std::string problem;
  } cases[] = {
      {missing, "cannot be opened: No such file or directory"},
      {folder_.string(), "is a directory, not a capture file"},
      {text,
       "is not a capture file: at byte 0 it has 68 65 6c 6c, but pcap, pcapng, or one of "
       "them compressed with gzip or zstd, is needed"},
      {tiny,
       "is cut at byte 3: the file header at byte 0 has at least 4 bytes, of which 3 are "
       "there"},
      {empty, "is empty"},
      {xz,
       "is compressed with xz, which is not read directly: use xz -dc FILE | tcp-sniffer -r "
       "-"},
  };
  for (const auto& bad : cases) {
    const ReadAll got = read_all({good, bad.path, good});
    EXPECT_EQ(got.error, "\"" + bad.path + "\" " + bad.problem);
    EXPECT_EQ(got.frames, small_pcap_frames()) << "what came before is delivered";
  }
}

TEST_F(FileSourceTest, ProgressCountsTheBytesOfAllFiles) {
  const std::string a = write("a", small_pcap());
  const std::string b = write("b", small_pcapng());
  PiecePool pool(2);
  FileSource source({a, b}, pool);
  EXPECT_EQ(source.bytes_total(), small_pcap().size() + small_pcapng().size());
  EXPECT_EQ(source.bytes_read(), 0U);
  Collector collector;
  EXPECT_EQ(drain(source, collector), "");
  EXPECT_EQ(source.bytes_read(), source.bytes_total());
  EXPECT_EQ(FileSource({a, "/dev/null"}, pool).bytes_total(), 0U);
}

}  // namespace
}  // namespace tcp_sniffer::file_source_test
