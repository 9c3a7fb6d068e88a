#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "core/tcp/segment_trace.h"

namespace tcp_sniffer {

// One line for people about a segment, for debugLog:
//
//     2025-02-21T12:00:00.000000Z 12 10.0.0.1:40000 > 10.0.0.2:80 [PA] seq 1 ack 1 len 512
//     delivered 0123456789abcdef
//
// (on one line): packet time, frame, sender, receiver, flags (S F R P A U E C), sequence and
// acknowledgment counted from 1 (absolute, with a *, where the connection is not known), payload
// bytes on the wire, what became of them (with their number, if not all had this fate), and the
// connection.
void append_segment_line(const TracedSegment& traced, std::string& out);

// 16 bytes a line: offset, hexadecimal, characters (a dot for what is not printable ASCII).
void append_hex_dump(std::span<const uint8_t> bytes, std::string& out);

}  // namespace tcp_sniffer
