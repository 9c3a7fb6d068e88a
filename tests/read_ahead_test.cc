#include "io/read_ahead.h"

#include <gtest/gtest.h>

#include <random>

#include "capture_files.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kTestPiece = size_t{256} << 10;

// Packets of all sizes, also larger than the headroom and than a piece.
Bytes capture_of(size_t packets, uint64_t seed) {
  std::mt19937_64 random(seed);
  Bytes file = pcap_header(0xa1b2c3d4, false);
  for (size_t i = 0; i < packets; i++) {
    const size_t kind = random() % 100;
    const size_t size = kind == 0   ? 200'000 + random() % 60'000
                        : kind == 1 ? 60'000 + random() % 10'000
                                    : 40 + random() % 1500;
    const Bytes packet = pcap_packet(pattern(size, static_cast<uint8_t>(i)),
                                     static_cast<uint32_t>(1'700'000'000 + i), 0);
    file.insert(file.end(), packet.begin(), packet.end());
  }
  return file;
}

ReadAll read_with(const std::vector<std::string>& paths, bool ahead, size_t held_max = 0) {
  PiecePool pool(5, kTestPiece);
  Collector collector(held_max);
  std::string error;
  {
    FileSource source(paths, pool, ahead);
    error = drain(source, collector);
    collector.let_go();
  }
  EXPECT_EQ(pool.free_pieces(), pool.pieces()) << "a piece was lost";
  return {std::move(collector.frames), std::move(collector.link_ids), std::move(collector.files),
          error};
}

class ReadAheadTest : public CaptureFileTest {};

TEST_F(ReadAheadTest, GivesTheSameFramesAsReadingInTurn) {
  for (uint64_t seed = 1; seed <= 5; seed++) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string path = write("capture.pcap", capture_of(3000, seed));
    const ReadAll expected = read_with({path, path}, false);
    for (const size_t held : {size_t{0}, size_t{2}}) {
      const ReadAll got = read_with({path, path}, true, held);
      EXPECT_EQ(got.error, "");
      EXPECT_EQ(got.files, expected.files);
      ASSERT_EQ(got.frames.size(), expected.frames.size());
      EXPECT_TRUE(got.frames == expected.frames);
    }
  }
}

TEST_F(ReadAheadTest, DeliversWhatComesBeforeACut) {
  Bytes file = capture_of(3000, 7);
  file.resize(file.size() - 11);
  const std::string path = write("capture.pcap", file);
  const ReadAll expected = read_with({path}, false);
  const ReadAll got = read_with({path}, true);
  EXPECT_NE(got.error, "");
  EXPECT_EQ(got.error, expected.error);
  EXPECT_TRUE(got.frames == expected.frames);
}

TEST_F(ReadAheadTest, EndsWithoutHavingReadEverything) {
  const std::string path = write("capture.pcap", capture_of(5000, 9));
  PiecePool pool(5, kTestPiece);
  {
    Collector collector;
    FileSource source({path}, pool, true);
    while (collector.frames.empty()) source.poll(collector);
  }
  EXPECT_EQ(pool.free_pieces(), pool.pieces()) << "a piece was lost";
}

}  // namespace
}  // namespace tcp_sniffer
