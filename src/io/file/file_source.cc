#include "io/file/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>
#include <utility>

#include "io/base/capture_magic.h"
#include "io/base/printable.h"

namespace tcp_sniffer {

namespace {

// Less room than this at a piece's end is not worth a system call, when a fresh piece is to be had.
constexpr size_t kReadSizeMin = 64 * 1024;

// The sum of the files' sizes; 0 when one of them is no regular file, or is not there.
uint64_t total_size(const std::vector<std::string>& paths) {
  uint64_t total = 0;
  for (const std::string& path : paths) {
    struct stat status {};
    const int failed = path == "-" ? fstat(0, &status) : stat(path.c_str(), &status);
    if (failed != 0 || !S_ISREG(status.st_mode)) return 0;
    total += static_cast<uint64_t>(status.st_size);
  }
  return total;
}

std::string foreign_text(const uint8_t* first) {
  char hex[16];
  std::snprintf(hex, sizeof hex, "%02x %02x %02x %02x", first[0], first[1], first[2], first[3]);
  return std::string("is not a capture file: at byte 0 it has ") + hex +
         ", but pcap, pcapng, or one of them compressed with gzip or zstd, is needed";
}

Problem about(const std::string& path, const std::string& words) {
  const std::string file = path == "-" ? "standard input" : quote_text(path, PATH_MAX);
  return {ErrorCode::kInputFile, file + " ", words};
}

}  // namespace

FileSource::FileSource(std::vector<std::string> paths, PiecePool& pool, FileParts* parts)
    : pool_(pool), parts_(parts), paths_(std::move(paths)), bytes_total_(total_size(paths_)) {}

FileSource::~FileSource() {
  if (has_chunk_ && chunk_.piece != nullptr) chunk_.piece->release();
  if (piece_ != nullptr) piece_->release();
}

std::optional<Problem> FileSource::problem_of(const std::string& path) {
  if (path == "-") return {};
  ByteReader reader;
  if (!reader.open(path)) return about(path, reader.error());
  struct stat status {};
  if (fstat(reader.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  uint8_t first[kCaptureMagicSize] = {};
  size_t size = 0;
  while (size < kCaptureMagicSize) {
    const ReadResult result = reader.read({first + size, kCaptureMagicSize - size});
    if (result.status == ReadStatus::kError) return about(path, reader.error());
    if (result.status != ReadStatus::kData) break;
    size += result.size;
  }
  if (size == 0) return about(path, "is empty");
  // A file that is cut this early is reported, with its place, when it is read.
  if (size < kCaptureMagicSize || PcapFormat::is_magic(first) || PcapngFormat::is_magic(first))
    return {};
  return about(path, foreign_text(first));
}

std::optional<Problem> FileSource::missing(const std::string& path) {
  if (path == "-" || faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) return {};
  return about(path, std::string("cannot be opened: ") + std::strerror(errno));
}

bool FileSource::is_plain(const std::string& path) {
  struct stat status {};
  if (path != "-" && (stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode))) return false;
  ByteReader reader;
  return reader.open(path) && reader.plain_file_offset() >= 0;
}

SourceStatus FileSource::poll(FrameSink& sink) {
  while (!failed_) {
    if (!reader_.is_open()) {
      if (next_path_ == paths_.size()) return SourceStatus::kEnd;
      if (!open_next(sink)) break;
    }
    const size_t frames = parse_burst();
    if (frames > 0) {
      sink.on_frames({frames_.data(), frames}, piece_);
      return SourceStatus::kMore;
    }
    if (failed_) break;
    switch (refill()) {
      case Refill::kMore:
        break;
      case Refill::kIdle:
        return SourceStatus::kIdle;
      case Refill::kFileEnd:
        if (!end_file()) return SourceStatus::kError;
        break;
      case Refill::kFailed:
        return SourceStatus::kError;
    }
  }
  return SourceStatus::kError;
}

bool FileSource::open_next(FrameSink& sink) {
  const std::string& path = paths_[next_path_++];
  if (!reader_.open(path)) {
    fail(reader_.error());
    return false;
  }
  format_.emplace<std::monostate>();
  begin_ = end_;
  begin_offset_ = 0;
  skip_ = 0;
  wanted_ = kCaptureMagicSize;
  if (parts_ != nullptr) {
    const int64_t offset = reader_.plain_file_offset();
    in_parts_ = offset >= 0 && parts_->begin(reader_.fd(), static_cast<uint64_t>(offset));
  }
  sink.on_file(path);
  return true;
}

bool FileSource::find_format() {
  if (end_ - begin_ < kCaptureMagicSize) return false;
  const uint8_t* first = piece_->data + begin_;
  if (PcapFormat::is_magic(first)) {
    format_.emplace<PcapFormat>();
  } else if (PcapngFormat::is_magic(first)) {
    format_.emplace<PcapngFormat>();
  } else {
    fail(foreign_text(first));
    return false;
  }
  return true;
}

size_t FileSource::parse_burst() {
  if (piece_ == nullptr) return 0;
  if (std::holds_alternative<std::monostate>(format_) && !find_format()) return 0;
  if (auto* pcap = std::get_if<PcapFormat>(&format_)) return parse_burst(*pcap);
  return parse_burst(std::get<PcapngFormat>(format_));
}

template <typename Format>
size_t FileSource::parse_burst(Format& format) {
  size_t frames = 0;
  while (frames < kFramesPerBurst) {
    const std::span<const uint8_t> bytes(piece_->data + begin_, end_ - begin_);
    if (skip_ > 0) {
      const size_t passed = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
      skip_ -= passed;
      begin_ += passed;
      begin_offset_ += passed;
      wanted_ = 1;
      if (skip_ > 0) break;
      continue;
    }
    const FormatStep step = format.next(bytes, frames_[frames]);
    if (step.kind == FormatStep::Kind::kFrame) {
      ++frames;
      begin_ += step.bytes;
      begin_offset_ += step.bytes;
    } else if (step.kind == FormatStep::Kind::kSkip) {
      skip_ = step.bytes;
      skip_offset_ = begin_offset_;
    } else if (step.kind == FormatStep::Kind::kNeedMore) {
      wanted_ = step.bytes;
      break;
    } else {
      // Frames first; the next call comes back to the same place and finds the same damage.
      if (frames == 0) fail("is damaged" + at_byte() + ": " + format.problem());
      break;
    }
  }
  return frames;
}

// Makes room for at least one more byte after `end_`, in a piece in which the wanted bytes have
// room. False when that takes a piece and none is free.
bool FileSource::make_room() {
  const size_t left = end_ - begin_;
  if (piece_ != nullptr) {
    // A piece larger than the others holds one large frame and goes back afterwards.
    const bool usual = piece_->capacity == pool_.piece_size();
    const size_t room = piece_->capacity - end_;
    const bool fits = begin_ + wanted_ <= piece_->capacity && room > 0;
    if (fits && (!usual || room >= std::min(kReadSizeMin, piece_->capacity / 4))) return true;
    // Acquire: the others' reads are done before their bytes are written over.
    const bool alone = piece_->references.load(std::memory_order_acquire) == 1;
    if (usual && wanted_ <= piece_->capacity && alone) {
      std::memmove(piece_->data, piece_->data + begin_, left);
      begin_ = 0;
      end_ = left;
      return true;
    }
  }
  CapturePiece* next = pool_.take(wanted_);
  if (next == nullptr) return false;
  if (piece_ != nullptr) {
    if (left > 0) std::memcpy(next->data, piece_->data + begin_, left);
    piece_->release();
  }
  piece_ = next;
  begin_ = 0;
  end_ = left;
  return true;
}

FileSource::Refill FileSource::refill() {
  if (in_parts_) return refill_from_chunk();
  waiting_for_piece_ = !make_room();
  if (waiting_for_piece_) return Refill::kIdle;
  const ReadResult result = reader_.read({piece_->data + end_, piece_->capacity - end_});
  bytes_read_.store(bytes_of_ended_files_ + reader_.file_bytes(), std::memory_order_relaxed);
  if (result.status != ReadStatus::kData) return ended(result.status);
  end_ += result.size;
  piece_->size = end_;
  return Refill::kMore;
}

FileSource::Refill FileSource::ended(ReadStatus status) {
  if (status == ReadStatus::kNotReady) return Refill::kIdle;
  if (status == ReadStatus::kEnd) return Refill::kFileEnd;
  fail(reader_.error());
  return Refill::kFailed;
}

void FileSource::offer(const FileParts::Chunk& chunk) {
  has_chunk_ = in_parts_ && parts_->is_current(chunk);
  if (has_chunk_) {
    chunk_ = chunk;
  } else if (chunk.piece != nullptr) {
    chunk.piece->release();
  }
}

FileSource::Refill FileSource::refill_from_chunk() {
  if (!has_chunk_) return Refill::kIdle;
  bytes_read_.store(bytes_of_ended_files_ + chunk_.offset, std::memory_order_relaxed);
  if (chunk_.piece != nullptr) {
    take_chunk();
    chunk_.piece = nullptr;
    return Refill::kMore;
  }
  has_chunk_ = false;
  if (chunk_.status == ReadStatus::kData) return Refill::kIdle;
  parts_->end();
  in_parts_ = false;
  if (chunk_.status == ReadStatus::kEnd) return Refill::kFileEnd;
  fail("reading failed at byte " + std::to_string(chunk_.offset) + ": " +
       std::strerror(chunk_.error));
  return Refill::kFailed;
}

// Goes on in a part that was offered. The last one ended with a part of a frame, which is put
// before the new one or, when it is too long for that, the new one is put after it.
void FileSource::take_chunk() {
  const size_t left = end_ - begin_;
  if (left > FileParts::kHeadroom) return join_chunk();
  CapturePiece* next = chunk_.piece;
  begin_ = FileParts::kHeadroom - left;
  if (left > 0) std::memcpy(next->data + begin_, piece_->data + end_ - left, left);
  if (piece_ != nullptr) piece_->release();
  piece_ = next;
  end_ = next->size;
}

// The rare case: a frame larger than the parts. It is put together in a piece with room for all of
// it, so that each of its bytes is copied once.
void FileSource::join_chunk() {
  const uint8_t* fresh = chunk_.piece->data + FileParts::kHeadroom;
  const size_t fresh_size = chunk_.piece->size - FileParts::kHeadroom;
  if (piece_->capacity - end_ < fresh_size) move_to_large_piece(fresh_size);
  std::memcpy(piece_->data + end_, fresh, fresh_size);
  end_ += fresh_size;
  piece_->size = end_;
  chunk_.piece->release();
}

// With room for the wanted bytes, and for the parts that end with them. The bytes that are left are
// kept aside, because only one large piece may be in use, and they may be in it. Other holders of
// that piece release it without this thread.
void FileSource::move_to_large_piece(size_t fresh_size) {
  const std::vector<uint8_t> left(piece_->data + begin_, piece_->data + end_);
  piece_->release();
  piece_ = nullptr;
  const size_t size = std::max({wanted_, left.size(), pool_.piece_size() + 1}) + fresh_size;
  CapturePiece* next = pool_.take(size);
  while (next == nullptr) {
    pool_.wait(size, 100);
    next = pool_.take(size);
  }
  std::memcpy(next->data, left.data(), left.size());
  piece_ = next;
  begin_ = 0;
  end_ = left.size();
}

// The file has no more bytes: false when it may not end here.
bool FileSource::end_file() {
  const size_t left = end_ - begin_;
  const uint64_t size = begin_offset_ + left;
  if (size == 0) {
    fail("is empty");
    return false;
  }
  bool may_end = false;
  std::string what = "file header";
  if (const auto* pcap = std::get_if<PcapFormat>(&format_)) {
    may_end = pcap->may_end();
    what = pcap->what();
  } else if (const auto* pcapng = std::get_if<PcapngFormat>(&format_)) {
    may_end = pcapng->may_end();
    what = pcapng->what();
  }
  if (skip_ > 0) {
    fail("is cut at byte " + std::to_string(size) + ": the block at byte " +
         std::to_string(skip_offset_) + " has " + std::to_string(skip_) + " bytes more");
    return false;
  }
  if (left > 0 || !may_end) {
    fail("is cut at byte " + std::to_string(size) + ": the " + what + " at byte " +
         std::to_string(begin_offset_) + " has at least " + std::to_string(wanted_) +
         " bytes, of which " + std::to_string(left) + " are there");
    return false;
  }
  bytes_of_ended_files_ = bytes_read_.load(std::memory_order_relaxed);
  reader_.close();
  return true;
}

std::string FileSource::at_byte() const {
  return " at byte " + std::to_string(begin_offset_);
}

void FileSource::fail(const std::string& words) {
  problem_ = about(paths_[next_path_ - 1], words);
  failed_ = true;
}

void FileSource::wait(int timeout_ms) {
  if (waiting_for_piece_) {
    pool_.wait(wanted_, timeout_ms);
  } else {
    pool_.event().wait(reader_.fd(), timeout_ms);
  }
}

}  // namespace tcp_sniffer
