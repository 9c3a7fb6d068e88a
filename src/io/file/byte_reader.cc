#include "io/file/byte_reader.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tcp_sniffer {

namespace {

constexpr size_t kPackedSize = 256 * 1024;

struct ForeignKind {
  uint8_t magic[4];
  const char* name;
  const char* command;
};

// Compressions that are not read here: the error names a command for a pipe.
constexpr ForeignKind kForeignKinds[] = {
    {{0xfd, '7', 'z', 'X'}, "xz", "xz -dc"},
    {{'B', 'Z', 'h', 0}, "bzip2", "bzip2 -dc"},
    {{0x04, 0x22, 0x4d, 0x18}, "lz4", "lz4 -dc"},
    {{'P', 'K', 0x03, 0x04}, "zip", "unzip -p"},
};

bool is_gzip(const uint8_t* head, size_t size) {
  return size >= 3 && head[0] == 0x1f && head[1] == 0x8b && head[2] == 8;
}

// A Zstandard frame, or a skippable frame before it (RFC 8878, 3.1).
bool is_zstd(const uint8_t* head, size_t size) {
  if (size < 4) return false;
  if (head[0] == 0x28 && head[1] == 0xb5 && head[2] == 0x2f && head[3] == 0xfd) return true;
  return (head[0] & 0xf0) == 0x50 && head[1] == 0x2a && head[2] == 0x4d && head[3] == 0x18;
}

const ForeignKind* foreign_kind(const uint8_t* head, size_t size) {
  if (size < 4) return nullptr;
  for (const ForeignKind& kind : kForeignKinds) {
    const size_t length = kind.magic[3] == 0 ? 3 : 4;
    if (std::memcmp(head, kind.magic, length) == 0) return &kind;
  }
  return nullptr;
}

}  // namespace

// Inflates one stream. `take` consumes from `in` and fills `out`; both are cut to what is left.
class ByteReader::Inflater {
 public:
  virtual ~Inflater() = default;
  // False: the data is corrupt; `problem` describes it.
  virtual bool take(std::span<const uint8_t>& in, std::span<uint8_t>& out) = 0;
  // Whether the file may end here.
  virtual bool at_end() const = 0;
  virtual const char* name() const = 0;
  const std::string& problem() const { return problem_; }

 protected:
  std::string problem_;
};

class ByteReader::GzipInflater final : public Inflater {
 public:
  GzipInflater() { inflateInit2(&stream_, 15 + 16); }
  ~GzipInflater() override { inflateEnd(&stream_); }

  bool take(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    while (!out.empty() && (!in.empty() || !between_members_)) {
      if (between_members_) {
        // Zero padding after the last member is allowed, as gzip does; another member begins
        // with its magic, which inflate checks.
        if (in.front() == 0) {
          in = in.subspan(1);
          continue;
        }
        inflateReset(&stream_);
        between_members_ = false;
      }
      stream_.next_in = const_cast<Bytef*>(in.data());  // zlib only reads it
      stream_.avail_in = static_cast<uInt>(in.size());
      stream_.next_out = out.data();
      stream_.avail_out = static_cast<uInt>(std::min<size_t>(out.size(), 1U << 30));
      const auto room = stream_.avail_out;
      const int result = inflate(&stream_, Z_SYNC_FLUSH);
      // Z_BUF_ERROR: no progress without more input.
      if (result == Z_BUF_ERROR) break;
      in = in.last(stream_.avail_in);
      out = out.subspan(room - stream_.avail_out);
      if (result == Z_STREAM_END) {
        between_members_ = true;
      } else if (result != Z_OK) {
        problem_ = stream_.msg != nullptr ? stream_.msg : zError(result);
        return false;
      }
    }
    return true;
  }

  bool at_end() const override { return between_members_; }
  const char* name() const override { return "gzip"; }

 private:
  z_stream stream_{};
  bool between_members_ = false;
};

class ByteReader::ZstdInflater final : public Inflater {
 public:
  ZstdInflater() : stream_(ZSTD_createDStream()) {}
  ~ZstdInflater() override { ZSTD_freeDStream(stream_); }

  bool take(std::span<const uint8_t>& in, std::span<uint8_t>& out) override {
    ZSTD_inBuffer from{in.data(), in.size(), 0};
    size_t filled = 0;
    // Also with no input left: the decoder may still hold finished bytes. One block per call:
    // a call that fails returns none of its output.
    while (filled < out.size() && (from.pos < from.size || !between_frames_)) {
      const size_t in_before = from.pos;
      ZSTD_outBuffer to{out.data() + filled, std::min(out.size() - filled, ZSTD_DStreamOutSize()),
                        0};
      const size_t result = ZSTD_decompressStream(stream_, &to, &from);
      filled += to.pos;
      if (ZSTD_isError(result) != 0) {
        problem_ = ZSTD_getErrorName(result);
        break;
      }
      between_frames_ = result == 0;
      if (from.pos == in_before && to.pos == 0) break;
    }
    in = in.subspan(from.pos);
    out = out.subspan(filled);
    return problem_.empty();
  }

  bool at_end() const override { return between_frames_; }
  const char* name() const override { return "zstd"; }

 private:
  ZSTD_DStream* stream_;
  bool between_frames_ = false;
};

ByteReader::ByteReader() = default;

ByteReader::~ByteReader() {
  close();
}

void ByteReader::close() {
  if (fd_ >= 0 && !is_stdin_) ::close(fd_);
  fd_ = -1;
  inflater_.reset();
  packed_begin_ = packed_end_ = 0;
}

ReadResult ByteReader::fail(std::string text) {
  error_ = std::move(text);
  return {ReadStatus::kError, 0};
}

