#include "io/file/frame_cutter.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "io/base/capture_magic.h"

namespace tcp_sniffer {

namespace {

// Less room than this at a piece's end is not worth a system call, when a fresh piece is free.
constexpr size_t kReadSizeMin = 64 * 1024;

}  // namespace

std::string foreign_text(const uint8_t* first) {
  char hex[16];
  std::snprintf(hex, sizeof hex, "%02x %02x %02x %02x", first[0], first[1], first[2], first[3]);
  return std::string("is not a capture file: at byte 0 it has ") + hex +
         ", but pcap, pcapng, or one of them compressed with gzip or zstd, is needed";
}

FrameCutter::~FrameCutter() {
  if (piece_ != nullptr) piece_->release();
}

void FrameCutter::go_on(Place place) {
  format_ = std::move(place.format);
  begin_ = end_;
  begin_offset_ = place.offset;
  skip_ = place.skip;
  skip_offset_ = place.skip_offset;
  wanted_ = std::holds_alternative<std::monostate>(format_) ? kCaptureMagicSize : 1;
  problem_.clear();
}

std::span<const uint8_t> FrameCutter::left() const {
  if (piece_ == nullptr) return {};
  return {piece_->data + begin_, end_ - begin_};
}

bool FrameCutter::find_format() {
  if (end_ - begin_ < kCaptureMagicSize) return false;
  const uint8_t* first = piece_->data + begin_;
  if (PcapFormat::is_magic(first)) {
    format_.emplace<PcapFormat>();
  } else if (PcapngFormat::is_magic(first)) {
    format_.emplace<PcapngFormat>(names_);
  } else {
    problem_ = foreign_text(first);
    return false;
  }
  return true;
}

std::span<const Frame> FrameCutter::cut() {
  if (piece_ == nullptr) return {};
  if (std::holds_alternative<std::monostate>(format_) && !find_format()) return {};
  auto* pcap = std::get_if<PcapFormat>(&format_);
  const size_t frames =
      pcap != nullptr ? cut_burst(*pcap) : cut_burst(std::get<PcapngFormat>(format_));
  return {frames_.data(), frames};
}

template <typename Known>
size_t FrameCutter::cut_burst(Known& format) {
  size_t frames = 0;
  while (frames < kFramesPerBurst) {
    const std::span<const uint8_t> bytes(piece_->data + begin_, end_ - begin_);
    if (skip_ > 0) {
      const size_t passed = static_cast<size_t>(std::min<uint64_t>(skip_, bytes.size()));
      skip_ -= passed;
      begin_ += passed;
      begin_offset_ += passed;
      wanted_ = 1;
      if (skip_ > 0) break;
      continue;
    }
    const FormatStep step = format.next(bytes, frames_[frames]);
    if (step.kind == FormatStep::Kind::kFrame) {
      ++frames;
      begin_ += step.bytes;
      begin_offset_ += step.bytes;
    } else if (step.kind == FormatStep::Kind::kSkip) {
      skip_ = step.bytes;
      skip_offset_ = begin_offset_;
    } else if (step.kind == FormatStep::Kind::kNeedMore) {
      wanted_ = step.bytes;
      break;
    } else {
      // Frames first; the next call comes back to the same place and finds the same damage.
      if (frames == 0) {
        problem_ = "is damaged at byte " + std::to_string(begin_offset_) + ": " + format.problem();
      }
      break;
    }
  }
  return frames;
}

std::span<uint8_t> FrameCutter::room() {
  if (!make_room()) return {};
  return {piece_->data + end_, piece_->capacity - end_};
}

void FrameCutter::filled(size_t size) {
  end_ += size;
  piece_->size = end_;
}

// Makes room for at least one more byte after `end_`, in a piece in which the wanted bytes have
// room. False when that takes a piece and none is free.
bool FrameCutter::make_room() {
  const size_t left = end_ - begin_;
  if (piece_ != nullptr) {
    // A piece larger than the others holds one large frame and goes back afterwards.
    const bool usual = piece_->capacity == pool_.piece_size();
    const size_t room = piece_->capacity - end_;
    const bool fits = begin_ + wanted_ <= piece_->capacity && room > 0;
    if (fits && (!usual || room >= std::min(kReadSizeMin, piece_->capacity / 4))) return true;
    // Acquire: the others' reads are done before their bytes are written over.
    const bool alone = piece_->references.load(std::memory_order_acquire) == 1;
    if (usual && wanted_ <= piece_->capacity && alone) {
      std::memmove(piece_->data, piece_->data + begin_, left);
      begin_ = 0;
      end_ = left;
      return true;
    }
  }
  CapturePiece* next = pool_.take(wanted_);
  if (next == nullptr) return false;
  if (piece_ != nullptr) {
    if (left > 0) std::memcpy(next->data, piece_->data + begin_, left);
    piece_->release();
  }
  piece_ = next;
  begin_ = 0;
  end_ = left;
  return true;
}

// The last piece ended with a part of a frame, which is put before the new bytes or, when it is too
// long for that, the new bytes are put after it.
void FrameCutter::take(CapturePiece* fresh, size_t headroom) {
  const size_t left = end_ - begin_;
  if (left > headroom) return append(fresh, headroom);
  begin_ = headroom - left;
  if (left > 0) std::memcpy(fresh->data + begin_, piece_->data + end_ - left, left);
  if (piece_ != nullptr) piece_->release();
  piece_ = fresh;
  end_ = fresh->size;
}

// The rare case: a frame larger than the pieces. It is put together in a piece with room for all of
// it, so that each of its bytes is copied once.
void FrameCutter::append(CapturePiece* fresh, size_t headroom) {
  const size_t fresh_size = fresh->size - headroom;
  if (piece_->capacity - end_ < fresh_size) move_to_large_piece(fresh_size);
  std::memcpy(piece_->data + end_, fresh->data + headroom, fresh_size);
  filled(fresh_size);
  fresh->release();
}

// With room for the wanted bytes, and for the pieces that end with them. The bytes that are left
// are kept aside, because only one large piece may be in use, and they may be in it. Other holders
// of that piece release it without this thread.
void FrameCutter::move_to_large_piece(size_t fresh_size) {
  const std::vector<uint8_t> left(piece_->data + begin_, piece_->data + end_);
  piece_->release();
  piece_ = nullptr;
  const size_t size = std::max({wanted_, left.size(), pool_.piece_size() + 1}) + fresh_size;
  CapturePiece* next = pool_.take(size);
  while (next == nullptr) {
    pool_.wait(size, 100);
    next = pool_.take(size);
  }
  std::memcpy(next->data, left.data(), left.size());
  piece_ = next;
  begin_ = 0;
  end_ = left.size();
}

std::optional<std::string> FrameCutter::problem_of_end() const {
  if (size() == 0) return "is empty";
  bool may_end = false;
  std::string what = "file header";
  if (const auto* pcap = std::get_if<PcapFormat>(&format_)) {
    may_end = pcap->may_end();
    what = pcap->what();
  } else if (const auto* pcapng = std::get_if<PcapngFormat>(&format_)) {
    may_end = pcapng->may_end();
    what = pcapng->what();
  }
  const std::string cut_at = "is cut at byte " + std::to_string(size()) + ": the ";
  if (skip_ > 0) {
    return cut_at + "block at byte " + std::to_string(skip_offset_) + " has " +
           std::to_string(skip_) + " bytes more";
  }
  const size_t left = end_ - begin_;
  if (left == 0 && may_end) return {};
  return cut_at + what + " at byte " + std::to_string(begin_offset_) + " has at least " +
         std::to_string(wanted_) + " bytes, of which " + std::to_string(left) + " are there";
}

}  // namespace tcp_sniffer
