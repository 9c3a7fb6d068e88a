#include "io/event/events.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include "io/event/event_log.h"

namespace tcp_sniffer::events_test {
namespace {

using nlohmann::json;

constexpr int64_t kTimeUs = 1740139200000042;  // 2025-02-21T12:00:00.000042Z

// A pipe in the place of standard error.
class Pipe {
 public:
  Pipe() { EXPECT_EQ(::pipe2(ends_, O_CLOEXEC), 0); }
  ~Pipe() {
    close_reader();
    close_writer();
  }
  int writer() const { return ends_[1]; }
  void close_reader() { close_end(ends_[0]); }
  void close_writer() { close_end(ends_[1]); }

  // Makes the pipe full, so that the next write would block.
  size_t fill() {
    const int flags = ::fcntl(ends_[1], F_GETFL);
    EXPECT_EQ(::fcntl(ends_[1], F_SETFL, flags | O_NONBLOCK), 0);
    const std::string page(4096, '\n');
    size_t filled = 0;
    ssize_t size = 0;
    while ((size = ::write(ends_[1], page.data(), page.size())) > 0) {
      filled += static_cast<size_t>(size);
    }
    EXPECT_EQ(::fcntl(ends_[1], F_SETFL, flags), 0);
    return filled;
  }

  // Reads that many bytes.
  void skip(size_t size) {
    std::string buffer(size, '\0');
    for (size_t got = 0; got < size;) {
      const ssize_t part = ::read(ends_[0], buffer.data(), size - got);
      ASSERT_GT(part, 0);
      got += static_cast<size_t>(part);
    }
  }

  // Everything up to the end; the writing end is closed first.
  std::vector<std::string> lines() {
    close_writer();
    std::string text;
    char buffer[4096];
    ssize_t size = 0;
    while ((size = ::read(ends_[0], buffer, sizeof buffer)) > 0) {
      text.append(buffer, static_cast<size_t>(size));
    }
    std::vector<std::string> out;
    std::istringstream stream(text);
    for (std::string line; std::getline(stream, line);) out.push_back(line);
    return out;
  }

