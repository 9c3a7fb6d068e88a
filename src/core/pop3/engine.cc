#include "core/pop3/engine.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tcp_sniffer {

namespace {

constexpr uint16_t kPop3Port = 110;
constexpr std::string_view kRedacted = "[redacted]";

std::string_view without_line_end(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

bool Pop3Engine::recognises(const FlowKey& key, std::span<const uint8_t> first_bytes) {
  if (key.low_port == kPop3Port || key.high_port == kPop3Port) return true;
  const std::string_view text(reinterpret_cast<const char*>(first_bytes.data()),
                              first_bytes.size());
  return text.starts_with("+OK ") || text.starts_with("+OK\r\n");
}

Pop3Connection::Pop3Connection(const ConnectionIdentity& identity) {
  const FlowKey& key = identity.key;
  if (identity.roles.certain()) {
    server = identity.roles.server();
    server_known = true;
  } else if ((key.low_port == kPop3Port) != (key.high_port == kPop3Port)) {
    server = key.low_port == kPop3Port ? Side::kLow : Side::kHigh;
    server_known = true;
  }
}

bool Pop3Engine::in_message(const Pop3Connection& pop3, Side side) {
  const Pop3Stream& stream = pop3.streams[static_cast<size_t>(side)];
  return stream.in_body || stream.in_long_line || stream.line.size > 0;
}

size_t Pop3Engine::held_bytes(const Pop3Connection& pop3) {
  size_t held = pop3.reply_text.memory.capacity;
  for (const Pop3Stream& stream : pop3.streams) {
    held += stream.line.memory.capacity + stream.body.memory.capacity;
  }
  return held;
}

uint32_t Pop3Engine::consume(Pop3Connection& pop3, ConnectionIdentity& identity, Side side,
                             uint64_t offset, std::span<const uint8_t> bytes,
                             const SegmentMeta& meta, bool) {
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (!text.empty() && !pop3.tunnel) {
    const size_t line_feed = text.find('\n');
    const bool whole = line_feed != std::string_view::npos;
    const size_t size = whole ? line_feed + 1 : text.size();
    take_piece(context, text.substr(0, size), offset, meta);
    text.remove_prefix(size);
    offset += size;
  }
  counters_.add(ShardCounter::tunnel, text.size());
  return static_cast<uint32_t>(bytes.size());
}

// A line, or what one segment has brought of it.
void Pop3Engine::take_piece(Context& context, std::string_view piece, uint64_t offset,
                            const SegmentMeta& meta) {
  Pop3Stream& stream = context.stream;
  const bool whole = piece.ends_with('\n');
  if (stream.line.size == 0 && !stream.in_long_line) {
    stream.line_first = meta;
    stream.line_offset = offset;
  }
  stream.last = meta;
  if (stream.in_long_line || stream.line.size + piece.size() > kLineMax) {
    take_long_line(context, piece);
    stream.in_long_line = !whole;
  } else if (whole && stream.line.size == 0) {
    take_line(context, piece);
  } else if (!stream.line.append(pool_, piece)) {
    pass_over(context, stream.line.size + piece.size());
    stream.in_long_line = !whole;
  } else if (whole) {
    GrowingText line = std::exchange(stream.line, {});
    take_line(context, line.text());
    line.release(pool_);
  }
}

// There is no memory for the line: what it is part of ends.
void Pop3Engine::pass_over(Context& context, size_t size) {
  counters_.add(ShardCounter::skipped_in_resync, size);
  context.stream.line.release(pool_);
  interrupt(context, Incomplete::kLimit);
  context.stream.searching = true;
  lose_replies(context);
  lose_order(context.pop3, context.side);
}

// Commands or replies of this side are missing: order proves nothing any more.
void Pop3Engine::lose_order(Pop3Connection& pop3, Side side) {
  pop3.waiting.clear();
  pop3.forgotten.clear();
  pop3.order_lost = true;
  if (!pop3.server_known || pop3.server == side) pop3.greeted = true;
}

// Of the commands that wait. Those that wait when a stream is met in its middle are known to be
// alone when the next command is answered, or at the end.
void Pop3Engine::lose_replies(Context& context) {
  auto& waiting = context.pop3.waiting;
  for (uint32_t i = 0; i < waiting.size(); i++) {
    emitter_.lose_response(context.identity, waiting.at(i).number, Incomplete::kGap);
  }
}

// A piece of a line that is longer than a line may be. In a mail there are such lines, and they
// stay in it; of any other the beginning is read and the rest passed over.
void Pop3Engine::take_long_line(Context& context, std::string_view piece) {
  Pop3Stream& stream = context.stream;
  GrowingText kept = std::exchange(stream.line, {});
  if (stream.in_body && !stream.in_long_line && context.pop3.reply_guessed) {
    std::array<char, 8> begin{};
    const size_t size = kept.text().copy(begin.data(), begin.size());
    const size_t more = piece.copy(begin.data() + size, begin.size() - size);
    if (ends_guess(context.pop3, {begin.data(), size + more})) end_guess(context);
  }
  if (stream.in_body) {
    counters_.add(ShardCounter::parsed, kept.size + piece.size());
    const bool begins = !stream.in_long_line;
    if (begins && (kept.size > 0 ? kept.text() : piece).starts_with('.')) {
      // A dot alone is no long line, so this one was put in front.
      if (kept.size > 0) {
        keep_body(context, kept.text().substr(1));
      } else {
        piece.remove_prefix(1);
      }
    } else {
      keep_body(context, kept.text());
    }
    keep_body(context, piece);
    kept.release(pool_);
    return;
  }
  if (stream.in_long_line) {
    counters_.add(ShardCounter::skipped_in_resync, piece.size());
    return;
  }
  const size_t room = kLineMax - kept.size;
  if (!kept.append(pool_, piece.substr(0, room))) {
    pass_over(context, kept.size + piece.size());
    kept.release(pool_);
    return;
  }
  counters_.add(ShardCounter::skipped_in_resync, piece.size() - std::min(room, piece.size()));
  stream.line_cut = true;
  take_line(context, kept.text());
  stream.line_cut = false;
  kept.release(pool_);
}

// One line with its line end.
void Pop3Engine::take_line(Context& context, std::string_view raw) {
  Pop3Connection& pop3 = context.pop3;
  const std::string_view line = without_line_end(raw);
  if (context.stream.in_body && ends_guess(pop3, line)) end_guess(context);
  if (context.stream.in_body) {
    counters_.add(ShardCounter::parsed, raw.size());
    take_body_line(context, raw);
    return;
  }
  const bool is_reply = read_pop3_reply(line).status != Pop3Status::kNone;
  if (!pop3.server_known && is_reply) {
    pop3.server = context.side;
    pop3.server_known = true;
  }
  const bool from_server = pop3.server_known ? pop3.server == context.side : is_reply;
  const bool is_command = !from_server && (pop3.answers_challenge ||
                                           read_pop3_command(line).verb != Pop3Verb::kUnknown);
  if (from_server ? !is_reply : !is_command && context.stream.searching) {
    // A line of a reply that was taken for the whole of it, or the end of a line that was lost.
    pop3.order_lost = true;
    counters_.add(ShardCounter::skipped_in_resync, raw.size());
    return;
  }
  context.stream.first = context.stream.line_first;
  context.stream.first_offset = context.stream.line_offset;
  context.stream.after_gap = context.stream.searching;
  context.stream.searching = false;
  counters_.add(ShardCounter::parsed, raw.size());
  if (from_server) {
    take_reply(context, line);
  } else {
    take_command(context, line);
  }
}

void Pop3Engine::take_command(Context& context, std::string_view line) {
  Pop3Connection& pop3 = context.pop3;
  if (!pop3.server_known) {
    pop3.server = other(context.side);
    pop3.server_known = true;
  }
  Pop3Command command = read_pop3_command(line);
  bool hidden = false;
  const bool is_answer = std::exchange(pop3.answers_challenge, false);
  if (is_answer) {
    command = {Pop3Verb::kAuth, "AUTH", {}};
  } else if (command.verb == Pop3Verb::kAuth) {
    pop3.in_auth = true;
  } else if (command.verb == Pop3Verb::kUnknown && pop3.hides_lines()) {
    hidden = true;
    command = {pop3.in_auth ? Pop3Verb::kAuth : Pop3Verb::kUnknown, kRedacted, {}};
  }
  // After a loss the answer may have been lost, and this is any line.
  const bool remembered =
      remember(context, command.name, {command.verb, hidden || (is_answer && pop3.order_lost)});
  emit_request(context, command, hidden, remembered);
  pop3.next_exchange++;
}

// False: its reply will not be distinguished from others.
bool Pop3Engine::remember(Context& context, std::string_view name, Pop3Kind kind) {
  Pop3Connection& pop3 = context.pop3;
  pop3.pipelines |= !pop3.nothing_waits();
  if (pop3.forgotten.empty() && !pop3.waiting.full()) {
    const Pop3Stream& stream = context.stream;
    pop3.waiting.push(
        {pop3.next_exchange, stream.last.time_ns, stream.first.acknowledged, kind, {}});
    std::array<char, 12>& shown = pop3.waiting.back().name;
    name.substr(0, shown.size() - 1).copy(shown.data(), shown.size());
    return true;
  }
  counters_.add(ShardCounter::commands_forgotten);
  if (!pop3.forgotten.empty() && pop3.forgotten.back().kind == kind) {
    pop3.forgotten.back().count++;
  } else if (!pop3.forgotten.full()) {
    pop3.forgotten.push({kind, 1});
  } else {
    pop3.order_lost = true;
  }
  return false;
}

void Pop3Engine::take_reply(Context& context, std::string_view line) {
  Pop3Connection& pop3 = context.pop3;
  Pop3Reply reply = read_pop3_reply(line);
  pop3.answered_known = pop3.greets = false;
  const auto [verb, hidden] = take_answered(context);
  follow_login(pop3, verb, reply.status);
  // Servers quote what they do not know.
  if (reply.status == Pop3Status::kError && hidden) reply.text = kRedacted;
  if (reply.status != Pop3Status::kOk || verb != Pop3Verb::kMultiLine) {
    emit_reply(context, reply.status, reply.text, false);
    if (reply.status == Pop3Status::kOk && verb == Pop3Verb::kStls) {
      pop3.tunnel = true;
      counters_.add(ShardCounter::tunnels);
    }
    return;
  }
  pop3.reply = reply.status;
  pop3.reply_guessed = pop3.order_lost;
  pop3.reply_text.append(pool_, reply.text);
  context.stream.in_body = true;
  context.stream.body_max = body_max_;
  if (context.stream.line_cut) context.stream.cause = Incomplete::kLimit;
}

// Takes the command that the reply answers from those that wait, if any does. The greeting answers
// none.
Pop3Kind Pop3Engine::take_answered(Context& context) {
  Pop3Connection& pop3 = context.pop3;
  Pop3Kind kind;
  bool answers_a_command = true;
  if (!std::exchange(pop3.greeted, true)) {
    // A client waits for it. What comes when commands wait may answer one of them.
    pop3.order_lost |= !pop3.nothing_waits();
    pop3.greets = !pop3.order_lost;
  } else if (!pop3.waiting.empty()) {
    pop3.answered = pop3.waiting.front();
    pop3.waiting.pop();
    const bool begins_there = pop3.answered.sent_ack == context.stream.first_offset;
    pop3.answered_known = !pop3.order_lost || (!pop3.pipelines && begins_there);
    if (!pop3.answered_known) {
      emitter_.lose_response(context.identity, pop3.answered.number, Incomplete::kGap);
    }
    kind = pop3.answered.kind;
  } else if (!pop3.forgotten.empty()) {
    kind = pop3.forgotten.front().kind;
    if (--pop3.forgotten.front().count == 0) pop3.forgotten.pop();
  } else {
    // It was captured before its command, or the command was lost: the next one's is another reply.
    answers_a_command = false;
    pop3.order_lost = true;
  }
  // It may answer any line, also one that was not shown.
  kind.hidden |= (pop3.order_lost || !answers_a_command) && pop3.hides_lines();
  return kind;
}

// A login counts only where each reply is sure to answer its command: else lines would be shown
// that may be credentials.
void Pop3Engine::follow_login(Pop3Connection& pop3, Pop3Verb verb, Pop3Status status) {
  if (status == Pop3Status::kContinue) {
    // What answers it may have been sent already, without waiting for it.
    pop3.answers_challenge = pop3.order_lost || pop3.nothing_waits();
    return;
  }
  if (pop3.order_lost) return;
  if (verb == Pop3Verb::kAuth) pop3.in_auth = false;
  if (status == Pop3Status::kOk && (verb == Pop3Verb::kAuth || verb == Pop3Verb::kSecret)) {
    pop3.logged_in = true;
  }
}

// Whether the line shows that what is read as a multi-line reply may be none. An -ERR may quote a
// credential, so it is never taken for text; a mail has both in its lines, if seldom.
bool Pop3Engine::ends_guess(const Pop3Connection& pop3, std::string_view line) {
  if (!pop3.reply_guessed) return false;
  const Pop3Status status = read_pop3_reply(line).status;
  return status == Pop3Status::kError || (status == Pop3Status::kOk && !pop3.answered_known);
}

void Pop3Engine::end_guess(Context& context) {
  if (context.stream.body_size > 0) {
    interrupt(context, Incomplete::kGap);
  } else {
    finish_body(context);
  }
}

// A line of a multi-line reply: a dot alone ends it, a dot in front of others is taken away.
void Pop3Engine::take_body_line(Context& context, std::string_view raw) {
  if (without_line_end(raw) == ".") {
    finish_body(context);
    return;
  }
  if (raw.starts_with('.')) raw.remove_prefix(1);
  keep_body(context, raw);
}

void Pop3Engine::keep_body(Context& context, std::string_view bytes) {
  Pop3Stream& stream = context.stream;
  stream.body_size += bytes.size();
  if (stream.body_max == 0) return;
  const auto room =
      static_cast<size_t>(stream.body_max - std::min<uint64_t>(stream.body_max, stream.body.size));
  if (bytes.size() > room) stream.body_truncated = true;
  if (!stream.body.append(pool_, bytes.substr(0, room))) {
    stream.body_truncated = true;
    stream.cause = Incomplete::kLimit;
  }
}

void Pop3Engine::finish_body(Context& context) {
  Pop3Connection& pop3 = context.pop3;
  emit_reply(context, pop3.reply, pop3.reply_text.text(), true);
  pop3.reply_text.release(pool_);
  context.stream.body.release(pool_);
  context.stream.body_size = 0;
  context.stream.missing = 0;
  context.stream.in_body = false;
  context.stream.body_truncated = false;
  context.stream.cause = Incomplete::kNo;
}

// Ends the reply being read, if there is one, with the reason why.
void Pop3Engine::interrupt(Context& context, Incomplete cause) {
  if (!context.stream.in_body) return;
  if (context.stream.cause == Incomplete::kNo) context.stream.cause = cause;
  finish_body(context);
}

void Pop3Engine::gap(Pop3Connection& pop3, ConnectionIdentity& identity, Side side, uint64_t length,
                     GapCause cause) {
  if (pop3.tunnel) return;
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  Pop3Stream& stream = context.stream;
  // What follows may be the rest of the line that the loss has cut, and so of a credential.
  const bool is_server = pop3.server_known && pop3.server == side;
  if (is_server || stream.in_body) stream.in_long_line = false;
  if (stream.line.size > 0) {
    const Pop3Verb verb = read_pop3_command(stream.line.text()).verb;
    const bool may_be_secret = verb == Pop3Verb::kSecret || verb == Pop3Verb::kAuth ||
                               verb == Pop3Verb::kUnknown || pop3.answers_challenge;
    if (!is_server && may_be_secret) stream.in_long_line = true;
    if (!stream.in_body) counters_.add(ShardCounter::lost_before_start_line);
    counters_.add(ShardCounter::skipped_in_resync, stream.line.size);
    stream.line.release(pool_);
  }
  if (stream.in_body) stream.missing = length;
  interrupt(context, cause == GapCause::kSnaplen ? Incomplete::kSnaplen : Incomplete::kGap);
  stream.searching = true;
  lose_replies(context);
  lose_order(pop3, side);
  pop3.logged_in = false;
}

void Pop3Engine::end_of_stream(Pop3Connection& pop3, ConnectionIdentity& identity, Side side,
                               bool) {
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  counters_.add(ShardCounter::skipped_in_resync, context.stream.line.size);
  context.stream.line.release(pool_);
  interrupt(context, Incomplete::kClosed);
  context.stream.ended = true;
}

void Pop3Engine::close(Pop3Connection& pop3, ConnectionIdentity& identity, Incomplete cause) {
  for (const Side side : {Side::kLow, Side::kHigh}) {
    Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
    counters_.add(ShardCounter::skipped_in_resync, context.stream.line.size);
    context.stream.line.release(pool_);
    interrupt(context, cause);
    context.stream.body.release(pool_);
  }
  pop3.reply_text.release(pool_);
  // The server has ended its stream, and no reply is missing in front of its end.
  if (pop3.tunnel || pop3.order_lost || !pop3.streams[static_cast<size_t>(pop3.server)].ended) {
    return;
  }
  for (uint32_t i = 0; i < pop3.waiting.size(); i++) {
    emitter_.end_without_response(identity, pop3.waiting.at(i).number);
  }
}

void Pop3Engine::emit_request(Context& context, const Pop3Command& command, bool hidden,
                              bool remembered) {
  Message message;
  message.direction = MessageDirection::kRequest;
  message.method = command.name;
  const bool secret = command.verb == Pop3Verb::kSecret || command.verb == Pop3Verb::kAuth;
  message.target = secret && !hidden ? kRedacted : command.argument;
  message.exchange = context.pop3.next_exchange;
  message.body_kept = body_max_ > 0;
  if (!remembered) message.unanswerable = Incomplete::kLimit;
  emit(context, message);
}

void Pop3Engine::emit_reply(Context& context, Pop3Status status, std::string_view text,
                            bool has_body) {
  const Pop3Connection& pop3 = context.pop3;
  const Pop3Stream& stream = context.stream;
  Message message;
  message.direction = MessageDirection::kResponse;
  message.body_kept = (has_body ? stream.body_max : body_max_) > 0;
  message.method = status == Pop3Status::kOk ? "+OK" : status == Pop3Status::kError ? "-ERR" : "+";
  message.reason = text;
  if (pop3.answered_known) {
    message.exchange = pop3.answered.number;
    message.has_latency = true;
    message.latency_ns = stream.first.time_ns - pop3.answered.last_byte_ns;
    message.request_method = pop3.answered.name.data();
  } else {
    message.unasked = pop3.greets;
    counters_.add(ShardCounter::unpaired);
  }
  if (has_body) {
    message.body = stream.body.text();
    message.body_size = stream.body_size + stream.missing;
    message.body_truncated = stream.body_truncated;
    message.incomplete = stream.cause;
    message.missing_bytes = stream.missing;
  }
  emit(context, message);
}

void Pop3Engine::emit(Context& context, Message& message) {
  message.protocol = kName;
  message.after_gap = context.stream.after_gap;
  if (context.stream.line_cut) message.incomplete = Incomplete::kLimit;
  message.first_byte_ns = context.stream.first.time_ns;
  message.last_byte_ns = context.stream.last.time_ns;
  message.first_frame = context.stream.first.frame;
  message.last_frame = context.stream.last.frame;
  if (!context.identity.roles.known()) context.identity.roles.know(context.pop3.server);
  emitter_.emit(context.identity, context.side, message);
  context.stream.after_gap = false;
}

}  // namespace tcp_sniffer
