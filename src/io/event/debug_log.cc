#include "io/event/debug_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "core/line/segment_text.h"
#include "io/base/writable.h"

namespace tcp_sniffer {

namespace {

Problem cannot_write(const std::string& path, int error) {
  return {ErrorCode::kOutputFailed, "debugLog: cannot write " + path + ": ", std::strerror(error)};
}

}  // namespace

class DebugLog::Section final : public SegmentTrace {
 public:
  explicit Section(DebugLog& log) : log_(log) { text_.reserve(kSectionBytes); }

  void on_segment(const TracedSegment& traced) override {
    append_segment_line(traced, text_);
    if (log_.hex_dump_) {
      append_hex_dump({traced.segment.payload, traced.segment.payload_size}, text_);
    }
    if (text_.size() >= kSectionBytes) flush();
  }
  void flush() override {
    if (text_.empty()) return;
    log_.append(text_);
    text_.clear();
  }

 private:
  DebugLog& log_;
  std::string text_;
};

DebugLog::~DebugLog() {
  if (fd_ >= 0) close(fd_);
}

std::optional<Problem> DebugLog::problem_of(const std::string& path) {
  const int error = error_of_writing(path, false);
  if (error == 0) return {};
  return cannot_write(path, error);
}

std::optional<Problem> DebugLog::open(const std::string& path) {
  fd_ =
      ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd_ >= 0) return {};
  return cannot_write(path, errno);
}

SegmentTrace* DebugLog::add_section() {
  sections_.push_back(std::make_unique<Section>(*this));
  return sections_.back().get();
}

// O_APPEND: the system puts the pieces of several threads one after the other.
void DebugLog::append(const std::string& text) {
  size_t done = 0;
  while (done < text.size() && error() == 0) {
    const ssize_t written = write(fd_, text.data() + done, text.size() - done);
    if (written > 0) {
      done += static_cast<size_t>(written);
    } else if (written < 0 && errno != EINTR) {
      error_.store(errno, std::memory_order_relaxed);
    }
  }
}

}  // namespace tcp_sniffer
