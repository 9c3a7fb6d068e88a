#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <ostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "io/file/file_source.h"
#include "packets/pcap.h"

// Writes capture files in view of the test, and reads them with FileSource.
namespace tcp_sniffer {

using packets::Bytes;
using packets::operator+;

// A frame with its bytes, to be compared after the piece went back.
struct SeenFrame {
  Bytes data;
  uint32_t wire_size = 0;
  uint16_t link_type = 0;
  int64_t time_ns = 0;
  bool operator==(const SeenFrame&) const = default;
};

inline std::ostream& operator<<(std::ostream& out, const SeenFrame& frame) {
  return out << frame.data.size() << " of " << frame.wire_size << " bytes, link type "
             << frame.link_type << ", at " << frame.time_ns;
}

// Keeps what the source delivers. `held_max` pieces are kept out, to make the pool run dry.
class Collector final : public FrameSink {
 public:
  explicit Collector(size_t held_max = 0) : held_max_(held_max) {}
  ~Collector() override { let_go(); }

  void on_frames(std::span<const Frame> burst, CapturePiece* piece) override {
    EXPECT_NE(piece, nullptr);
    EXPECT_LE(burst.size(), kFramesPerBurst);
    for (const Frame& frame : burst) {
      EXPECT_GE(frame.data.data(), piece->data);
      EXPECT_LE(frame.data.data() + frame.data.size(), piece->data + piece->size);
      EXPECT_GE(frame.wire_size, frame.data.size());
      frames.push_back({Bytes(frame.data.begin(), frame.data.end()), frame.wire_size,
                        static_cast<uint16_t>(frame.link_type), frame.time_ns});
      link_ids.push_back(frame.link_id);
    }
    if (held_.size() < held_max_) {
      piece->retain();
      held_.push_back(piece);
    }
  }
  void on_file(const std::string& name) override { files.push_back(name); }

  void let_go() {
    for (CapturePiece* piece : held_) piece->release();
    held_.clear();
  }

  std::vector<SeenFrame> frames;
  std::vector<uint32_t> link_ids;
  std::vector<std::string> files;

 private:
  size_t held_max_;
  std::vector<CapturePiece*> held_;
};

// Reads to the end; the error, or "".
inline std::string drain(FileSource& source, Collector& collector) {
  for (;;) {
    switch (source.poll(collector)) {
      case SourceStatus::kMore:
        break;
      case SourceStatus::kIdle:
        collector.let_go();
        source.wait(1000);
        break;
      case SourceStatus::kEnd:
        return "";
      case SourceStatus::kError:
        return source.problem().message();
    }
  }
}

struct ReadAll {
  std::vector<SeenFrame> frames;
  std::vector<uint32_t> link_ids;
  std::vector<std::string> files;
  std::string error;
};

inline ReadAll read_all(std::vector<std::string> paths, size_t piece_size = kPieceSize,
                        size_t held_max = 0) {
  PiecePool pool(3, piece_size);
  Collector collector(held_max);
  std::string error;
  {
    FileSource source(std::move(paths), pool);
    error = drain(source, collector);
    collector.let_go();
  }
  EXPECT_EQ(pool.free_pieces(), pool.pieces()) << "a piece was lost";
  return {std::move(collector.frames), std::move(collector.link_ids), std::move(collector.files),
          error};
}

// A folder of its own for each test, removed afterwards.
class CaptureFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "capture_file_test.XXXXXX").string();
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const Bytes& bytes) const {
    const std::string path = (folder_ / name).string();
    std::ofstream out(path, std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
    return path;
  }

  std::filesystem::path folder_;
};

// Writes numbers in either byte order.
class Writer {
 public:
  explicit Writer(bool big_endian = false) : big_endian_(big_endian) {}
  Writer& u8(uint8_t value) { return number(value, 1); }
  Writer& u16(uint16_t value) { return number(value, 2); }
  Writer& u32(uint32_t value) { return number(value, 4); }
  Writer& u64(uint64_t value) { return number(value, 8); }
  Writer& raw(const Bytes& value) {
    bytes.insert(bytes.end(), value.begin(), value.end());
    return *this;
  }
  Writer& pad() {
    while (bytes.size() % 4 != 0) bytes.push_back(0);
    return *this;
  }
  Bytes bytes;

 private:
  Writer& number(uint64_t value, size_t size) {
    bytes.resize(bytes.size() + size);
    packets::write_number(&bytes[bytes.size() - size], value, size, big_endian_);
    return *this;
  }
  bool big_endian_;
};

inline Bytes pattern(size_t size, uint8_t seed) {
  Bytes bytes(size);
  for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(seed + i * 7);
  return bytes;
}

inline Bytes pcap_header(uint32_t magic, bool big_endian, uint32_t link_type = 1,
                         uint32_t snaplen = 262144, uint16_t minor = 4) {
  return packets::pcap_header({magic, big_endian, link_type, snaplen, minor});
}

inline Bytes pcap_packet(const Bytes& data, uint32_t seconds, uint32_t fraction,
                         bool big_endian = false, uint32_t wire_size = 0) {
  const auto size = static_cast<uint32_t>(data.size());
  const uint32_t on_wire = wire_size == 0 ? size : wire_size;
  return packets::pcap_record({seconds, fraction, size, on_wire}, big_endian) + data;
}

inline Bytes block(uint32_t type, const Bytes& body, bool big_endian = false) {
  const auto size = static_cast<uint32_t>((body.size() + 3) / 4 * 4 + 12);
  return Writer(big_endian).u32(type).u32(size).raw(body).pad().u32(size).bytes;
}

inline Bytes section(bool big_endian = false) {
  return block(0x0a0d0d0a, Writer(big_endian).u32(0x1a2b3c4d).u16(1).u16(0).u64(~uint64_t{0}).bytes,
               big_endian);
}

inline Bytes interface_block(uint16_t link_type, uint32_t snaplen = 0, const Bytes& options = {},
                             bool big_endian = false) {
  return block(1, Writer(big_endian).u16(link_type).u16(0).u32(snaplen).raw(options).bytes,
               big_endian);
}

inline Bytes resolution(uint8_t value) {
  return Writer().u16(9).u16(1).u8(value).pad().u32(0).bytes;
}

inline Bytes enhanced(const Bytes& data, uint64_t units, uint32_t interface_id = 0,
                      bool big_endian = false, uint32_t wire_size = 0) {
  const auto size = static_cast<uint32_t>(data.size());
  return block(6,
               Writer(big_endian)
                   .u32(interface_id)
                   .u32(static_cast<uint32_t>(units >> 32))
                   .u32(static_cast<uint32_t>(units))
                   .u32(size)
                   .u32(wire_size == 0 ? size : wire_size)
                   .raw(data)
                   .bytes,
               big_endian);
}

inline SeenFrame seen(const Bytes& data, int64_t time_ns, uint16_t link_type = 1,
                      uint32_t wire_size = 0) {
  return {data, wire_size == 0 ? static_cast<uint32_t>(data.size()) : wire_size, link_type,
          time_ns};
}

}  // namespace tcp_sniffer
