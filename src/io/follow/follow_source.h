#pragma once

#include <atomic>
#include <cstdint>
#include <string>

#include "io/file/file_input.h"
#include "io/file/frame_cutter.h"
#include "io/file/piece_pool.h"
#include "io/follow/capture_feed.h"

namespace tcp_sniffer {

// The frames of captures that still grow, as one stream: the whole packets that are there, and the
// rest when it comes. Damage ends a capture and not the stream. The stream ends when `idle_ms` go
// by (0: never) in which nothing came and nothing was there to be read.
//
// Bytes are read with read(2) alone, so a file that is cut while it is read is no fault. When the
// shards are slow, no piece is free and nothing is read: the bytes wait on the disk or at the
// sender.
//
// The pool, the feed, the listener and the counters outlive it. Thread safety: as FileInput says.
class FollowSource final : public FileInput {
 public:
  // The longest wait for a feed that notices by itself when there is something.
  static constexpr int kLookEveryMs = 50;
  // Writers write a packet at a time. A moment more, and there are several.
  static constexpr int kGatherMs = 2;

  FollowSource(CaptureFeed& feed, PiecePool& pool, FollowListener& listener,
               FollowCounters& counters, uint64_t idle_ms, LinkNames* names = nullptr);

  SourceStatus poll(FrameSink& sink) override;
  const Problem& problem() const override { return problem_; }
  void wait(int timeout_ms) override;
  void wake() noexcept override { pool_.wake(); }
  uint64_t bytes_read() const override { return counters_.bytes.load(std::memory_order_relaxed); }
  uint64_t bytes_total() const override { return 0; }

  // Notices now what there is; otherwise new files may be noticed a little later.
  void look();
  // After kIdle: whether everything that was noticed was read.
  bool has_all() const { return !waiting_for_piece_; }
  // The run ends: every capture that was begun has ended.
  void close();

 private:
  // What reading led to.
  enum class Step : uint8_t { kOn, kIdle, kEnd };

  bool begin_next(FrameSink& sink);
  Step read_more();
  Step at_end();
  ReadResult read(std::span<uint8_t> room);
  void leave(void (CaptureFeed::*way)(FollowedCapture&), const std::string& problem);
  Step idle();

  CaptureFeed& feed_;
  PiecePool& pool_;
  FollowListener& listener_;
  FollowCounters& counters_;
  const std::chrono::milliseconds idle_max_;

  FrameCutter cutter_;
  FollowedCapture* capture_ = nullptr;  // the feed's
  size_t left_used_ = 0;                // of the bytes that it brought along
  uint64_t bytes_counted_ = 0;          // of its reader
  bool looked_ = false;                 // since the last bytes came
  bool waiting_for_piece_ = false;
  FollowClock::time_point now_;
  FollowClock::time_point next_look_;
  FollowClock::time_point last_bytes_;
  Problem problem_;
};

}  // namespace tcp_sniffer
