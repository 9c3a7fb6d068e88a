#include "shard/shard_lines.h"

#include <chrono>

#include "core/message/body_file_name.h"
#include "core/message/content_coding.h"

namespace tcp_sniffer {

namespace {

int64_t steady_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

}  // namespace

ShardLines::ShardLines(const LineOptions& options, bool number_frames, const BodySettings& bodies,
                       const RedactionRules& redaction, const ChoiceRules& choice,
                       ExchangeLimit* limit, BufferPool& pool, LineOutput& output,
                       ShardCounters& counters)
    : number_frames_(number_frames),
      bodies_(bodies),
      by_exchange_(options.by_exchange),
      decoder_(pool, bodies.decoded_max, steady_ns),
      redacts_(redaction.any()),
      redactor_(std::make_unique<MessageRedactor>(redaction, pool)),
      limit_(limit),
      output_(output),
      counters_(counters),
      room_(pool, output, counters),
      exchanges_(by_exchange_, std::make_unique<LineRules>(options, choice), limit, room_, pool,
                 output, counters, latencies_) {
  choose_ways();
}

void ShardLines::change(LineChange& change, int64_t clock_ns) {
  bodies_ = change.bodies;
  decoder_.change_output_max(bodies_.decoded_max);
  redacts_ = change.redacts;
  redactor_ = std::move(change.redactor);
  exchanges_.change(std::move(change.rules), clock_ns);
  choose_ways();
}

// What a message passes on its way to its line.
void ShardLines::choose_ways() {
  const LineRules& rules = exchanges_.rules();
  writer_ = rules.writer.get();
  room_.use(*writer_, *redactor_);
  has_earlier_rules_ = exchanges_.has_earlier_rules();
  chooses_ = rules.chooses || has_earlier_rules_;
  chooses_first_ = chooses_ && !redacts_ && !exchanges_.needs_body();
  as_sent_ = number_frames_ && !bodies_.decode && bodies_.extract == nullptr && !redacts_;
  plain_ = as_sent_ && !by_exchange_ && !chooses_ && limit_ == nullptr;
  if (!chooses_) exchanges_.end_admission();
}

void ShardLines::on_message(const Message& message, ConnectionIdentity& connection) {
  if (plain_) [[likely]] {
    return write(message);
  }
  if (has_earlier_rules_ && !exchanges_.has_earlier_rules()) [[unlikely]]
    choose_ways();
  if (limit_ != nullptr && !admits(message)) {
    counters_.add(ShardCounter::messages_beyond_count);
  } else if (!as_sent_) {
    with_body(message, connection);
  } else if (!chooses_ || exchanges_.admit(message, connection)) {
    deliver(message, connection);
  }
}

void ShardLines::with_body(const Message& as_sent, ConnectionIdentity& connection) {
  Message message = as_sent;
  if (!number_frames_) message.first_frame = message.last_frame = 0;
  if (message.part > 0 && redactor_->searches_bodies()) [[unlikely]] {
    withhold_part(message);
    counters_.add(ShardCounter::bodies_searched);
    counters_.add(ShardCounter::bodies_withheld);
  }
  if (chooses_first_ && !exchanges_.admit(message, connection)) return;
  const bool decodes = (bodies_.decode || redactor_->searches_bodies()) && !message.body.empty();
  if (decodes) decode(message);
  if (redacts_) redact(message);
  if (!chooses_ || chooses_first_ || exchanges_.admit(message, connection)) {
    if (bodies_.extract != nullptr) extract(message, as_sent);
    deliver(message, connection);
  }
  if (decodes) decoder_.release_output();
  redactor_->release_body();
}

void ShardLines::deliver(const Message& message, ConnectionIdentity& connection) {
  if (by_exchange_ || chooses_) {
    exchanges_.take(message, connection);
  } else {
    write(message);
  }
}

void ShardLines::extract(const Message& message, const Message& as_sent) {
  if (message.direction != MessageDirection::kResponse) return;
  // A whole body that cannot be decoded to its end is still whole as it was sent.
  const bool only_decoding_failed = body_is_incomplete(message) && !body_is_incomplete(as_sent);
  const bool as_it_was = only_decoding_failed && !redactor_->searches_bodies();
  Message whole = as_it_was ? as_sent : message;
  if (message.last_part) whole.body = message.whole_body;
  bodies_.extract->put(whole);
}

// A final response is an exchange more; what ExchangeLines takes, it counts itself. A message that
// was begun in parts has been admitted.
bool ShardLines::admits(const Message& message) {
  if (message.part > 1) {
    if (message.direction == MessageDirection::kResponse) limit_->end();
    return true;
  }
  const bool is_exchange = message.direction == MessageDirection::kResponse &&
                           !message.is_interim() && !by_exchange_ && !chooses_;
  return is_exchange ? limit_->take() : !limit_->reached();
}

bool ShardLines::admits_part(const Message& part) {
  if (part.part > 1) return true;
  return part.direction == MessageDirection::kResponse ? limit_->begin() : !limit_->reached();
}

void ShardLines::redact(Message& message) {
  const MessageRedactor::Body outcome = redactor_->redact(message);
  if (outcome == MessageRedactor::Body::kNotSearched) return;
  counters_.add(ShardCounter::bodies_searched);
  switch (outcome) {
    case MessageRedactor::Body::kNotSearched:
    case MessageRedactor::Body::kUnchanged:
      return counters_.add(ShardCounter::bodies_unchanged);
    case MessageRedactor::Body::kHidden:
      return counters_.add(ShardCounter::bodies_redacted);
    case MessageRedactor::Body::kWithheld:
      return counters_.add(ShardCounter::bodies_withheld);
  }
}

// Bodies are to be searched since parts of this one were given out: what is left of it cannot be.
void ShardLines::withhold_part(Message& part) {
  part.body = part.whole_body = {};
  part.body_kept = false;
  part.body_withheld = true;
}

void ShardLines::decode(Message& message) {
  const ContentDecoder::Result result = decoder_.decode(message);
  message.body = result.body;
  if (!result.codings.empty()) message.body_cut_is_none = result.cut_is_none;
  message.content_decoded = result.codings;
  message.content_decode_error = result.error;
  message.content_proof = result.proof;
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

inline void ShardLines::write(const Message& message) {
  output_.offer(message.body_memory);
  const bool is_written =
      room_.write(message, [this](const Message& shown) { writer_->write(shown, output_); });
  output_.offer(nullptr);
  if (!is_written) return room_.drop(1);
  output_.end_line(1, message.last_byte_ns, message.connection_id);
  counters_.add(ShardCounter::messages_written);
  if (message.has_latency) latencies_.add(message.latency_ns);
}

// A body that has to be decoded or searched is needed whole.
bool ShardLines::may_split(const Message& head) const {
  if (by_exchange_ || redactor_->searches_bodies()) return false;
  if (!bodies_.decode) return true;
  const ContentCodings codings = read_content_codings(head.headers);
  return codings.count == 0 && !codings.too_many;
}

// Where the head does not decide whether the message is written, the rest of it does.
MessageOutput::PartTaken ShardLines::on_part(const Message& as_sent,
                                             ConnectionIdentity& connection) {
  Message part = as_sent;
  if (!number_frames_) part.first_frame = part.last_frame = 0;
  if (redactor_->searches_bodies()) [[unlikely]]
    withhold_part(part);
  if (redacts_) redactor_->redact(part);
  if (chooses_ && !exchanges_.admit_part(part, connection)) return PartTaken::kNever;
  if (!room_.begin_easy(room_.bound_of(part))) return PartTaken::kNotNow;
  if (limit_ != nullptr && !admits_part(part)) {
    output_.cancel_line();
    return PartTaken::kNever;
  }
  writer_->write(part, output_);
  output_.end_line(0, part.last_byte_ns, part.connection_id);
  counters_.add(ShardCounter::messages_parts);
  if (part.has_latency) latencies_.add(part.latency_ns);
  return PartTaken::kYes;
}

void ShardLines::on_unanswered(const Message& as_sent, ConnectionIdentity& connection,
                               Orphan orphan) {
  Message request = as_sent;
  if (redacts_) redactor_->redact(request);
  if (chooses_ && !exchanges_.admits_unanswered(request, connection, orphan)) return;
  if (limit_ != nullptr && !limit_->take()) return;
  if (!output_.begin_line(room_.bound_of(request))) return;
  writer_->write_unanswered(request, output_);
  output_.end_line(0, request.first_byte_ns, request.connection_id);
}

void ShardLines::on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan) {
  if (by_exchange_ || chooses_) exchanges_.on_orphan(connection, exchange, orphan);
}

void ShardLines::on_connection_over(ConnectionIdentity& connection, Incomplete cause) {
  exchanges_.on_connection_over(connection, cause);
}

}  // namespace tcp_sniffer
