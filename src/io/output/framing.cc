#include "io/output/framing.h"

#include <algorithm>

#include "core/line/framed_line.h"
#include "core/line/packed_record.h"

namespace tcp_sniffer {

size_t size_prefix(MessageFraming framing) {
  switch (framing) {
    case MessageFraming::kLines:
      break;
    case MessageFraming::kFrames:
      return FramedMessage::kHeaderSize;
    case MessageFraming::kRecords:
      return PackedRecordWriter::kHeaderSize;
  }
  return 0;
}

uint64_t message_size(std::string_view data, MessageFraming framing) {
  return framing == MessageFraming::kFrames ? FramedMessage::size_of(data)
                                            : PackedRecordWriter::size_of(data);
}

namespace {

// Of a message that is not all there, or is none: the rest.
size_t size_or_rest(std::string_view data, MessageFraming framing) {
  if (data.size() < size_prefix(framing)) return data.size();
  const uint64_t size = message_size(data, framing);
  return size == 0 ? data.size() : static_cast<size_t>(size);
}

}  // namespace

size_t whole_messages(std::string_view data, size_t limit, MessageFraming framing) {
  if (data.size() <= limit) return data.size();
  if (framing == MessageFraming::kLines) {
    const size_t line_feed = data.substr(0, limit).rfind('\n');
    return line_feed == std::string_view::npos ? 0 : line_feed + 1;
  }
  size_t end = 0;
  for (size_t next = size_or_rest(data, framing); next <= limit;
       next += size_or_rest(data.substr(next), framing)) {
    end = next;
  }
  return end;
}

size_t first_message(std::string_view data, MessageFraming framing) {
  if (framing != MessageFraming::kLines) return std::min(size_or_rest(data, framing), data.size());
  const size_t line_feed = data.find('\n');
  return line_feed == std::string_view::npos ? data.size() : line_feed + 1;
}

uint64_t count_messages(std::string_view data, MessageFraming framing) {
  if (framing == MessageFraming::kLines) {
    return static_cast<uint64_t>(std::count(data.begin(), data.end(), '\n'));
  }
  uint64_t messages = 0;
  while (data.size() >= size_prefix(framing)) {
    const uint64_t size = message_size(data, framing);
    if (size == 0 || size > data.size()) break;
    data.remove_prefix(static_cast<size_t>(size));
    messages++;
  }
  return messages;
}

}  // namespace tcp_sniffer
