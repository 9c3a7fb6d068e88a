#pragma once

#include <concepts>
#include <cstdint>
#include <span>

#include "core/net/flow_key.h"
#include "core/net/segment_meta.h"

namespace tcp_sniffer {

// Why bytes of a stream will not be delivered.
enum class GapCause : uint8_t {
  kLost,     // the capture never saw them
  kSnaplen,  // the capture cut them off
};

// The seam between reassembly and an application protocol. The reassembler delivers each byte of
// a stream once, in order, or reports it as a gap; never both, never neither.
//
// try_consume: the bytes at `offset`, from one segment. Returns how many were taken. Fewer than all
//   is a refusal: the rest stays buffered and is offered again when either direction moves on. With
//   `force` the protocol must take all of them (memory, close). Until it has taken the first byte
//   of a stream it remembers nothing of what it refused: the stream may turn out to begin earlier,
//   and the next offer is then at another offset.
// pass_over: the same for captured bytes at the head that the protocol may not need, such as a body
//   that is not kept. False: it needs them; nothing was taken. Never for the end of a message, so
//   it does not matter what the other direction waits for.
// on_gap: [offset, offset + length) is missing for good.
// on_midstream: called before the first bytes when they are not known to be the stream's beginning.
// on_beginning: they are, after all, as a SYN or its answer shows; nothing was taken yet.
// on_end: the stream's FIN or RST was reached in order, and nothing takes it back any more.
// in_message: true while bytes of a message are expected next, so that one missing byte cannot be
//   taken for a lost FIN.
// begins_message: whether bytes that come right after a loss surely begin a message.
// ends_with_stream: true while a message is under way whose end is the end of the stream.
template <class P>
concept StreamProtocol = requires(P protocol, Side side, uint64_t offset,
                                  std::span<const uint8_t> bytes, const SegmentMeta& meta,
                                  uint64_t length, GapCause cause, bool flag) {
  { protocol.try_consume(side, offset, bytes, meta, flag) } -> std::same_as<uint32_t>;
  { protocol.pass_over(side, length, meta) } -> std::same_as<bool>;
  {protocol.on_gap(side, offset, length, cause)};
  {protocol.on_midstream(side)};
  {protocol.on_beginning(side)};
  {protocol.on_end(side)};
  { protocol.in_message(side) } -> std::same_as<bool>;
  { protocol.begins_message(bytes) } -> std::same_as<bool>;
  { protocol.ends_with_stream(side) } -> std::same_as<bool>;
};

}  // namespace tcp_sniffer
