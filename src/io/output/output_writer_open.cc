// How the writer opens its output, at the start and again (SIGHUP), and what it finds there.

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "io/base/writable.h"
#include "io/output/output_writer.h"

namespace tcp_sniffer {

namespace {

Problem cannot_open(const std::string& path, int error) {
  return {ErrorCode::kOutputFailed, "output " + path + " cannot be opened: ", std::strerror(error)};
}

}  // namespace

std::optional<Problem> OutputWriter::problem_of(const std::string& path) {
  const int error = path.empty() ? 0 : error_of_writing(path, true);
  if (error == 0) return {};
  return cannot_open(path, error);
}

std::optional<Problem> OutputWriter::open() {
  if (settings_.path.empty()) {
    fd_ = settings_.fd;
    const int flags = fcntl(fd_, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY) {
      return Problem{ErrorCode::kOutputFailed, "",
                     "standard output is closed, or not open for writing"};
    }
  } else {
    fd_ = open_path();
    lacks_reader_ = fd_ < 0 && errno == ENXIO;
    if (fd_ < 0) return cannot_open(settings_.path, errno);
    owns_fd_ = true;
  }
  classify();
  const std::string problem = mend();
  if (problem.empty()) return {};
  const std::string output =
      settings_.path.empty() ? "standard output" : "output " + settings_.path;
  return Problem{ErrorCode::kOutputFailed, output + " cannot be appended to: ", problem};
}

// Where a file is gone on with. Returns why it must not be.
std::string OutputWriter::mend() {
  file_end_ = {};
  head_pending_ = !head_.empty();
  struct stat status {};
  if (fstat(fd_, &status) != 0 || !S_ISREG(status.st_mode) || status.st_size == 0) return {};
  const bool appends =
      (fcntl(fd_, F_GETFL) & O_APPEND) != 0 || lseek(fd_, 0, SEEK_CUR) == status.st_size;
  if (!appends) return {};
  file_end_ = mend_file_end(fd_, settings_.framing, head_);
  // The head stands at the begin of a file only, because readers look for it nowhere else.
  head_pending_ = !head_.empty() && fstat(fd_, &status) == 0 && status.st_size == 0;
  return file_end_.error;
}

int OutputWriter::open_path() const {
  return ::open(settings_.path.c_str(),
                O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0640);
}

void OutputWriter::classify() {
  struct stat status {};
  if (fstat(fd_, &status) != 0) return;
  kind_ = S_ISFIFO(status.st_mode)   ? Kind::kPipe
          : S_ISSOCK(status.st_mode) ? Kind::kSocket
          : isatty(fd_) != 0         ? Kind::kTerminal
                                     : Kind::kFile;
  if (kind_ == Kind::kPipe) {
    fcntl(fd_, F_SETPIPE_SZ, kPipeBytes);  // a smaller one works too, only slower
    const int capacity = fcntl(fd_, F_GETPIPE_SZ);
    room_max_ = capacity > 0 ? static_cast<size_t>(capacity) : 16 * page_;
  } else if (kind_ == Kind::kSocket) {
    int size = kPipeBytes;
    setsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    socklen_t length = sizeof(size);
    const bool known = getsockopt(fd_, SOL_SOCKET, SO_SNDBUF, &size, &length) == 0 && size > 0;
    room_max_ = known ? static_cast<size_t>(size) / 2 : 0;
  } else if (kind_ == Kind::kTerminal) {
    unblock_terminal();
  }
  writes_since_empty_ = 0;
  waiting_since_.reset();
}

// A terminal that was stopped (Ctrl-S) would hold a write, and so the end of the run, forever. The
// flags of the descriptor belong to the shell as well, so the terminal is opened once more.
void OutputWriter::unblock_terminal() {
  const std::string name = "/proc/self/fd/" + std::to_string(fd_);
  const int own = ::open(name.c_str(), O_WRONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
  if (own < 0) return;
  if (owns_fd_) ::close(fd_);
  fd_ = own;
  owns_fd_ = true;
}

void OutputWriter::reopen_now() {
  if (settings_.path.empty() || ended()) return;
  const int fresh = open_path();
  if (fresh < 0) {
    // The old file is better than none, unless it was deleted.
    listener_.on_reopen_failed(settings_.path, std::strerror(errno));
    return;
  }
  const int old = std::exchange(fd_, fresh);
  const bool old_head_pending = head_pending_;
  if (const std::string problem = mend(); !problem.empty()) {
    fd_ = old;
    head_pending_ = old_head_pending;
    ::close(fresh);
    listener_.on_reopen_failed(settings_.path, problem);
    return;
  }
  ::close(old);
  classify();
  if (file_end_.mended()) listener_.on_mended(settings_.path, file_end_);
  write_head();
}

// False: it is still to be written, because the disk is full, or the output has ended.
bool OutputWriter::write_head() {
  if (head_pending_) head_pending_ = write_bytes(head_) < head_.size();
  return !head_pending_;
}

}  // namespace tcp_sniffer
