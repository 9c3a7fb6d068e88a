#pragma once

#include <chrono>

#include "io/file/file_input.h"

namespace tcp_sniffer {

// How far the capture files are read: a line on the terminal that overwrites itself, for people
// that wait for a long file. Control thread. The source outlives it.
class ProgressLine {
 public:
  using Clock = std::chrono::steady_clock;

  ProgressLine(const FileInput& source, Clock::time_point started_at)
      : source_(source), started_at_(started_at) {}

  // Shows it, twice a second and from the first second on.
  void show(Clock::time_point now);
  // Takes it away.
  void clear();

 private:
  const FileInput& source_;
  const Clock::time_point started_at_;
  Clock::time_point next_;
  bool shown_ = false;
};

}  // namespace tcp_sniffer
