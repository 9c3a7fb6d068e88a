#include "io/file/file_parts.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>

#include "support/capture_files.h"

namespace tcp_sniffer::file_parts_test {
namespace {

// Parts of 4 KiB, so that most frames begin in one and end in another.
constexpr size_t kTestPiece = FileParts::kHeadroom + 4096;

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

// Reads as a member of a team does. `held_max` pieces stay out until the part is used up.
ReadAll read_in_parts(const std::vector<std::string>& paths, size_t held_max = 0) {
  PiecePool pool(4, 4096);
  PiecePool own(2 + held_max, kTestPiece);
  Collector collector(held_max);
  std::string error;
  {
    FileParts parts(kTestPiece);
    FileSource source(paths, pool, &parts);
    for (bool ended = false; !ended;) {
      const FileParts::Part part = parts.take();
      FileParts::Chunk chunk;
      if (part.file != nullptr) chunk = FileParts::read(part, own.take(kTestPiece));
      source.offer(chunk);
      SourceStatus status = SourceStatus::kMore;
      while (status == SourceStatus::kMore) status = source.poll(collector);
      ended = status != SourceStatus::kIdle;
      if (status == SourceStatus::kError) error = source.problem().message();
      collector.let_go();
    }
  }
  EXPECT_EQ(pool.free_pieces(), pool.pieces()) << "a piece was lost";
  EXPECT_EQ(own.free_pieces(), own.pieces()) << "a piece was lost";
  return {std::move(collector.frames), std::move(collector.link_ids), std::move(collector.files),
          error};
}

class FilePartsTest : public CaptureFileTest {};

TEST_F(FilePartsTest, GiveTheSameFramesAsReadingInTurn) {
  for (uint64_t seed = 1; seed <= 3; seed++) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    const std::string path = write("capture.pcap", capture_of(1000, seed));
    const std::string small = write("small.pcap", capture_of(1, seed));
    const ReadAll expected = read_all({path, small, path});
    for (const size_t held : {size_t{0}, size_t{2}}) {
      const ReadAll got = read_in_parts({path, small, path}, held);
      EXPECT_EQ(got.error, "");
      EXPECT_EQ(got.files, expected.files);
      ASSERT_EQ(got.frames.size(), expected.frames.size());
      EXPECT_TRUE(got.frames == expected.frames);
    }
  }
}

TEST_F(FilePartsTest, AFileThatEndsWithAPartEnds) {
  // A header and packets that fill parts exactly.
  Bytes file = pcap_header(0xa1b2c3d4, false);
  const size_t rest = 3 * 4096 - file.size() - 16;
  const Bytes packet = pcap_packet(pattern(rest, 1), 1'700'000'000, 0);
  file.insert(file.end(), packet.begin(), packet.end());
  ASSERT_EQ(file.size(), 3 * size_t{4096});
  const ReadAll got = read_in_parts({write("capture.pcap", file)});
  EXPECT_EQ(got.error, "");
  ASSERT_EQ(got.frames.size(), 1u);
  EXPECT_EQ(got.frames[0].data, pattern(rest, 1));
}

TEST_F(FilePartsTest, DeliverWhatComesBeforeACut) {
  Bytes file = capture_of(1000, 7);
  file.resize(file.size() - 11);
  const std::string path = write("capture.pcap", file);
  const ReadAll expected = read_all({path});
  const ReadAll got = read_in_parts({path});
  EXPECT_NE(got.error, "");
  EXPECT_EQ(got.error, expected.error);
  EXPECT_TRUE(got.frames == expected.frames);
}

TEST_F(FilePartsTest, WhatWasReadOfAFileThatHasEndedIsThrownAway) {
  const std::string first = write("first.pcap", capture_of(3, 1));
  const std::string second = write("second.pcap", capture_of(3, 2));
  const ReadAll expected = read_all({first, second});
  PiecePool pool(4, 4096);
  PiecePool own(4, size_t{1} << 20);
  Collector collector;
  FileParts parts(size_t{1} << 20);
  {
    FileSource source({first, second}, pool, &parts);
    const FileParts::Part before = parts.take();
    EXPECT_EQ(before.file, nullptr) << "no file was opened yet";
    ASSERT_EQ(source.poll(collector), SourceStatus::kIdle);
    const FileParts::Part part = parts.take();
    const FileParts::Part beyond = parts.take();
    EXPECT_EQ(beyond.number, part.number + 1);
    // The end of the first file opens the second one; what others have read of the first is void.
    source.offer(FileParts::read(part, own.take(own.piece_size())));
    SourceStatus status = SourceStatus::kMore;
    while (status == SourceStatus::kMore) status = source.poll(collector);
    EXPECT_EQ(status, SourceStatus::kIdle);
    EXPECT_EQ(collector.files, (std::vector<std::string>{first, second}));
    FileParts::Chunk late = FileParts::read(part, own.take(own.piece_size()));
    EXPECT_FALSE(parts.is_current(late));
    source.offer(late);
    EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
    source.offer(FileParts::read(parts.take(), own.take(own.piece_size())));
    while (status != SourceStatus::kEnd) {
      status = source.poll(collector);
      ASSERT_NE(status, SourceStatus::kError) << source.problem().message();
    }
  }
  EXPECT_TRUE(collector.frames == expected.frames);
  EXPECT_EQ(own.free_pieces(), own.pieces()) << "a piece was lost";
}

TEST_F(FilePartsTest, CompressedFilesAreNotReadInParts) {
  ByteReader reader;
  ASSERT_TRUE(reader.open(write("plain", capture_of(1, 1))));
  EXPECT_EQ(reader.plain_file_offset(), 0);
  for (const Bytes& magic : {Bytes{0x1f, 0x8b, 8, 0, 0}, Bytes{0x28, 0xb5, 0x2f, 0xfd, 0},
                             Bytes{'B', 'Z', 'h', '9', 0}, Bytes{1, 2}}) {
    ASSERT_TRUE(reader.open(write("other", magic)));
    EXPECT_EQ(reader.plain_file_offset(), -1);
  }
  EXPECT_FALSE(reader.open((folder_ / "missing").string()));
  EXPECT_TRUE(FileSource::is_plain(write("plain", capture_of(1, 1))));
  EXPECT_FALSE(FileSource::is_plain(write("packed", {0x1f, 0x8b, 8, 0, 0})));
  EXPECT_FALSE(FileSource::is_plain((folder_ / "missing").string()));
  EXPECT_FALSE(FileSource::is_plain(folder_.string()));
  const std::string fifo = (folder_ / "fifo").string();
  ASSERT_EQ(mkfifo(fifo.c_str(), 0600), 0);
  EXPECT_FALSE(FileSource::is_plain(fifo));
}

}  // namespace
}  // namespace tcp_sniffer::file_parts_test
