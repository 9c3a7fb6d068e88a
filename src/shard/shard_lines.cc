#include "shard/shard_lines.h"

#include <algorithm>
#include <chrono>

#include "core/base/limits.h"
#include "core/line/json_escape.h"
#include "core/message/body_file_name.h"

namespace tcp_sniffer {

namespace {

// A size that the line does not exceed, whatever its bytes are. Most lines are far shorter: the
// exact bound (MessageLineWriter::size_max) is computed only when memory is short. The head counts
// twice, because of rawHeaders and latin1.
size_t size_bound_as_sent(const Message& message) {
  size_t text = message.body.size() + size_t{2} * message.headers_size;
  size_t parts = message.headers.size();
  if (!message.trailers.empty()) [[unlikely]] {
    parts += message.trailers.size();
    for (const HeaderField& field : message.trailers) {
      text += size_t{2} * (field.name.size() + field.value.size());
    }
  }
  // Of commands, replies, and a request that its response's line names, these have no head.
  text += message.method.size() + message.target.size() + message.reason.size() +
          message.request_method.size() + message.request_target.size() +
          message.request_host.size();
  parts += message.body_gaps.size();
  return MessageLineWriter::kFixedSize + escaped_size_max(text) +
         parts * size_t{2} * MessageLineWriter::kFieldSize;
}

int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace

ShardLines::ShardLines(const LineOptions& options, bool number_frames, const BodySettings& bodies,
                       const RedactionRules& redaction, BufferPool& pool, LineOutput& output,
                       ShardCounters& counters)
    : writer_(options),
      number_frames_(number_frames),
      bodies_(bodies),
      plain_(number_frames && !bodies.decode && bodies.extract == nullptr && !redaction.any()),
      pool_(pool),
      decoder_(pool, bodies.decoded_max, steady_ns),
      redacts_(redaction.any()),
      redactor_(redaction),
      output_(output),
      counters_(counters) {}

void ShardLines::on_message(const Message& message) {
  if (plain_) [[likely]] {
    write(message);
  } else {
    with_body(message);
  }
}

void ShardLines::with_body(Message message) {
  if (!number_frames_) message.first_frame = message.last_frame = 0;
  const bool decodes = bodies_.decode && !message.body.empty();
  const Message as_sent = message;
  if (decodes) decode(message);
  if (redacts_) redactor_.redact(message);
  if (bodies_.extract != nullptr && message.direction == MessageDirection::kResponse) {
    // A whole body that cannot be decoded to its end is still whole as it was sent.
    const bool only_decoding_failed = body_is_incomplete(message) && !body_is_incomplete(as_sent);
    bodies_.extract->put(only_decoding_failed ? as_sent : message);
  }
  write(message);
  if (decodes) decoder_.release_output();
}

void ShardLines::decode(Message& message) {
  const ContentDecoder::Result result = decoder_.decode(message);
  message.body = result.body;
  if (!result.codings.empty()) message.body_cut_is_none = result.cut_is_none;
  message.content_decoded = result.codings;
  message.content_decode_error = result.error;
  message.body_truncated |= result.truncated;
  if (!result.codings.empty()) counters_.add(ShardCounter::bodies_decoded);
  switch (result.error) {
    case ContentDecodeError::kNo:
      return;
    case ContentDecodeError::kTruncated:
    case ContentDecodeError::kCorrupt:
      return counters_.add(ShardCounter::bodies_broken);
    case ContentDecodeError::kLimit:
      return counters_.add(result.limit == ContentDecoder::Limit::kTime
                               ? ShardCounter::bodies_too_slow
                               : ShardCounter::bodies_limited);
  }
}

size_t ShardLines::size_bound(const Message& message) const {
  return size_bound_as_sent(message) + (redacts_ ? escaped_size_max(2 * redactor_.growth()) : 0);
}

inline void ShardLines::end_line(const Message& message) {
  output_.end_line(1, message.last_byte_ns);
  counters_.add(ShardCounter::messages_written);
  if (message.has_latency) latencies_.add(message.latency_ns);
}

inline void ShardLines::write_up_to(size_t bound, const Message& message) {
  if (!output_.begin_line(bound)) return drop();
  writer_.write(message, output_);
  end_line(message);
}

void ShardLines::write(const Message& message) {
  const size_t bound = size_bound(message);
  if (bound > kLineBlockBytes && !output_.can_hold(bound)) [[unlikely]] {
    return write_long(message);
  }
  write_up_to(bound, message);
}

void ShardLines::drop() {
  counters_.add(output_.abandoned() ? ShardCounter::messages_discarded
                                    : ShardCounter::messages_dropped_overload);
}

// Memory is short: the lines before it are waited for, and if that is not enough, the line has as
// much of the body as there is memory for.
void ShardLines::write_long(Message message) {
  LineOutput::Room room = output_.begin_long_line(writer_.size_max(message));
  if (room == LineOutput::Room::kNever) {
    cut_body(message);
    const size_t bound = size_bound(message);
    if (bound <= kLineBlockBytes) return write_up_to(bound, message);
    room = output_.begin_long_line(writer_.size_max(message));
  }
  if (room != LineOutput::Room::kEnough) return drop();
  writer_.write(message, output_);
  end_line(message);
}

void ShardLines::cut_body(Message& message) {
  // A line that fits a block needs none.
  Message empty = message;
  empty.body = {};
  const size_t rest = kLineBlockBytes - std::min<size_t>(kLineBlockBytes, size_bound(empty));
  const size_t fits = writer_.body_that_fits(message, output_.room_for_line());
  message.body = message.body.substr(0, std::max(fits, rest / kEscapedByteMax));
  message.body_truncated = true;
  pool_.refuse();
  if (message.incomplete != Incomplete::kNo) return;
  message.incomplete = Incomplete::kLimit;
  counters_.add(ShardCounter::incomplete_limit);
}

void ShardLines::on_unanswered(const Message& as_sent) {
  Message request = as_sent;
  if (redacts_) redactor_.redact(request);
  if (!output_.begin_line(size_bound(request))) return;
  writer_.write_unanswered(request, output_);
  output_.end_line(0, request.first_byte_ns);
}

}  // namespace tcp_sniffer
