#include "core/line/segment_text.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/base/number_text.h"
#include "core/line/hex_dump.h"
#include "core/line/time_text.h"
#include "core/net/flow_key.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

std::string_view fate_word(SegmentFate fate) {
  switch (fate) {
    case SegmentFate::kNothing:
      return "-";
    case SegmentFate::kDelivered:
      return "delivered";
    case SegmentFate::kBuffered:
      return "buffered";
    case SegmentFate::kHeld:
      return "held";
    case SegmentFate::kDuplicate:
      return "duplicate";
    case SegmentFate::kLate:
      return "late";
    case SegmentFate::kOutOfWindow:
      return "out_of_window";
    case SegmentFate::kRefused:
      return "refused";
  }
  return "";
}

void append_number(int64_t value, std::string& out) {
  char text[24];
  out.append(text, std::to_chars(text, text + sizeof(text), value).ptr);
}

void append_endpoint(const FlowKey& key, Side side, std::string& out) {
  char text[kIpAndPortTextMax];
  out.append(text, write_ip_and_port(text, endpoint_of(key, side)));
}

void append_flags(uint8_t flags, std::string& out) {
  // RFC 9293 section 3.1, from the lowest bit: FIN, SYN, RST, PSH, ACK, URG, ECE, CWR.
  constexpr std::string_view kLetters = "FSRPAUEC";
  out += " [";
  for (size_t i = 0; i < kLetters.size(); i++) {
    if ((flags >> i & 1) != 0) out += kLetters[i];
  }
  out += "] seq ";
}

}  // namespace

void append_segment_line(const TracedSegment& traced, std::string& out) {
  const Segment& segment = traced.segment;
  TimeText time;
  char text[64];
  out.append(text, time.write(text, segment.time_ns));
  out += ' ';
  append_number(static_cast<int64_t>(segment.frame), out);
  out += ' ';
  append_endpoint(segment.key, segment.side, out);
  out += " > ";
  append_endpoint(segment.key, other(segment.side), out);
  append_flags(segment.flags, out);
  append_number(traced.followed ? traced.relative_sequence : segment.sequence, out);
  if (!traced.followed) out += '*';
  if ((segment.flags & kTcpAck) != 0) {
    out += " ack ";
    append_number(
        traced.acknowledgment_known ? traced.relative_acknowledgment : segment.acknowledgment, out);
    if (!traced.acknowledgment_known) out += '*';
  }
  out += " len ";
  append_number(segment.payload_wire_size, out);
  out += ' ';
  out += fate_word(traced.fate);
  if (traced.fate != SegmentFate::kNothing && traced.fate_bytes != segment.payload_wire_size) {
    out += ' ';
    append_number(traced.fate_bytes, out);
  }
  if (traced.followed) {
    out += ' ';
    out.append(text, write_hex16(text, traced.connection_id));
  }
  out += '\n';
}

void append_hex_dump(std::span<const uint8_t> bytes, std::string& out) {
  for (size_t at = 0; at < bytes.size(); at += kHexDumpBytes) {
    out += "    ";
    append_hex_line(at, 5, bytes.subspan(at, std::min(kHexDumpBytes, bytes.size() - at)), out);
    out += '\n';
  }
}

}  // namespace tcp_sniffer
