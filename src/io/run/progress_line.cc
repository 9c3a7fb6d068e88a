#include "io/run/progress_line.h"

#include <unistd.h>

#include <cstdio>
#include <string_view>

namespace tcp_sniffer {

void ProgressLine::show(Clock::time_point now) {
  if (now < next_) return;
  next_ = now + std::chrono::milliseconds(500);
  if (isatty(STDERR_FILENO) == 0 || now - started_at_ < std::chrono::seconds(1)) return;
  const auto read = static_cast<double>(source_.bytes_read());
  const auto total = static_cast<double>(source_.bytes_total());
  const double elapsed = std::chrono::duration<double>(now - started_at_).count();
  char text[128];
  int size = 0;
  if (total > 0 && read > 0) {
    const double left = (total - read) * elapsed / read;
    size = std::snprintf(text, sizeof(text), "\r\033[K%3.0f %%  %.0f MB/s  %.0f s left\r",
                         100 * read / total, read / elapsed / 1e6, left);
  } else {
    size = std::snprintf(text, sizeof(text), "\r\033[K%.0f MB  %.0f MB/s\r", read / 1e6,
                         read / elapsed / 1e6);
  }
  if (size > 0 && write(STDERR_FILENO, text, static_cast<size_t>(size)) > 0) shown_ = true;
}

void ProgressLine::clear() {
  if (!shown_) return;
  constexpr std::string_view kClear = "\r\033[K";
  if (write(STDERR_FILENO, kClear.data(), kClear.size()) < 0) shown_ = false;
}

}  // namespace tcp_sniffer
