#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/base/problem.h"
#include "io/file/byte_reader.h"
#include "io/file/frame_cutter.h"
#include "io/follow/follow_counters.h"

namespace tcp_sniffer {

using FollowClock = std::chrono::steady_clock;

// How a capture ended, or how far it has come.
struct CaptureEnd {
  std::string name;
  uint64_t bytes = 0;     // (inflated) that came
  uint64_t left = 0;      // of them, of a packet whose rest never came
  std::string problem{};  // empty: it ended in order
  bool damaged = false;   // what follows cannot be read
  bool cut = false;       // it ended inside a packet
};

// What is reported of captures that are followed. Called on the thread that reads, and from `open`.
class FollowListener {
 public:
  virtual ~FollowListener() = default;

  // `again`: it had ended, and then it grew.
  virtual void on_begin(const std::string& name, bool again) = 0;
  virtual void on_end(const CaptureEnd& end) = 0;
  // It is not read, and will not be. `expected`: that is as it should be.
  virtual void on_skip(const std::string& name, const std::string& why, bool expected) = 0;
  // It should have been read, and is gone.
  virtual void on_miss(const std::string& name, const std::string& why) = 0;
  // It is not there, or cannot be opened, yet.
  virtual void on_wait(const std::string& name, const std::string& why) = 0;
  // The system does not tell when something changes here, so it is noticed late.
  virtual void on_unwatched(const std::string& folder, const std::string& why) = 0;
  virtual void on_listen(const std::string& name, int port) = 0;
  // There is no connection. The next attempt is made after `retry_ms`.
  virtual void on_unconnected(const std::string& name, const std::string& why,
                              int64_t retry_ms) = 0;
};

inline void report_end(const CaptureEnd& end, FollowCounters& counters, FollowListener& listener) {
  if (end.damaged) count(counters.damaged);
  if (end.cut) count(counters.cut);
  listener.on_end(end);
}

// A capture that is being read, or that waits while another one is read ("put aside").
struct FollowedCapture {
  std::string name;
  std::unique_ptr<ByteReader> reader;
  bool begun = false;  // it goes on at `place`
  bool ended = false;  // it had ended, and goes on all the same
  FrameCutter::Place place;
  std::vector<uint8_t> left;  // the bytes from there on that were read before
  CaptureEnd end;             // if it ends there
};

// Where FollowSource gets captures from. One thread.
class CaptureFeed {
 public:
  CaptureFeed() = default;
  virtual ~CaptureFeed() = default;
  CaptureFeed(const CaptureFeed&) = delete;
  CaptureFeed& operator=(const CaptureFeed&) = delete;

  virtual std::optional<Problem> open() = 0;
  // Notices what has changed. `all`: whatever that takes; otherwise what takes long waits for a
  // while.
  virtual void look(FollowClock::time_point now, bool all) = 0;
  // The capture to be read next, which stays the feed's. nullptr: none has anything to read.
  virtual FollowedCapture* next(FollowClock::time_point now) = 0;
  // After bytes of the capture were read, or there were none: whether it is still what it was when
  // it was begun.
  virtual bool is_same(FollowedCapture& capture) = 0;

  // What becomes of a capture that has no more bytes, at the time of the last look.
  enum class Stop : uint8_t {
    kStay,   // it is waited for
    kAside,  // another one has bytes
    kEnd,    // it has ended
  };
  virtual Stop stop_of(FollowedCapture& capture, FollowClock::time_point now) = 0;
  // The capture is put aside, or ends as FollowedCapture::end describes.
  virtual void put_aside(FollowedCapture& capture) = 0;
  virtual void end(FollowedCapture& capture) = 0;
  // It ends in the same way, and something else than its rest is in its place.
  virtual void replace(FollowedCapture& capture) = 0;
  // The run ends: nothing is put aside any more.
  virtual void close() {}

  // A descriptor that becomes readable when there is something to notice; -1: none.
  virtual int fd() const = 0;
};

}  // namespace tcp_sniffer
