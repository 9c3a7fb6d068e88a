#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// How the bytes of messages show where each of them ends: by a line feed, or by lengths that they
// begin with (core/line/framed_line.h, core/line/packed_record.h).
enum class MessageFraming : uint8_t { kLines, kFrames, kRecords };

// What a message begins with as far as its size needs it; 0: the size is not known at its
// beginning.
size_t size_prefix(MessageFraming framing);
// The whole size of the message that begins with `data`, which has at least size_prefix() bytes; 0:
// none can begin with them. Not for lines.
uint64_t message_size(std::string_view data, MessageFraming framing);

// How much of `data`, which begins with a message, can be written without cutting one: the end of
// the last whole message within the first `limit` bytes, 0 when not even one fits.
size_t whole_messages(std::string_view data, size_t limit, MessageFraming framing);
// The size of the first message; of all of `data` when it has no end in it. `data` is not empty.
size_t first_message(std::string_view data, MessageFraming framing);
// How many messages those bytes hold.
uint64_t count_messages(std::string_view data, MessageFraming framing);

}  // namespace tcp_sniffer
