// HttpDirection: a message that is given out in parts while its body arrives.

#include <algorithm>
#include <cstring>
#include <new>

#include "core/base/text_encoding.h"
#include "core/http/direction.h"
#include "core/http/event_stream.h"

namespace tcp_sniffer {

namespace {

// Takes the front away. The memory after a text is as large as what is left of it, if there is
// any.
void remove_front(BufferPool& pool, GrowingText& text, size_t size) {
  if (size == 0) return;
  GrowingText rest;
  if (rest.append(pool, text.text().substr(size))) {
    text.release(pool);
    text = rest;
  } else {
    text.size -= size;
    std::memmove(text.memory.data, text.memory.data + size, text.size);
  }
}

std::span<const BodyGap> gaps_of(const OpenMessage& open) {
  return {reinterpret_cast<const BodyGap*>(open.gaps.memory.data),
          open.gaps.size / sizeof(BodyGap)};
}

}  // namespace

// The head is complete and the body begins.
void HttpDirection::start_parts(const HttpHead& head) {
  OpenMessage& open = *here_.open;
  Message message;
  message.direction = open.direction;
  message.headers = head.fields;
  if (!engine_.emitter_.may_split(message)) return;
  Buffer memory = engine_.pool_.allocate(sizeof(OpenParts));
  if (!memory) return;
  open.parts = new (memory.data) OpenParts;
  open.parts->connection = &context_.identity;
  open.parts->is_event_stream = is_event_stream(head.fields);
  time_part();
}

// Something waits to be given out.
void HttpDirection::time_part() {
  OpenParts& parts = *here_.open->parts;
  if (parts.due_ns != OpenParts::kNever) return;
  engine_.part_timers_.start(parts, context_.clock_ns + engine_.settings_.part_after_ns);
}

void HttpDirection::release_parts(OpenMessage& open) {
  if (open.parts == nullptr) return;
  engine_.part_timers_.stop(*open.parts);
  Buffer memory{reinterpret_cast<uint8_t*>(open.parts), BufferPool::capacity_of(sizeof(OpenParts))};
  engine_.pool_.release(memory);
  open.parts = nullptr;
}

// What of these bytes of the body is a part: not the beginning of an event or of a character at
// their end.
size_t HttpDirection::size_of_part(const OpenMessage& open, std::string_view bytes) {
  const bool goes_on = !open.body_truncated && !open.body_given_up;
  if (open.parts->is_event_stream && goes_on) {
    return whole_events_size(bytes, open.parts->searched);
  }
  return without_cut_character(bytes).size();
}

// The part is due.
void HttpDirection::give_out_part() {
  OpenMessage& open = *here_.open;
  OpenParts& parts = *open.parts;
  engine_.part_timers_.stop(parts);
  // Where a broken body ends is found by searching, so what comes may be no part of it.
  if (open.broken_body) return;
  const std::string_view bytes = open.body.text().substr(parts.begin);
  const size_t size = size_of_part(open, bytes);
  if (size == 0 && parts.count > 0) return;

  Message message;
  take_open_head(message);
  take_open_state(message);
  message.part = parts.count + 1;
  message.body = bytes.substr(0, size);
  message.headers_incomplete = open.headers_cut;
  // The gaps in it, and where it ends in the body as sent.
  const std::span<const BodyGap> gaps = gaps_of(open);
  uint64_t left = size;
  uint64_t end = parts.body_end;
  size_t in_part = 0;
  while (in_part < gaps.size() && gaps[in_part].offset - end <= left) {
    left -= gaps[in_part].offset - end;
    end = gaps[in_part].offset + gaps[in_part].length;
    in_part++;
  }
  end += left;
  message.body_gaps = gaps.first(in_part);
  message.body_size = end;
  if (parts.count > 0) {
    message.has_latency = false;
    message.anomalies = {};
    message.headers_incomplete = false;
  }
  switch (engine_.emitter_.emit_part(context_.identity, side_, message)) {
    case MessageOutput::PartTaken::kNotNow:
      parts.searched = 0;
      time_part();
      return;
    case MessageOutput::PartTaken::kNever:
      release_parts(open);
      return;
    case MessageOutput::PartTaken::kYes:
      break;
  }
  // Nobody wants the rest of a body that is not UTF-8.
  open.body_binary |= engine_.settings_.drop_binary_bodies && !is_utf8(message.body);
  parts.count++;
  parts.body_end = end;
  parts.searched -= std::min(parts.searched, size);
  if (engine_.settings_.keep_parts && open.direction == MessageDirection::kResponse) {
    parts.begin += size;
  } else {
    parts.freed_size += size;
    if (size > 0) open.body.remove_front(engine_.pool_, size);
  }
  remove_front(engine_.pool_, open.gaps, in_part * sizeof(BodyGap));
}

// The message ends: what is left of it is its last part, if there were others.
void HttpDirection::take_last_part(Message& message) {
  OpenMessage& open = *here_.open;
  if (open.parts->count > 0) {
    message.part = open.parts->count + 1;
    message.last_part = true;
    message.has_latency = false;
    message.whole_body = message.body;
    message.body.remove_prefix(open.parts->begin);
  }
  release_parts(open);
}

}  // namespace tcp_sniffer
