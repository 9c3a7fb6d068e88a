// FileSource must give the same frames as libpcap's own reader.

#include <gtest/gtest.h>
#include <pcap/pcap.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>

#include "support/capture_files.h"

namespace tcp_sniffer::file_source_libpcap_test {
namespace {

namespace fs = std::filesystem;

// libpcap's reading of a file; false when it refuses it at the start.
bool read_with_libpcap(const std::string& path, ReadAll& all) {
  char text[PCAP_ERRBUF_SIZE] = "";
  pcap_t* handle =
      pcap_open_offline_with_tstamp_precision(path.c_str(), PCAP_TSTAMP_PRECISION_NANO, text);
  if (handle == nullptr) return false;
  constexpr int kDltRaw = 12;
  const int dlt = pcap_datalink(handle);
  const auto link_type = static_cast<uint16_t>(dlt == kDltRaw ? 101 : dlt);
  pcap_pkthdr* header = nullptr;
  const uint8_t* data = nullptr;
  int result = 0;
  while ((result = pcap_next_ex(handle, &header, &data)) == 1) {
    all.frames.push_back(seen(Bytes(data, data + header->caplen),
                              int64_t{header->ts.tv_sec} * 1'000'000'000 + header->ts.tv_usec,
                              link_type, std::max(header->len, header->caplen)));
  }
  if (result == PCAP_ERROR) all.error = pcap_geterr(handle);
  pcap_close(handle);
  return true;
}

// Compares every capture of a folder; the number of those that libpcap can read.
size_t compare_folder(const fs::path& folder, size_t piece_size) {
  size_t compared = 0;
  for (const auto& entry : fs::directory_iterator(folder)) {
    const auto extension = entry.path().extension();
    if (extension != ".pcap" && extension != ".pcapng" && extension != ".cap") continue;
    SCOPED_TRACE(entry.path().filename().string());
    ReadAll expected;
    if (!read_with_libpcap(entry.path().string(), expected)) continue;
    const ReadAll got = read_all({entry.path().string()}, piece_size, 1);
    ++compared;
    // Where libpcap stops, for instance at a second link type, this reader may go on.
    EXPECT_GE(got.frames.size(), expected.frames.size());
    if (expected.error.empty()) {
      EXPECT_EQ(got.error, "");
      EXPECT_EQ(got.frames.size(), expected.frames.size());
    }
    const size_t both = std::min(got.frames.size(), expected.frames.size());
    for (size_t i = 0; i < both; ++i) {
      if (got.frames[i] == expected.frames[i]) continue;
      ADD_FAILURE() << "frame " << i + 1 << ": " << got.frames[i]
                    << ", libpcap: " << expected.frames[i];
      break;
    }
  }
  return compared;
}

TEST(FileSourceAndLibpcapTest, GiveTheSameFramesForEveryCaptureOfTheCorpus) {
  const fs::path folder = fs::path(TCP_SNIFFER_SOURCE_DIR) / ".." / "shared" / "corpus";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no captures in " << folder;
  for (const size_t piece_size : {kPieceSize, size_t{65536}, size_t{4096}, size_t{600}}) {
    SCOPED_TRACE("pieces of " + std::to_string(piece_size));
    EXPECT_GT(compare_folder(folder, piece_size), 0U);
  }
}

TEST(FileSourceAndLibpcapTest, GiveTheSameFramesForEveryBundledCapture) {
  const fs::path folder = fs::path(TCP_SNIFFER_SOURCE_DIR) / "pcaps";
  if (!fs::is_directory(folder)) GTEST_SKIP() << "no captures in " << folder;
  for (const size_t piece_size : {kPieceSize, size_t{4096}}) {
    if (compare_folder(folder, piece_size) == 0) GTEST_SKIP() << "no captures in " << folder;
  }
}

// Versions before 2.3 have the two lengths the other way round, 2.3 only in some writers.
TEST_F(CaptureFileTest, OldVersionsGiveTheSameFramesAsLibpcap) {
  for (uint16_t minor = 0; minor <= 4; ++minor) {
    SCOPED_TRACE(minor);
    for (const bool cut_first : {false, true}) {
      const uint32_t first = cut_first ? 30 : 60;
      const Bytes packet =
          Writer().u32(1).u32(2).u32(first).u32(cut_first ? 60 : 30).raw(pattern(30, 1)).bytes;
      const std::string path =
          write("old", pcap_header(0xa1b2c3d4, false, 1, 65535, minor) + packet);
      ReadAll expected;
      ASSERT_TRUE(read_with_libpcap(path, expected));
      const ReadAll got = read_all({path});
      EXPECT_EQ(got.frames, expected.frames);
      EXPECT_EQ(got.error.empty(), expected.error.empty()) << got.error << expected.error;
    }
  }
}

TEST_F(CaptureFileTest, TimeResolutionsGiveTheSameTimesAsLibpcap) {
  for (const int value : {0, 3, 6, 7, 9, 12, 0x80 | 10, 0x80 | 20, 0x80 | 31}) {
    SCOPED_TRACE(value);
    const bool binary = (value & 0x80) != 0;
    uint64_t units_per_s = 1;
    for (int i = 0; i < (value & 0x7f); ++i) units_per_s *= binary ? 2 : 10;
    Bytes file = section() + interface_block(1, 0, resolution(static_cast<uint8_t>(value)));
    for (uint64_t second : {1ULL, 1740139200ULL}) {
      file = file + enhanced(pattern(20, 3), second * units_per_s + units_per_s / 3);
    }
    const std::string path = write("resolution", file);
    ReadAll expected;
    ASSERT_TRUE(read_with_libpcap(path, expected));
    EXPECT_EQ(read_all({path}).frames, expected.frames);
  }
}

}  // namespace
}  // namespace tcp_sniffer::file_source_libpcap_test
