#pragma once

#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// Packet times as ISO 8601 text in UTC with microseconds: `2025-02-21T12:00:00.000000Z`.
// Messages come in nearly the same order as time: the text up to the second is kept and made
// anew only when the second changes. One object per line writer, one thread.
class TimeText {
 public:
  static constexpr size_t kSize = 27;       // 2025-02-21T12:00:00.000000Z
  static constexpr size_t kClockSize = 15;  // 12:00:00.000000

  // Writes kSize bytes; nanoseconds since 1970, cut (not rounded) to microseconds.
  char* write(char* out, int64_t time_ns);
  // Writes kClockSize bytes: the time of day alone.
  char* write_clock(char* out, int64_t time_ns);

 private:
  // Brings prefix_ up to the second of time_ns, returns the microseconds within it.
  uint32_t advance_to(int64_t time_ns);
  void format_second(int64_t second);

  int64_t second_ = INT64_MIN;
  char prefix_[32] = {};  // 2025-02-21T12:00:00.
};

}  // namespace tcp_sniffer
