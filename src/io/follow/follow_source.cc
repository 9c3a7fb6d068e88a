#include "io/follow/follow_source.h"

#include <algorithm>
#include <cstring>
#include <span>
#include <utility>

namespace tcp_sniffer {

namespace {

using std::chrono::milliseconds;

}  // namespace

FollowSource::FollowSource(CaptureFeed& feed, PiecePool& pool, FollowListener& listener,
                           FollowCounters& counters, uint64_t idle_ms, LinkNames* names)
    : feed_(feed),
      pool_(pool),
      listener_(listener),
      counters_(counters),
      idle_max_(idle_ms),
      cutter_(pool, names),
      last_bytes_(FollowClock::now()) {}

SourceStatus FollowSource::poll(FrameSink& sink) {
  now_ = FollowClock::now();
  waiting_for_piece_ = false;
  for (;;) {
    if (now_ >= next_look_) {
      feed_.look(now_, false);
      next_look_ = now_ + milliseconds(kLookEveryMs);
    }
    if (capture_ == nullptr && !begin_next(sink)) {
      if (idle() == Step::kEnd) return SourceStatus::kEnd;
      return SourceStatus::kIdle;
    }
    const std::span<const Frame> frames = cutter_.cut();
    if (!frames.empty()) {
      sink.on_frames(frames, cutter_.piece());
      return SourceStatus::kMore;
    }
    if (!cutter_.problem().empty()) {
      capture_->end.damaged = true;
      leave(&CaptureFeed::end, cutter_.problem());
      continue;
    }
    const Step step = read_more();
    if (step == Step::kIdle) return SourceStatus::kIdle;
    if (step == Step::kEnd) return SourceStatus::kEnd;
  }
}

bool FollowSource::begin_next(FrameSink& sink) {
  capture_ = feed_.next(now_);
  if (capture_ == nullptr) return false;
  left_used_ = 0;
  bytes_counted_ = capture_->reader->file_bytes();
  looked_ = false;
  capture_->end = {};
  if (capture_->begun) {
    if (capture_->ended) listener_.on_begin(capture_->name, true);
    cutter_.go_on(std::move(capture_->place));
  } else {
    listener_.on_begin(capture_->name, false);
    cutter_.begin();
    sink.on_file(capture_->name);
  }
  capture_->begun = true;
  capture_->ended = false;
  return true;
}

// What is known of the capture is for the feed to keep.
void FollowSource::leave(void (CaptureFeed::*way)(FollowedCapture&), const std::string& problem) {
  FollowedCapture& capture = *std::exchange(capture_, nullptr);
  const std::span<const uint8_t> left = cutter_.left();
  capture.place = cutter_.place();
  std::vector<uint8_t> rest(left.begin(), left.end());
  rest.insert(rest.end(), capture.left.begin() + static_cast<ptrdiff_t>(left_used_),
              capture.left.end());
  capture.left = std::move(rest);
  capture.end.name = capture.name;
  capture.end.bytes = cutter_.size();
  capture.end.left = capture.left.size();
  capture.end.problem = problem;
  capture.end.cut = !capture.end.damaged && cutter_.problem_of_end().has_value();
  (feed_.*way)(capture);
}

ReadResult FollowSource::read(std::span<uint8_t> room) {
  std::vector<uint8_t>& left = capture_->left;
  if (left_used_ < left.size()) {
    const size_t size = std::min(room.size(), left.size() - left_used_);
    std::memcpy(room.data(), left.data() + left_used_, size);
    left_used_ += size;
    return {ReadStatus::kData, size};
  }
  left.clear();
  left_used_ = 0;
  const ReadResult result = capture_->reader->read(room);
  const uint64_t bytes = capture_->reader->file_bytes();
  count(counters_.bytes, bytes - bytes_counted_);
  bytes_counted_ = bytes;
  return result;
}

FollowSource::Step FollowSource::read_more() {
  const std::span<uint8_t> room = cutter_.room();
  waiting_for_piece_ = room.empty();
  if (waiting_for_piece_) {
    last_bytes_ = now_;  // there may be more, and no piece was free for it
    return Step::kIdle;
  }
  const ReadResult result = read(room);
  if (!feed_.is_same(*capture_)) {
    leave(&CaptureFeed::replace, "was written over while it was read: what was not read is lost");
    return Step::kOn;
  }
  switch (result.status) {
    case ReadStatus::kData:
      cutter_.filled(result.size);
      last_bytes_ = now_;
      looked_ = false;
      return Step::kOn;
    case ReadStatus::kError: {
      capture_->end.damaged = true;
      const std::string problem = capture_->reader->error();
      leave(&CaptureFeed::end, problem);
      return Step::kOn;
    }
    case ReadStatus::kNotReady:
      return idle();
    case ReadStatus::kEnd:
      break;
  }
  // What is noticed before the last look for bytes came after all of them.
  if (!looked_) {
    looked_ = true;
    feed_.look(now_, false);
    return Step::kOn;
  }
  looked_ = false;
  return at_end();
}

FollowSource::Step FollowSource::at_end() {
  switch (feed_.stop_of(*capture_, now_)) {
    case CaptureFeed::Stop::kStay:
      return idle();
    case CaptureFeed::Stop::kAside:
      leave(&CaptureFeed::put_aside, cutter_.problem_of_end().value_or(""));
      return Step::kOn;
    case CaptureFeed::Stop::kEnd:
      leave(&CaptureFeed::end, cutter_.problem_of_end().value_or(""));
      return Step::kOn;
  }
  return Step::kIdle;
}

FollowSource::Step FollowSource::idle() {
  const bool over = idle_max_.count() > 0 && now_ - last_bytes_ >= idle_max_;
  return over ? Step::kEnd : Step::kIdle;
}

void FollowSource::look() {
  feed_.look(FollowClock::now(), true);
}

void FollowSource::close() {
  if (capture_ != nullptr) leave(&CaptureFeed::end, cutter_.problem_of_end().value_or(""));
  feed_.close();
}

void FollowSource::wait(int timeout_ms) {
  if (waiting_for_piece_) return pool_.wait(cutter_.wanted(), timeout_ms);
  if (pool_.event().wait(-1, kGatherMs)) return;
  const int longest = timeout_ms < 0 ? kLookEveryMs : std::min(timeout_ms, kLookEveryMs);
  pool_.event().wait(feed_.fd(), longest);
}

}  // namespace tcp_sniffer