 private:
  static void close_end(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
  int ends_[2] = {-1, -1};
};

EventLog::Settings to(const Pipe& pipe) {
  EventLog::Settings settings;
  settings.fd = pipe.writer();
  settings.window_ms = 3600000;  // no test takes that long: a slow machine changes nothing
  return settings;
}

TEST(EventsTest, AnEventIsOneJsonObjectWithItsFieldsInOrder) {
  EXPECT_EQ(format_event(LogFormat::kJson, LogLevel::kInfo, event::kStarted, "capturing",
                         {{"interface", "eth0"}, {"ports", {80, 8080}}}, kTimeUs),
            "{\"timestamp\":\"2025-02-21T12:00:00.000042Z\",\"level\":\"info\",\"event\":"
            "\"started\",\"message\":\"capturing\",\"interface\":\"eth0\",\"ports\":[80,8080]}\n");
}

TEST(EventsTest, TextForPeopleIsOneLineToo) {
  EXPECT_EQ(
      format_event(LogFormat::kText, LogLevel::kWarn, event::kStats, "going on",
                   {{"frames", {{"received", 5}, {"not_ip", 1}}}, {"name", "a\n\"b\""}}, kTimeUs),
      "2025-02-21T12:00:00.000042Z warn stats: going on frames.received=5 frames.not_ip=1 "
      "name=\"a\\n\\\"b\\\"\"\n");
}

TEST(EventsTest, TextFromTheWireCanNotForgeLinesOrSteerATerminal) {
  const std::string hostile = "x\n{\"event\":\"stopped\"}\x1b[2J\xff\xc2\x9b\xe2\x80\xa8\x7f";
  for (const LogFormat format : {LogFormat::kJson, LogFormat::kText}) {
    const std::string line = format_event(format, LogLevel::kInfo, event::kNotHttp, hostile,
                                          {{"sample", hostile}, {hostile, 1}}, kTimeUs);
    ASSERT_EQ(line.find('\n'), line.size() - 1);
    for (const char c : line.substr(0, line.size() - 1)) {
      EXPECT_TRUE(c >= 0x20 && c < 0x7f) << line;
    }
  }
  const std::string line =
      format_event(LogFormat::kJson, LogLevel::kInfo, event::kNotHttp, "a\xff", {}, kTimeUs);
  EXPECT_EQ(json::parse(line)["message"], "a\xef\xbf\xbd");
}

TEST(EventsTest, TimestampsAreUtcWithMicroseconds) {
  EXPECT_EQ(utc_timestamp(0), "1970-01-01T00:00:00.000000Z");
  EXPECT_EQ(utc_timestamp(-1), "1969-12-31T23:59:59.999999Z");
  EXPECT_EQ(utc_timestamp(1709251199999999), "2024-02-29T23:59:59.999999Z");
}

TEST(EventRateLimiterTest, BeyondTheLimitEventsAreHeldBackAndCounted) {
  EventRateLimiter limiter(2, 1000);
  EXPECT_TRUE(limiter.admit("a", 5000).pass);
  EXPECT_TRUE(limiter.admit("a", 5001).pass);
  EXPECT_FALSE(limiter.admit("a", 5002).pass);
  EXPECT_FALSE(limiter.admit("a", 5999).pass);
  EXPECT_TRUE(limiter.admit("b", 5999).pass) << "each name has its own limit";
  const auto next = limiter.admit("a", 6000);
  EXPECT_TRUE(next.pass);
  EXPECT_EQ(next.suppressed, 2u);
  EXPECT_EQ(limiter.admit("a", 6001).suppressed, 0u) << "told once";
  EXPECT_TRUE(limiter.take_suppressed().empty());
}

TEST(EventRateLimiterTest, WhatIsLeftAtTheEndIsTold) {
  EventRateLimiter limiter(1, 1000);
  for (uint64_t now = 0; now < 5; ++now) limiter.admit("a", now);
  EXPECT_EQ(limiter.take_suppressed(), (std::map<std::string, uint64_t>{{"a", 4}}));
  EXPECT_TRUE(limiter.take_suppressed().empty());
}

TEST(EventRateLimiterTest, EventsThatTheUserAskedForAlwaysPass) {
  EventRateLimiter limiter(1, 1000);
  for (const auto name : {event::kStarted, event::kStats, event::kStopped, event::kFatal}) {
    EXPECT_TRUE(limiter.admit(name, 1).pass) << name;
    EXPECT_TRUE(limiter.admit(name, 1).pass) << name;
  }
}

TEST(EventLogTest, EventsArriveInOrderAndBelowTheLevelNone) {
  Pipe pipe;
  EventLog log(to(pipe));
  EXPECT_TRUE(log.enabled(LogLevel::kInfo));
  EXPECT_FALSE(log.enabled(LogLevel::kDebug));
  log.emit(LogLevel::kInfo, event::kStarted, "one", {{"n", 1}});
  log.emit(LogLevel::kDebug, "detail", "not this one");
  log.emit(LogLevel::kError, event::kStopped, "two");
  EXPECT_TRUE(log.close());
  const auto lines = pipe.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(json::parse(lines[0])["message"], "one");
  EXPECT_EQ(json::parse(lines[0])["n"], 1);
  EXPECT_EQ(json::parse(lines[1])["message"], "two");
  EXPECT_EQ(json::parse(lines[1])["level"], "error");
}

TEST(EventLogTest, AFatalEventCarriesItsCode) {
  Pipe pipe;
  EventLog log(to(pipe));
  log.fatal(ErrorCode::kInvalidInterface, "no interface eth9", {{"interfaces", {"lo", "eth0"}}});
  log.close();
  const auto lines = pipe.lines();
  ASSERT_EQ(lines.size(), 1u);
  const json line = json::parse(lines[0]);
  EXPECT_EQ(line["event"], "fatal");
  EXPECT_EQ(line["level"], "error");
  EXPECT_EQ(line["code"], "INVALID_INTERFACE");
  EXPECT_EQ(line["message"], "no interface eth9");
  EXPECT_EQ(line["interfaces"], (json{"lo", "eth0"}));
}

TEST(EventLogTest, RepeatedEventsAreLimitedAndTheRestIsToldBeforeTheLastWord) {
  Pipe pipe;
  EventLog log(to(pipe));
  for (int i = 0; i < 25; ++i) log.emit(LogLevel::kInfo, event::kConnectionEvicted, "evicted");
  for (int i = 0; i < 12; ++i) log.emit(LogLevel::kInfo, event::kReassemblyGap, "gap");
  log.emit(LogLevel::kInfo, event::kStopped, "done");
  log.close();
  const auto lines = pipe.lines();
  ASSERT_EQ(lines.size(), 22u);
  const json told = json::parse(lines[20]);
  EXPECT_EQ(told["event"], "events_suppressed");
  EXPECT_EQ(told["suppressed"], 17);
  EXPECT_EQ(told["counts"], (json{{"connection_evicted", 15}, {"reassembly_gap", 2}}));
  EXPECT_EQ(json::parse(lines[21])["event"], "stopped");
}

TEST(EventLogTest, FieldsAreMadeOnlyForEventsThatAreWritten) {
  Pipe pipe;
  EventLog log({.level = LogLevel::kWarn,
                .fd = pipe.writer(),
                .events_per_window_max = 3,
                .window_ms = 600000});
  int made = 0;
  const auto make_fields = [&] { return EventFields{{"number", ++made}}; };
  log.emit(LogLevel::kInfo, "below_the_level", "", make_fields);
  for (int i = 0; i < 20; i++) log.emit(LogLevel::kWarn, "flood", "", make_fields);
  EXPECT_EQ(made, 3);
  EXPECT_TRUE(log.close());
  const std::vector<std::string> lines = pipe.lines();
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_EQ(json::parse(lines[2])["number"], 3);
  EXPECT_EQ(json::parse(lines[3])["suppressed"], 17);
}

TEST(EventLogTest, TheNextEventThatPassesSaysHowManyWereHeldBack) {
  Pipe pipe;
  EventLog::Settings settings = to(pipe);
  settings.window_ms = 1;
  settings.events_per_window_max = 1;
  EventLog log(settings);
  // Until the window is over: at least one is held back unless the machine stalls at every turn.
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(20);
  while (std::chrono::steady_clock::now() < deadline) {
    log.emit(LogLevel::kInfo, event::kReassemblyGap, "gap");
  }
  log.close();
  uint64_t suppressed = 0;
  for (const std::string& line : pipe.lines()) {
    const json parsed = json::parse(line);
    if (parsed["event"] == "reassembly_gap") suppressed += parsed.value("suppressed", 0u);
  }
  EXPECT_GT(suppressed, 0u);
}

TEST(EventLogTest, AStandardErrorThatNobodyReadsHoldsUpNothing) {
  Pipe pipe;
  const size_t filled = pipe.fill();
  EventLog::Settings settings = to(pipe);
  settings.queue_bytes_max = 10000;
  EventLog log(settings);
  const auto began = std::chrono::steady_clock::now();
  for (int i = 0; i < 1000; ++i) {
    log.emit(LogLevel::kInfo, event::kStats, "tick", {{"padding", std::string(100, 'x')}});
  }
  log.emit(LogLevel::kInfo, event::kStopped, "done");
  EXPECT_GT(log.dropped(), 900u);
  EXPECT_LT(log.dropped(), 1000u);
  EXPECT_FALSE(log.close(20));
  EXPECT_LT(std::chrono::steady_clock::now() - began, std::chrono::seconds(5));
  EXPECT_EQ(log.dropped(), 1001u);
  pipe.skip(filled);
  EXPECT_TRUE(pipe.lines().empty());
}

TEST(EventLogTest, AfterAStallTheLossIsToldAndTheLastWordIsThere) {
  Pipe pipe;
  const size_t filled = pipe.fill();
  EventLog::Settings settings = to(pipe);
  settings.queue_bytes_max = 10000;
  EventLog log(settings);
  for (int i = 0; i < 1000; ++i) {
    log.emit(LogLevel::kInfo, event::kStats, "tick", {{"padding", std::string(100, 'x')}});
  }
  log.emit(LogLevel::kInfo, event::kStopped, "done");
  const uint64_t lost = log.dropped();
  ASSERT_GT(lost, 0u);
  pipe.skip(filled);
  EXPECT_FALSE(log.close(10000)) << "lines were lost";
  EXPECT_EQ(log.dropped(), lost);
  const auto lines = pipe.lines();
  uint64_t ticks = 0;
  uint64_t told = 0;
  bool stopped = false;
  for (const std::string& text : lines) {
    const json line = json::parse(text);
    ticks += line["event"] == "stats";
    stopped = stopped || line["event"] == "stopped";
    if (line["event"] == "events_dropped") told += line["dropped"].get<uint64_t>();
  }
  EXPECT_EQ(ticks + lost, 1000u);
  EXPECT_EQ(told, lost);
  EXPECT_TRUE(stopped);
}

TEST(EventLogTest, AClosedStandardErrorIsSurvived) {
  Pipe pipe;
  pipe.close_reader();
  EventLog log(to(pipe));
  log.emit(LogLevel::kInfo, event::kStarted, "nobody listens");
  EXPECT_FALSE(log.close(10000));
  EXPECT_EQ(log.dropped(), 1u);
  log.emit(LogLevel::kInfo, event::kStopped, "nobody listens");
  EXPECT_EQ(log.dropped(), 2u);
  EXPECT_FALSE(log.close());
}

TEST(EventLogTest, LinesLongerThanAPieceArriveWhole) {
  Pipe pipe;
  EventLog log(to(pipe));
  const std::string padding(10000, 'y');
  log.emit(LogLevel::kInfo, event::kStats, "long", {{"padding", padding}});
  log.emit(LogLevel::kInfo, event::kStats, "short");
  EXPECT_TRUE(log.close(10000));
  const auto lines = pipe.lines();
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(json::parse(lines[0])["padding"], padding);
  EXPECT_EQ(json::parse(lines[1])["message"], "short");
}

TEST(EventLogTest, SeveralThreadsMayEmit) {
  Pipe pipe;
  EventLog log(to(pipe));
  constexpr int kEach = 50;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&log, t] {
      for (int i = 0; i < kEach; ++i) {
        log.emit(LogLevel::kInfo, event::kStats, "from", {{"thread", t}, {"n", i}});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log.close(10000));
  int next[4] = {};
  for (const std::string& line : pipe.lines()) {
    const json parsed = json::parse(line);
    EXPECT_EQ(parsed["n"], next[parsed["thread"].get<size_t>()]++);
  }
  for (const int n : next) EXPECT_EQ(n, kEach);
}

}  // namespace
}  // namespace tcp_sniffer::events_test
