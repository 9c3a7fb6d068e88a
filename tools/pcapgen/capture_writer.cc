#include "capture_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "packets/pcap.h"

namespace tcp_sniffer::pcapgen {
namespace {

constexpr std::uint64_t kNanosecondsPerSecond = 1'000'000'000;

}  // namespace

CaptureWriter::~CaptureWriter() {
  close();
}

bool CaptureWriter::open(const std::string& path, bool nanosecond) {
  path_ = path == "-" ? "standard output" : path;
  descriptor_ = path == "-" ? STDOUT_FILENO
                            : ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  if (descriptor_ < 0) {
    error_ = path_ + ": " + std::strerror(errno);
    return false;
  }
  for (auto& block : blocks_) block = std::make_unique<std::uint8_t[]>(kBlockBytes);
  fraction_divisor_ = nanosecond ? 1 : 1000;
  packets::PcapFile file;
  if (nanosecond) file.magic = packets::kPcapNanoseconds;
  packets::write_pcap_header(blocks_[0].get(), file);
  used_ = packets::kPcapFileHeaderBytes;
  bytes_ = used_;
  thread_ = std::thread([this] { write_blocks(); });
  return true;
}

std::uint8_t* CaptureWriter::frame_space(std::size_t bytes) {
  if (kBlockBytes - used_ < bytes + packets::kPcapRecordHeaderBytes) submit_block();
  return blocks_[submitted_ % kBlocks].get() + used_ + packets::kPcapRecordHeaderBytes;
}

void CaptureWriter::commit(std::size_t captured, std::size_t on_wire, std::uint64_t time_ns) {
  packets::write_pcap_record(
      blocks_[submitted_ % kBlocks].get() + used_,
      {.seconds = static_cast<std::uint32_t>(time_ns / kNanosecondsPerSecond),
       .fraction = static_cast<std::uint32_t>(time_ns % kNanosecondsPerSecond / fraction_divisor_),
       .captured = static_cast<std::uint32_t>(captured),
       .on_wire = static_cast<std::uint32_t>(on_wire)});
  used_ += packets::kPcapRecordHeaderBytes + captured;
  bytes_ += packets::kPcapRecordHeaderBytes + captured;
  frame_bytes_ += captured;
  ++packets_;
}

bool CaptureWriter::close() {
  if (!thread_.joinable()) return !failed_;
  submit_block();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  thread_.join();
  if (descriptor_ != STDOUT_FILENO && ::close(descriptor_) != 0 && !failed_) {
    error_ = path_ + ": " + std::strerror(errno);
    failed_ = true;
  }
  return !failed_;
}

bool CaptureWriter::failed() {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void CaptureWriter::submit_block() {
  std::unique_lock lock(mutex_);
  sizes_[submitted_ % kBlocks] = used_;
  ++submitted_;
  changed_.notify_all();
  changed_.wait(lock, [this] { return submitted_ - written_ < kBlocks; });
  used_ = 0;
}

void CaptureWriter::write_blocks() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return written_ != submitted_ || ending_; });
    if (written_ == submitted_) return;
    const std::uint8_t* data = blocks_[written_ % kBlocks].get();
    std::size_t left = failed_ ? 0 : sizes_[written_ % kBlocks];
    lock.unlock();
    std::string error;
    while (left != 0) {
      const ssize_t done = ::write(descriptor_, data, left);
      if (done < 0) {
        if (errno == EINTR) continue;
        error = path_ + ": " + std::strerror(errno);
        break;
      }
      data += done;
      left -= static_cast<std::size_t>(done);
    }
    lock.lock();
    if (!error.empty()) {
      error_ = error;
      failed_ = true;
    }
    ++written_;
    changed_.notify_all();
  }
}

}  // namespace tcp_sniffer::pcapgen
