#include "shard/line_room.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/line/json_escape.h"

namespace tcp_sniffer {

size_t LineRoom::bound_of(const Message& message, const MessageLineWriter& writer) const {
  const MessageLineWriter::Bounds& bounds = writer.bounds();
  size_t text = bounds.body_copies * message.body.size() +
                bounds.head_copies * (message.headers_size + redactor_->growth());
  size_t parts = message.headers.size();
  if (!message.trailers.empty()) [[unlikely]] {
    parts += message.trailers.size();
    for (const HeaderField& field : message.trailers) {
      text += bounds.head_copies * (field.name.size() + field.value.size());
    }
  }
  // Of commands, replies, and a request that its response's line names, these have no head.
  text += bounds.text_copies * (message.method.size() + message.target.size() +
                                message.reason.size() + message.request_method.size() +
                                message.request_target.size() + message.request_host.size());
  parts += message.body_gaps.size();
  return bounds.fixed_size + escaped_size_max(text) +
         parts * bounds.head_copies * MessageLineWriter::kFieldSize;
}

bool LineRoom::begin_long(Message& message) {
  LineOutput::Room room = output_.begin_long_line(writer_->size_max(message));
  if (room == LineOutput::Room::kNever) {
    cut_body(message);
    const size_t bound = bound_of(message);
    if (bound <= kLineBlockBytes) return output_.begin_line(bound);
    room = output_.begin_long_line(writer_->size_max(message));
  }
  return room == LineOutput::Room::kEnough;
}

void LineRoom::cut_body(Message& message) {
  // A line that fits a block needs none.
  Message empty = message;
  empty.body = {};
  const size_t rest = kLineBlockBytes - std::min<size_t>(kLineBlockBytes, bound_of(empty));
  const size_t fits = writer_->body_that_fits(message, output_.room_for_line());
  message.body = message.body.substr(0, std::max(fits, rest / kEscapedByteMax));
  message.body_truncated = true;
  pool_.refuse();
  if (message.incomplete != Incomplete::kNo) return;
  message.incomplete = Incomplete::kLimit;
  counters_.add(ShardCounter::incomplete_limit);
}

}  // namespace tcp_sniffer
