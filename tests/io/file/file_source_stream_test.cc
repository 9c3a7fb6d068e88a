// FileSource on pipes, compressed files and a pool that runs dry.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "support/capture_files.h"

namespace tcp_sniffer::file_source_stream_test {
namespace {

using FileSourceStreamTest = CaptureFileTest;

Bytes gzip(const Bytes& bytes) {
  z_stream stream{};
  EXPECT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  Bytes packed(deflateBound(&stream, static_cast<uLong>(bytes.size())) + 32);
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = packed.data();
  stream.avail_out = static_cast<uInt>(packed.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}

Bytes zstd(const Bytes& bytes) {
  ZSTD_CCtx* context = ZSTD_createCCtx();
  ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
  Bytes packed(ZSTD_compressBound(bytes.size()));
  packed.resize(ZSTD_compress2(context, packed.data(), packed.size(), bytes.data(), bytes.size()));
  ZSTD_freeCCtx(context);
  return packed;
}

// 3,000 frames of different sizes, about 1.2 MB.
Bytes large_pcap(std::vector<SeenFrame>& frames) {
  Bytes file = pcap_header(0xa1b23c4d, false);
  for (uint32_t i = 0; i < 3000; ++i) {
    const Bytes data = pattern(i * 37 % 800, static_cast<uint8_t>(i * i));
    const Bytes packet = pcap_packet(data, i, i, false, 1000);
    file.insert(file.end(), packet.begin(), packet.end());
    frames.push_back(seen(data, int64_t{i} * 1'000'000'001, 1, 1000));
  }
  return file;
}

Bytes part_of(const Bytes& bytes, size_t begin, size_t end) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(begin),
          bytes.begin() + static_cast<std::ptrdiff_t>(end)};
}

// --- compression -----------------------------------------------------------------------------

TEST_F(FileSourceStreamTest, GzipAndZstdAreKnownByContentAlsoInSeveralMembers) {
  std::vector<SeenFrame> frames;
  const Bytes file = large_pcap(frames);
  const Bytes first = part_of(file, 0, 1001);
  const Bytes second = part_of(file, 1001, file.size());
  const Bytes skippable = Writer().u32(0x184d2a53).u32(5).raw(pattern(5, 1)).bytes;
  const Bytes packed[] = {
      gzip(file), gzip(first) + gzip({}) + gzip(second), gzip(file) + Bytes(512, 0),
      zstd(file), zstd(first) + zstd({}) + zstd(second), skippable + zstd(file) + skippable};
  for (const Bytes& bytes : packed) {
    const std::string path = write("capture.pcap", bytes);
    for (const size_t piece_size : {size_t{1024}, kPieceSize}) {
      const ReadAll got = read_all({path}, piece_size, 1);
      EXPECT_EQ(got.error, "");
      EXPECT_EQ(got.frames, frames);
    }
  }
}

TEST_F(FileSourceStreamTest, ACompressedFileCutAnywhereSaysSo) {
  const Bytes file = pcap_header(0xa1b2c3d4, false) + pcap_packet(pattern(60, 1), 1, 0);
  for (const Bytes& packed : {gzip(file), zstd(file)}) {
    for (size_t size = 1; size < packed.size(); ++size) {
      SCOPED_TRACE("cut at byte " + std::to_string(size));
      const std::string path = write("cut", part_of(packed, 0, size));
      const ReadAll got = read_all({path});
      EXPECT_LE(got.frames.size(), 1U);
      const std::string expected =
          size < 4 ? " is cut at byte "
                   : " data is cut at byte " + std::to_string(size) + " of the compressed file";
      // The three bytes of a magic cannot be told from any other short file.
      EXPECT_TRUE(got.error.find(expected) != std::string::npos ||
                  (size == 3 && got.error.find("gzip data is cut") != std::string::npos))
          << got.error;
    }
  }
}

TEST_F(FileSourceStreamTest, DamagedCompressedDataIsAnErrorAfterTheGoodPart) {
  std::vector<SeenFrame> frames;
  const Bytes file = large_pcap(frames);
  for (const bool is_gzip : {true, false}) {
    // The checksum at the end: everything can be inflated, and the damage is found last.
    Bytes packed = is_gzip ? gzip(file) : zstd(file);
    const size_t at = packed.size() - (is_gzip ? 8 : 4);
    packed[at] = static_cast<uint8_t>(packed[at] + 1);
    const std::string path = write("damaged", packed);
    const ReadAll got = read_all({path}, 4096);
    // Of a damaged zstd block nothing comes out.
    EXPECT_GE(got.frames.size(), is_gzip ? frames.size() : frames.size() / 2);
    const std::string expected =
        std::string(is_gzip ? "gzip" : "zstd") + " data is corrupt at byte ";
    EXPECT_NE(got.error.find(expected), std::string::npos) << got.error;
  }
}

TEST_F(FileSourceStreamTest, RubbishBehindAGzipMemberIsAnError) {
  const Bytes file = pcap_header(0xa1b2c3d4, false) + pcap_packet(pattern(60, 1), 1, 0);
  const ReadAll got = read_all({write("a", gzip(file) + Bytes{'x', 'y', 'z', '!'})});
  EXPECT_EQ(got.frames.size(), 1U);
  EXPECT_NE(got.error.find("gzip data is corrupt at byte"), std::string::npos) << got.error;
}

// --- pipes -----------------------------------------------------------------------------------

// A pipe as the process' standard input.
class StandardInput {
 public:
  StandardInput() : saved_(dup(STDIN_FILENO)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(pipe(ends.data()), 0);
    dup2(ends[0], STDIN_FILENO);
    close(ends[0]);
    write_end_ = ends[1];
  }
  ~StandardInput() {
    finish();
    dup2(saved_, STDIN_FILENO);
    close(saved_);
  }
  StandardInput(const StandardInput&) = delete;
  StandardInput& operator=(const StandardInput&) = delete;

  void send(const Bytes& bytes) const {
    EXPECT_EQ(write(write_end_, bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  }
  void finish() {
    if (write_end_ >= 0) close(write_end_);
    write_end_ = -1;
  }

 private:
  int saved_;
  int write_end_ = -1;
};

TEST_F(FileSourceStreamTest, FramesOfAPipeAreDeliveredAsSoonAsTheyAreWhole) {
  StandardInput input;
  PiecePool pool(2);
  FileSource source({"-"}, pool);
  Collector collector;
  EXPECT_EQ(source.bytes_total(), 0U);
  EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
  input.send(pcap_header(0xa1b2c3d4, false));
  EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
  for (uint32_t i = 1; i <= 3; ++i) {
    const Bytes packet = pcap_packet(pattern(100, 1), i, 0);
    input.send(part_of(packet, 0, 50));
    EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
    input.send(part_of(packet, 50, packet.size()));
    EXPECT_EQ(source.poll(collector), SourceStatus::kMore);
    EXPECT_EQ(collector.frames.size(), i);
    EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
  }
  input.finish();
  EXPECT_EQ(source.poll(collector), SourceStatus::kEnd);
  EXPECT_EQ(collector.files, std::vector<std::string>{"-"});
}

TEST_F(FileSourceStreamTest, APipeThatGivesOneByteAtATimeIsReadToItsEnd) {
  const Bytes plain = section() + interface_block(1) + enhanced(pattern(20, 1), 1) +
                      block(9, pattern(300, 1)) + enhanced(pattern(21, 2), 2);
  for (const Bytes& bytes : {plain, gzip(plain), zstd(plain)}) {
    StandardInput input;
    PiecePool pool(2, 256);
    FileSource source({"-"}, pool);
    Collector collector;
    for (const uint8_t byte : bytes) {
      EXPECT_NE(source.poll(collector), SourceStatus::kError) << source.problem().message();
      input.send({byte});
    }
    input.finish();
    EXPECT_EQ(drain(source, collector), "");
    EXPECT_EQ(collector.frames,
              (std::vector<SeenFrame>{seen(pattern(20, 1), 1000), seen(pattern(21, 2), 2000)}));
  }
}

TEST_F(FileSourceStreamTest, ErrorsOnStandardInputNameIt) {
  StandardInput input;
  input.send({'n', 'o', 'n', 'e'});
  input.finish();
  EXPECT_EQ(read_all({"-"}).error.find("standard input is not a capture file"), 0U);
}

TEST_F(FileSourceStreamTest, AWaitForAPipeEndsWhenWokenFromAnotherThread) {
  StandardInput input;
  PiecePool pool(2);
  FileSource source({"-"}, pool);
  Collector collector;
  ASSERT_EQ(source.poll(collector), SourceStatus::kIdle);
  std::thread waker([&source] { source.wake(); });
  source.wait(-1);
  waker.join();
  EXPECT_EQ(source.poll(collector), SourceStatus::kIdle);
}

// --- back-pressure ----------------------------------------------------------------------------

// Keeps every piece until it is told to let go.
class Hoarder final : public FrameSink {
 public:
  void on_frames(std::span<const Frame> frames, CapturePiece* piece) override {
    frames_seen += frames.size();
    piece->retain();
    held.push_back(piece);
  }
  void on_file(const std::string&) override {}
  size_t frames_seen = 0;
  std::vector<CapturePiece*> held;
};

TEST_F(FileSourceStreamTest, AnEmptyPoolStopsTheReaderUntilAnotherThreadLetsGo) {
  std::vector<SeenFrame> frames;
  const std::string path = write("large", large_pcap(frames));
  PiecePool pool(4, 16384);
  FileSource source({path}, pool);
  Hoarder hoarder;
  SourceStatus status = SourceStatus::kMore;
  size_t stops = 0;
  while (status == SourceStatus::kMore || status == SourceStatus::kIdle) {
    status = source.poll(hoarder);
    if (status != SourceStatus::kIdle) continue;
    ++stops;
    EXPECT_EQ(pool.free_pieces(), 0U);
    std::thread shard([&hoarder] {
      for (CapturePiece* piece : hoarder.held) piece->release();
    });
    source.wait(-1);
    shard.join();
    hoarder.held.clear();
  }
  EXPECT_EQ(status, SourceStatus::kEnd);
  EXPECT_GT(stops, 10U);
  EXPECT_EQ(hoarder.frames_seen, frames.size());
  for (CapturePiece* piece : hoarder.held) piece->release();
}

TEST_F(FileSourceStreamTest, AWaitForAPieceEndsWhenWokenFromAnotherThread) {
  std::vector<SeenFrame> frames;
  const std::string path = write("large", large_pcap(frames));
  PiecePool pool(2, 16384);
  FileSource source({path}, pool);
  Hoarder hoarder;
  while (source.poll(hoarder) == SourceStatus::kMore) continue;
  std::thread waker([&source] { source.wake(); });
  source.wait(-1);
  waker.join();
  EXPECT_EQ(pool.free_pieces(), 0U);
  for (CapturePiece* piece : hoarder.held) piece->release();
}

TEST(PiecePoolTest, OnlyOnePieceLargerThanTheOthersIsOutAtATime) {
  PiecePool pool(2, 1000);
  CapturePiece* large = pool.take(50'000);
  ASSERT_NE(large, nullptr);
  EXPECT_EQ(large->capacity, 50'000U);
  EXPECT_EQ(pool.take(1001), nullptr);
  CapturePiece* usual = pool.take(1000);
  ASSERT_NE(usual, nullptr);
  std::thread shard([large] { large->release(); });
  while ((large = pool.take(2000)) == nullptr) pool.wait(2000, -1);
  shard.join();
  large->release();
  usual->release();
  EXPECT_EQ(pool.free_pieces(), 2U);
}

TEST(PiecePoolTest, PiecesLentToThreadsComeBackWithoutLoss) {
  PiecePool pool(70, 64);
  std::array<std::atomic<CapturePiece*>, 8> slots{};
  std::atomic<bool> stop{false};
  std::vector<std::thread> users;
  for (int i = 0; i < 2; ++i) {
    users.emplace_back([&] {
      while (!stop.load()) {
        for (auto& slot : slots) {
          if (CapturePiece* piece = slot.exchange(nullptr)) piece->release();
        }
      }
    });
  }
  for (size_t i = 0; i < 50'000; ++i) {
    CapturePiece* piece = nullptr;
    while ((piece = pool.take(64)) == nullptr) pool.wait(64, 100);
    piece->data[0] = static_cast<uint8_t>(i);
    if (CapturePiece* old = slots[i % slots.size()].exchange(piece)) old->release();
  }
  stop.store(true);
  for (auto& user : users) user.join();
  for (auto& slot : slots) {
    if (CapturePiece* piece = slot.load()) piece->release();
  }
  EXPECT_EQ(pool.free_pieces(), 70U);
}

}  // namespace
}  // namespace tcp_sniffer::file_source_stream_test
