#include "core/line/time_text.h"

#include <chrono>
#include <cstring>

#include "core/base/number_text.h"

namespace tcp_sniffer {
namespace {

constexpr int64_t kNanosecondsPerSecond = 1000000000;
constexpr size_t kPrefixSize = 20;     // 2025-02-21T12:00:00.
constexpr size_t kClockPrefixAt = 11;  // where the time of day begins

}  // namespace

char* TimeText::write(char* out, int64_t time_ns) {
  const uint32_t microseconds = advance_to(time_ns);
  std::memcpy(out, prefix_, kPrefixSize);
  out = write_six_digits(out + kPrefixSize, microseconds);
  *out = 'Z';
  return out + 1;
}

char* TimeText::write_clock(char* out, int64_t time_ns) {
  const uint32_t microseconds = advance_to(time_ns);
  constexpr size_t kSizeToSecond = kPrefixSize - kClockPrefixAt;
  std::memcpy(out, prefix_ + kClockPrefixAt, kSizeToSecond);
  return write_six_digits(out + kSizeToSecond, microseconds);
}

char* TimeText::write_day(char* out, int64_t time_ns) {
  advance_to(time_ns);
  std::memcpy(out, prefix_, kDaySize);
  return out + kDaySize;
}

int64_t TimeText::day_of(int64_t time_ns) {
  advance_to(time_ns);
  const std::chrono::seconds local{second_ + offset_s_};
  return std::chrono::floor<std::chrono::days>(local).count();
}

int32_t TimeText::offset_at(int64_t time_ns) {
  advance_to(time_ns);
  return offset_s_;
}

uint32_t TimeText::advance_to(int64_t time_ns) {
  int64_t second = time_ns / kNanosecondsPerSecond;
  int64_t nanoseconds = time_ns % kNanosecondsPerSecond;
  if (nanoseconds < 0) {
    nanoseconds += kNanosecondsPerSecond;
    --second;
  }
  if (second != second_) format_second(second);
  return static_cast<uint32_t>(nanoseconds / 1000);
}

void TimeText::format_second(int64_t second) {
  second_ = second;
  offset_s_ = offset_of_ == nullptr ? 0 : offset_of_(second);
  const std::chrono::sys_seconds time{std::chrono::seconds{second + offset_s_}};
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date{day};
  const std::chrono::hh_mm_ss clock{time - day};
  // 64 bits of nanoseconds reach from 1677 to 2262: the year has four digits.
  const auto year = static_cast<uint32_t>(static_cast<int>(date.year()));
  char* out = write_two_digits(prefix_, year / 100);
  out = write_two_digits(out, year % 100);
  *out++ = '-';
  out = write_two_digits(out, static_cast<unsigned>(date.month()));
  *out++ = '-';
  out = write_two_digits(out, static_cast<unsigned>(date.day()));
  *out++ = 'T';
  out = write_two_digits(out, static_cast<uint32_t>(clock.hours().count()));
  *out++ = ':';
  out = write_two_digits(out, static_cast<uint32_t>(clock.minutes().count()));
  *out++ = ':';
  out = write_two_digits(out, static_cast<uint32_t>(clock.seconds().count()));
  *out = '.';
}

}  // namespace tcp_sniffer
