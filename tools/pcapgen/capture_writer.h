#pragma once

#include <array>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace tcp_sniffer::pcapgen {

// Writes a pcap file (draft-ietf-opsawg-pcap) in large blocks. The caller builds each frame in
// place; a second thread hands full blocks to the kernel. Used from one thread.
//
//   block  | header | frame | header | frame | .... free .... |
//                                             ^ frame_space() + 16
class CaptureWriter {
 public:
  CaptureWriter() = default;
  ~CaptureWriter();
  CaptureWriter(const CaptureWriter&) = delete;
  CaptureWriter& operator=(const CaptureWriter&) = delete;

  // "-" is standard output. False: error() says why.
  bool open(const std::string& path, bool nanosecond);

  // Room for a frame of up to `bytes` (at most kFrameBytesMax), valid until commit.
  std::uint8_t* frame_space(std::size_t bytes);

  // The frame in the space is complete: `captured` bytes of `on_wire`, at packet time `time_ns`.
  void commit(std::size_t captured, std::size_t on_wire, std::uint64_t time_ns);

  // Writes what is left and closes. False: error() says why.
  bool close();

  bool failed();
  const std::string& error() const { return error_; }
  std::uint64_t packets() const { return packets_; }
  std::uint64_t bytes() const { return bytes_; }
  std::uint64_t frame_bytes() const { return frame_bytes_; }

  static constexpr std::size_t kFrameBytesMax = 65536;

 private:
  // Larger than a frame by far, small enough that a block is still in the second-level cache's
  // neighbourhood when the kernel copies it.
  static constexpr std::size_t kBlockBytes = 1U << 20U;
  static constexpr std::size_t kBlocks = 4;

  void submit_block();
  void write_blocks();

  std::array<std::unique_ptr<std::uint8_t[]>, kBlocks> blocks_;
  std::array<std::size_t, kBlocks> sizes_{};
  std::size_t used_ = 0;  // of the block in hand
  std::uint64_t submitted_ = 0;
  std::uint64_t written_ = 0;
  bool ending_ = false;
  bool failed_ = false;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread thread_;
  std::string error_;
  std::string path_;
  int descriptor_ = -1;
  std::uint64_t fraction_divisor_ = 1000;
  std::uint64_t packets_ = 0;
  std::uint64_t bytes_ = 0;
  std::uint64_t frame_bytes_ = 0;
};

}  // namespace tcp_sniffer::pcapgen
