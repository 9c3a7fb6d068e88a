#include "io/output/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "core/base/byte_order.h"
#include "core/line/framed_line.h"
#include "core/line/packed_record.h"

namespace tcp_sniffer {

namespace {

// Many small messages are found with one read.
constexpr size_t kWindow = 64u << 10;

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  int fd_;
};

// Reads a file at rising offsets through a window.
class Window {
 public:
  explicit Window(int fd, size_t size = kWindow) : fd_(fd), bytes_(size) {}

  // `size` bytes at `offset`, less at the end of the file.
  std::string_view at(uint64_t offset, size_t size) {
    if (offset < begin_ || offset + size > begin_ + size_) {
      const ssize_t read = pread(fd_, bytes_.data(), bytes_.size(), static_cast<off_t>(offset));
      begin_ = offset;
      size_ = read > 0 ? static_cast<size_t>(read) : 0;
    }
    const size_t from = static_cast<size_t>(offset - begin_);
    return {bytes_.data() + from, std::min(size, size_ - from)};
  }

 private:
  int fd_;
  std::vector<char> bytes_;
  uint64_t begin_ = 0;
  size_t size_ = 0;
};

std::string at_byte(uint64_t offset) {
  return " at byte " + std::to_string(offset);
}

// Whether a file with these first bytes may be one of messages with lengths. Returns why not.
std::string error_of_begin(std::string_view begin, MessageFraming framing) {
  if (framing == MessageFraming::kFrames) {
    if (begin == kFramedMagic.substr(0, begin.size())) return {};
    return "it has no framed messages: it does not begin with " + std::string(kFramedMagic);
  }
  if (PackedRecordWriter::may_begin(begin)) return {};
  return "it has no packed records: it does not begin with one";
}

// Whether a message may begin with these bytes, of which one is more than size_prefix().
bool may_be_message(std::string_view head, MessageFraming framing) {
  if (framing == MessageFraming::kRecords) return message_size(head, framing) > 0;
  // The length of the JSON, and its first byte.
  return load_le32(reinterpret_cast<const uint8_t*>(head.data())) >= 2 && head.back() == '{';
}

// What the first bytes of a file of messages with lengths are judged by.
constexpr size_t kBeginSize = kFramedMagic.size();
static_assert(kBeginSize == PackedRecordWriter::kHeaderSize);

// Where the last whole message ends. `error` is why the file must not be changed.
uint64_t end_of_messages(int fd, uint64_t size, MessageFraming framing, std::string& error) {
  Window window(fd);
  const std::string_view begin = window.at(0, kBeginSize);
  error = error_of_begin(begin, framing);
  if (!error.empty() || begin.size() < kBeginSize) return 0;
  uint64_t end = framing == MessageFraming::kFrames ? kFramedMagic.size() : 0;
  while (end < size) {
    const std::string_view head = window.at(end, size_prefix(framing) + 1);
    if (head.size() <= size_prefix(framing)) break;
    if (!may_be_message(head, framing)) {
      error = "it is damaged" + at_byte(end) + ", where a " +
              (framing == MessageFraming::kFrames ? "framed message" : "packed record") +
              " has to begin";
      return 0;
    }
    const uint64_t next = end + message_size(head, framing);
    if (next > size) break;
    end = next;
  }
  return end;
}

}  // namespace

FileEnd mend_file_end(int fd, MessageFraming framing, std::string_view head) {
  FileEnd end;
  struct stat status {};
  if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return end;
  const auto size = static_cast<uint64_t>(status.st_size);
  const std::string name = "/proc/self/fd/" + std::to_string(fd);
  const Descriptor file(open(name.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.get() < 0) return end;
  if (framing != MessageFraming::kLines) {
    const uint64_t whole = end_of_messages(file.get(), size, framing, end.error);
    if (!end.error.empty() || whole == size) return end;
    if (ftruncate(fd, static_cast<off_t>(whole)) != 0) {
      end.error = "it ends in the middle of a message, which cannot be cut off: " +
                  std::string(std::strerror(errno));
      return end;
    }
    end.cut_bytes = size - whole;
    return end;
  }
  if (!head.empty()) {
    Window window(file.get(), head.size());
    const std::string_view begin = window.at(0, head.size());
    if (begin != head.substr(0, begin.size())) {
      end.error = "its first line names other columns";
      return end;
    }
    if (begin.size() < head.size()) {
      if (ftruncate(fd, 0) == 0) {
        end.cut_bytes = size;
      } else {
        end.error = "it ends in the middle of its first line, which cannot be cut off: " +
                    std::string(std::strerror(errno));
      }
      return end;
    }
  }
  char last = '\n';
  if (pread(file.get(), &last, 1, static_cast<off_t>(size - 1)) != 1 || last == '\n') return end;
  if (write(fd, "\n", 1) == 1) {
    end.ended_a_line = true;
  } else {
    end.error =
        "its last line has no end, and none can be written: " + std::string(std::strerror(errno));
  }
  return end;
}

bool take_back(int fd, size_t bytes) {
  if (bytes == 0) return true;
  struct stat status {};
  const off_t end = lseek(fd, 0, SEEK_CUR);
  if (end < 0 || fstat(fd, &status) != 0 || status.st_size != end) return false;
  const off_t whole = end - static_cast<off_t>(bytes);
  return ftruncate(fd, whole) == 0 && lseek(fd, whole, SEEK_SET) == whole;
}

}  // namespace tcp_sniffer
