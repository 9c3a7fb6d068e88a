#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <variant>

#include "core/base/link_names.h"
#include "io/capture/packet_source.h"
#include "io/file/pcap_format.h"
#include "io/file/pcapng_format.h"
#include "io/file/piece_pool.h"

namespace tcp_sniffer {

// Cuts the bytes of a capture (pcap or pcapng, known by its first bytes) into frames. The bytes are
// in pieces of the pool and the frames point into them; the part of a frame at a piece's end is
// copied to the head of the next piece, and nothing else is copied. When this object is the only
// holder of the piece, it is filled again while it is still in cache.
//
//   piece   |  frames delivered  |  frame  |  frame  |  part of a fra|   room   |
//           0                    begin_                              end_       capacity
//
// Invariants: (1) this object holds one reference on its current piece; (2) bytes below `end_` are
// never written while there is another reference; (3) a burst is within one piece.
//
// Captures come one after the other, each begun with `begin` or `go_on`. The pool outlives this
// object. Thread safety: none; one thread at a time.
class FrameCutter {
 public:
  using Format = std::variant<std::monostate, PcapFormat, PcapngFormat>;

  // Where a capture goes on later: the first byte that was not cut, and what is known so far.
  struct Place {
    Format format;
    uint64_t offset = 0;  // in the (inflated) capture
    uint64_t skip = 0;    // bytes from there on that are passed over
    uint64_t skip_offset = 0;
  };

  // With `names`, frames have the ids of their interfaces' names; it outlives this object, too.
  explicit FrameCutter(PiecePool& pool, LinkNames* names = nullptr) : pool_(pool), names_(names) {}
  ~FrameCutter();
  FrameCutter(const FrameCutter&) = delete;
  FrameCutter& operator=(const FrameCutter&) = delete;

  // A capture begins. Bytes that are left of the one before it are dropped.
  void begin() { go_on({}); }
  // One goes on: the next bytes are those from `place.offset` on.
  void go_on(Place place);
  Place place() const { return {format_, begin_offset_, skip_, skip_offset_}; }
  // The bytes from the place on that are here already.
  std::span<const uint8_t> left() const;

  // The next burst. Empty: more bytes are needed, or there is a problem.
  std::span<const Frame> cut();
  // What the frames are in; nullptr before the first bytes.
  CapturePiece* piece() const { return piece_; }
  // What is wrong with the capture, with the place; empty: nothing. Frames before it were cut.
  const std::string& problem() const { return problem_; }

  // Room for more bytes, of which `filled` says how many came. Empty: that takes a piece of the
  // pool, and none is free.
  std::span<uint8_t> room();
  void filled(size_t size);
  // How many bytes from the place on the next step needs.
  size_t wanted() const { return wanted_; }
  // Goes on in `fresh`, whose bytes begin after `headroom` bytes, and takes over its reference.
  void take(CapturePiece* fresh, size_t headroom);

  // Bytes of the capture that came so far.
  uint64_t size() const { return begin_offset_ + (end_ - begin_); }
  // Why the capture may not end here, with the place. Nothing: it may.
  std::optional<std::string> problem_of_end() const;

 private:
  bool find_format();
  template <typename Known>
  size_t cut_burst(Known& format);
  bool make_room();
  void append(CapturePiece* fresh, size_t headroom);
  void move_to_large_piece(size_t fresh_size);

  PiecePool& pool_;
  LinkNames* const names_;
  Format format_;
  CapturePiece* piece_ = nullptr;
  size_t begin_ = 0;
  size_t end_ = 0;
  size_t wanted_ = 0;          // bytes from `begin_` that the next step needs
  uint64_t skip_ = 0;          // bytes of the capture still to be passed over
  uint64_t begin_offset_ = 0;  // where in the (inflated) capture `begin_` is
  uint64_t skip_offset_ = 0;   // where the passage that is passed over began
  std::string problem_;

  std::array<Frame, kFramesPerBurst> frames_;
};

// What a file begins with that is no capture, for messages. `first` has kCaptureMagicSize bytes.
std::string foreign_text(const uint8_t* first);

}  // namespace tcp_sniffer
