#pragma once

#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

// Packet times as ISO 8601 text in UTC with microseconds: `2025-02-21T12:00:00.000000Z`; the parts
// for people may be in local time.
// Messages come in nearly the same order as time: the text up to the second is kept and made
// again only when the second changes. One object per line writer, one thread.
class TimeText {
 public:
  // Seconds that local time is ahead of UTC at a moment (seconds since 1970, UTC).
  using Offset = int32_t (*)(int64_t second);

  // nullptr: UTC.
  explicit TimeText(Offset offset = nullptr) : offset_of_(offset) {}

  static constexpr size_t kSize = 27;       // 2025-02-21T12:00:00.000000Z
  static constexpr size_t kClockSize = 15;  // 12:00:00.000000
  static constexpr size_t kDaySize = 10;    // 2025-02-21

  // Writes kSize bytes; nanoseconds since 1970, cut (not rounded) to microseconds.
  char* write(char* out, int64_t time_ns);
  // Writes kClockSize bytes: the time of day alone.
  char* write_clock(char* out, int64_t time_ns);
  // Writes kDaySize bytes: the date alone.
  char* write_day(char* out, int64_t time_ns);
  // Days since 1970, and the seconds ahead of UTC.
  int64_t day_of(int64_t time_ns);
  int32_t offset_at(int64_t time_ns);

 private:
  // Brings prefix_ up to the second of time_ns, returns the microseconds within it.
  uint32_t advance_to(int64_t time_ns);
  void format_second(int64_t second);

  const Offset offset_of_;
  int64_t second_ = INT64_MIN;  // UTC
  int32_t offset_s_ = 0;        // at that second
  char prefix_[32] = {};        // 2025-02-21T12:00:00.
};

}  // namespace tcp_sniffer