bool ByteReader::open(const std::string& path) {
  close();
  is_stdin_ = path == "-";
  // Non-blocking, so that a FIFO without a writer does not hang the start.
  fd_ = is_stdin_ ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  return begin();
}

bool ByteReader::take(int fd) {
  close();
  is_stdin_ = false;
  fd_ = fd;
  return begin();
}

bool ByteReader::begin() {
  struct stat status {};
  if (fd_ < 0 || fstat(fd_, &status) != 0) {
    error_ = std::string("cannot be opened: ") + std::strerror(errno);
    close();
    return false;
  }
  if (S_ISDIR(status.st_mode)) {
    error_ = "is a directory, not a capture file";
    close();
    return false;
  }
  may_block_ = !S_ISREG(status.st_mode);
  if (!may_block_) posix_fadvise(fd_, 0, 0, POSIX_FADV_SEQUENTIAL);
  growing_ = false;
  kind_known_ = false;
  head_size_ = 0;
  file_bytes_ = 0;
  error_.clear();
  return true;
}

bool ByteReader::skip_plain(uint64_t offset) {
  kind_known_ = true;
  file_bytes_ = offset;
  return lseek(fd_, static_cast<off_t>(offset), SEEK_SET) >= 0;
}

int64_t ByteReader::plain_file_offset() const {
  if (may_block_ || kind_known_ || head_size_ > 0) return -1;
  const off_t offset = lseek(fd_, 0, SEEK_CUR);
  uint8_t head[sizeof head_];
  if (offset < 0 || pread(fd_, head, sizeof head, offset) != ssize_t{sizeof head}) return -1;
  const bool packed = is_gzip(head, sizeof head) || is_zstd(head, sizeof head) ||
                      foreign_kind(head, sizeof head) != nullptr;
  return packed ? -1 : int64_t{offset};
}

ReadResult ByteReader::read_file(std::span<uint8_t> into) {
  if (may_block_) {
    pollfd waiting{fd_, POLLIN, 0};
    if (::poll(&waiting, 1, 0) == 0) return {ReadStatus::kNotReady, 0};
  }
  for (;;) {
    const ssize_t got = ::read(fd_, into.data(), into.size());
    if (got > 0) {
      file_bytes_ += static_cast<uint64_t>(got);
      return {ReadStatus::kData, static_cast<size_t>(got)};
    }
    if (got == 0) return {ReadStatus::kEnd, 0};
    if (errno == EAGAIN || errno == EWOULDBLOCK) return {ReadStatus::kNotReady, 0};
    if (errno != EINTR) {
      const std::string reason = std::strerror(errno);
      return fail("reading failed at byte " + std::to_string(file_bytes_) + ": " + reason);
    }
  }
}

ReadResult ByteReader::find_kind() {
  while (head_size_ < sizeof head_) {
    const ReadResult result = read_file({head_ + head_size_, sizeof head_ - head_size_});
    if (result.status == ReadStatus::kEnd && !growing_) break;
    if (result.status != ReadStatus::kData) return result;
    head_size_ += result.size;
  }
  if (is_gzip(head_, head_size_)) {
    inflater_ = std::make_unique<GzipInflater>();
  } else if (is_zstd(head_, head_size_)) {
    inflater_ = std::make_unique<ZstdInflater>();
  } else if (const ForeignKind* kind = foreign_kind(head_, head_size_)) {
    return fail(std::string("is compressed with ") + kind->name +
                ", which is not read directly: use " + kind->command + " FILE | tcp-sniffer -r -");
  }
  if (inflater_) {
    packed_.resize(kPackedSize);
    std::copy_n(head_, head_size_, packed_.begin());
    packed_begin_ = 0;
    packed_end_ = head_size_;
    head_size_ = 0;
  }
  kind_known_ = true;
  return {ReadStatus::kData, 0};
}

ReadResult ByteReader::read_inflated(std::span<uint8_t> into) {
  for (;;) {
    std::span<const uint8_t> in(packed_.data() + packed_begin_, packed_end_ - packed_begin_);
    std::span<uint8_t> out = into;
    const bool good = inflater_->problem().empty() && inflater_->take(in, out);
    packed_begin_ = packed_end_ - in.size();
    // What came out before the damage is delivered; the next call runs into it again.
    if (const size_t size = into.size() - out.size(); size > 0) return {ReadStatus::kData, size};
    const auto where = [this] {
      return " at byte " + std::to_string(file_bytes_ - (packed_end_ - packed_begin_)) +
             " of the compressed file";
    };
    if (!good) {
      return fail(std::string(inflater_->name()) + " data is corrupt" + where() + ": " +
                  inflater_->problem());
    }
    packed_begin_ = packed_end_ = 0;
    const ReadResult result = read_file(packed_);
    if (result.status == ReadStatus::kEnd && !inflater_->at_end() && !growing_) {
      return fail(std::string(inflater_->name()) + " data is cut" + where());
    }
    if (result.status != ReadStatus::kData) return result;
    packed_end_ = result.size;
  }
}

ReadResult ByteReader::read(std::span<uint8_t> into) {
  if (!kind_known_) {
    const ReadResult result = find_kind();
    if (!kind_known_) return result;
  }
  if (inflater_) return read_inflated(into);
  if (head_size_ == 0) return read_file(into);
  const size_t size = std::min(head_size_, into.size());
  std::copy_n(head_, size, into.begin());
  std::copy(head_ + size, head_ + head_size_, head_);
  head_size_ -= size;
  if (size == into.size()) return {ReadStatus::kData, size};
  const ReadResult rest = read_file(into.subspan(size));
  // An error or the end shows again at the next call.
  return {ReadStatus::kData, size + (rest.status == ReadStatus::kData ? rest.size : 0)};
}

}  // namespace tcp_sniffer
