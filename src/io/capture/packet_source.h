#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/net/capture_piece.h"
#include "core/net/link_type.h"

namespace tcp_sniffer {

// One captured frame. `data` is valid until the next call of the source (live), or as long as
// `piece` is referenced (files).
struct Frame {
  std::span<const uint8_t> data;  // captured bytes
  uint32_t wire_size = 0;         // length on the wire; at least data.size() after sanitising
  uint32_t link_id = 0;           // of its interface, in LinkNames; 0 = without a name
  LinkType link_type = LinkType::kEthernet;
  int64_t time_ns = 0;  // nanoseconds since 1970 UTC
};

// Takes the frames of one burst. Called on the source's thread only. From a file one virtual call
// hands over up to kFramesPerBurst frames. Live it is one call per frame, because libpcap calls
// back for each frame.
class FrameSink {
 public:
  virtual ~FrameSink() = default;

  // `piece` is the memory that the frames are in, or nullptr when the memory is the source's own
  // and must be copied before returning (live).
  virtual void on_frames(std::span<const Frame> frames, CapturePiece* piece) = 0;

  // A file begins (files only): the stream of frames goes on in `name`.
  virtual void on_file(const std::string& name) = 0;
};

enum class SourceStatus : uint8_t { kMore, kIdle, kEnd, kError };

// Where frames come from: capture files or a live handle. One of the two virtual seams.
class PacketSource {
 public:
  virtual ~PacketSource() = default;

  // Delivers the next burst to the sink. kIdle: nothing now (live), call again after waiting;
  // kEnd: no more; kError: the source has the reason, and what came before it was delivered.
  virtual SourceStatus poll(FrameSink& sink) = 0;

  // Whether frames that come from now on can wait in the source for a while, so that nothing is
  // lost when the caller waits. Asked only when the caller has no room.
  virtual bool can_hold_more() { return true; }
};

constexpr size_t kFramesPerBurst = 256;

}  // namespace tcp_sniffer
