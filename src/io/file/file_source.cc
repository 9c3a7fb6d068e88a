#include "io/file/file_source.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <cstring>
#include <span>
#include <utility>

#include "io/base/capture_magic.h"
#include "io/base/printable.h"

namespace tcp_sniffer {

namespace {

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

}  // namespace

Problem problem_about(const std::string& path, const std::string& words) {
  const std::string file = path == "-" ? "standard input" : quote_text(path, PATH_MAX);
  return {ErrorCode::kInputFile, file + " ", words};
}

FileSource::FileSource(std::vector<std::string> paths, PiecePool& pool, FileParts* parts,
                       LinkNames* names)
    : pool_(pool),
      parts_(parts),
      paths_(std::move(paths)),
      cutter_(pool, names),
      bytes_total_(total_size(paths_)) {}

FileSource::~FileSource() {
  if (has_chunk_ && chunk_.piece != nullptr) chunk_.piece->release();
}

std::optional<Problem> FileSource::problem_of(const std::string& path) {
  if (path == "-") return {};
  ByteReader reader;
  if (!reader.open(path)) return problem_about(path, reader.error());
  struct stat status {};
  if (fstat(reader.fd(), &status) != 0 || !S_ISREG(status.st_mode)) return {};
  uint8_t first[kCaptureMagicSize] = {};
  size_t size = 0;
  while (size < kCaptureMagicSize) {
    const ReadResult result = reader.read({first + size, kCaptureMagicSize - size});
    if (result.status == ReadStatus::kError) return problem_about(path, reader.error());
    if (result.status != ReadStatus::kData) break;
    size += result.size;
  }
  if (size == 0) return problem_about(path, "is empty");
  // A file that is cut this early is reported, with its place, when it is read.
  if (size < kCaptureMagicSize || PcapFormat::is_magic(first) || PcapngFormat::is_magic(first))
    return {};
  return problem_about(path, foreign_text(first));
}

std::optional<Problem> FileSource::missing(const std::string& path) {
  if (path == "-" || faccessat(AT_FDCWD, path.c_str(), R_OK, AT_EACCESS) == 0) return {};
  return problem_about(path, std::string("cannot be opened: ") + std::strerror(errno));
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
    const std::span<const Frame> frames = cutter_.cut();
    if (!frames.empty()) {
      sink.on_frames(frames, cutter_.piece());
      return SourceStatus::kMore;
    }
    if (!cutter_.problem().empty()) {
      fail(cutter_.problem());
      break;
    }
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
  cutter_.begin();
  if (parts_ != nullptr) {
    const int64_t offset = reader_.plain_file_offset();
    in_parts_ = offset >= 0 && parts_->begin(reader_.fd(), static_cast<uint64_t>(offset));
  }
  sink.on_file(path);
  return true;
}

FileSource::Refill FileSource::refill() {
  if (in_parts_) return refill_from_chunk();
  const std::span<uint8_t> room = cutter_.room();
  waiting_for_piece_ = room.empty();
  if (waiting_for_piece_) return Refill::kIdle;
  const ReadResult result = reader_.read(room);
  bytes_read_.store(bytes_of_ended_files_ + reader_.file_bytes(), std::memory_order_relaxed);
  if (result.status != ReadStatus::kData) return ended(result.status);
  cutter_.filled(result.size);
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
    cutter_.take(chunk_.piece, FileParts::kHeadroom);
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

// The file has no more bytes: false when it may not end here.
bool FileSource::end_file() {
  if (const auto problem = cutter_.problem_of_end()) {
    fail(*problem);
    return false;
  }
  bytes_of_ended_files_ = bytes_read_.load(std::memory_order_relaxed);
  reader_.close();
  return true;
}

void FileSource::fail(const std::string& words) {
  problem_ = problem_about(paths_[next_path_ - 1], words);
  failed_ = true;
}

void FileSource::wait(int timeout_ms) {
  if (waiting_for_piece_) {
    pool_.wait(cutter_.wanted(), timeout_ms);
  } else {
    pool_.event().wait(reader_.fd(), timeout_ms);
  }
}

}  // namespace tcp_sniffer
