#include "core/pop3/pop3_engine.h"

#include <algorithm>
#include <new>

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

Pop3Connection* Pop3Engine::open() {
  Buffer memory = pool_.allocate(sizeof(Pop3Connection));
  return memory ? new (memory.data) Pop3Connection : nullptr;
}

bool Pop3Engine::in_message(const Pop3Connection& pop3, Side side) {
  const Pop3Stream& stream = pop3.streams[static_cast<size_t>(side)];
  return stream.in_body || stream.line.size > 0;
}

void Pop3Engine::consume(Pop3Connection& pop3, ConnectionIdentity& identity, Side side,
                         std::span<const uint8_t> bytes, const SegmentMeta& meta) {
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  Pop3Stream& stream = context.stream;
  std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (pop3.tunnel) {
    counters_.add(ShardCounter::tunnel, text.size());
    return;
  }
  while (!text.empty()) {
    if (pop3.tunnel) {
      counters_.add(ShardCounter::tunnel, text.size());
      return;
    }
    const size_t line_feed = text.find('\n');
    const bool whole = line_feed != std::string_view::npos;
    const std::string_view piece = text.substr(0, whole ? line_feed + 1 : text.size());
    text.remove_prefix(piece.size());
    if (stream.line.size == 0 && !stream.in_body) stream.first = meta;
    stream.last = meta;
    if (whole && stream.line.size == 0) {
      take_line(context, without_line_end(piece), piece.size());
      continue;
    }
    if (stream.line.size + piece.size() > settings_.line_bytes_max ||
        !stream.line.append(pool_, piece)) {
      // No line of POP3: what it is part of ends, and the next line is looked at anew.
      counters_.add(ShardCounter::skipped_in_resync, stream.line.size + piece.size());
      stream.line.release(pool_);
      interrupt(context, Incomplete::kLimit);
      stream.searching = true;
      continue;
    }
    if (!whole) return;
    GrowingText line = stream.line;
    stream.line = {};
    take_line(context, without_line_end(line.text()), line.size);
    line.release(pool_);
  }
}

// One whole line; `size` counts its line end.
void Pop3Engine::take_line(Context& context, std::string_view line, size_t size) {
  Pop3Connection& pop3 = context.pop3;
  if (context.stream.in_body) {
    counters_.add(ShardCounter::parsed, size);
    take_body_line(context, line);
    return;
  }
  const bool is_reply = read_pop3_reply(line).status != Pop3Status::kNone;
  if (!pop3.server_known && is_reply) {
    pop3.server = context.side;
    pop3.server_known = true;
  }
  const bool from_server = pop3.server_known ? pop3.server == context.side : is_reply;
  const bool is_command = !from_server && (pop3.authenticating || read_pop3_command(line).verb !=
                                                                      Pop3Verb::kUnknown);
  if (from_server ? !is_reply : !is_command && context.stream.searching) {
    counters_.add(ShardCounter::skipped_in_resync, size);
    return;
  }
  context.stream.after_gap = context.stream.searching;
  context.stream.searching = false;
  counters_.add(ShardCounter::parsed, size);
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
  const bool continuation = pop3.authenticating;
  pop3.authenticating = false;
  const Pop3Command command =
      continuation ? Pop3Command{Pop3Verb::kAuth, {}, line} : read_pop3_command(line);
  if (pop3.waiting_count < Pop3Connection::kWaitingMax) {
    const uint32_t index = (pop3.first_waiting + pop3.waiting_count) % Pop3Connection::kWaitingMax;
    Pop3Exchange& exchange = pop3.waiting[index];
    exchange = {pop3.next_exchange, context.stream.last.time_ns, command.verb, {}};
    command.name.substr(0, exchange.name.size() - 1).copy(exchange.name.data(),
                                                          exchange.name.size());
    pop3.waiting_count++;
  }
  emit_request(context, command, continuation);
  pop3.next_exchange++;
}

void Pop3Engine::take_reply(Context& context, std::string_view line) {
  Pop3Connection& pop3 = context.pop3;
  const Pop3Reply reply = read_pop3_reply(line);
  pop3.answered_known = pop3.waiting_count > 0;
  if (pop3.answered_known) {
    pop3.answered = pop3.waiting[pop3.first_waiting];
    pop3.first_waiting = (pop3.first_waiting + 1) % Pop3Connection::kWaitingMax;
    pop3.waiting_count--;
  }
  const Pop3Verb verb = pop3.answered_known ? pop3.answered.verb : Pop3Verb::kOther;
  if (reply.status == Pop3Status::kContinue) pop3.authenticating = true;
  if (reply.status != Pop3Status::kOk || verb != Pop3Verb::kMultiLine) {
    emit_reply(context, reply.status, reply.text, false);
    if (reply.status == Pop3Status::kOk && verb == Pop3Verb::kStls) {
      pop3.tunnel = true;
      counters_.add(ShardCounter::tunnels);
    }
    return;
  }
  pop3.reply = reply.status;
  pop3.reply_text.append(pool_, reply.text);
  context.stream.in_body = true;
}

// A line of a multi-line reply: a dot alone ends it, a dot in front of others is taken away.
void Pop3Engine::take_body_line(Context& context, std::string_view line) {
  Pop3Stream& stream = context.stream;
  if (line == ".") {
    finish_body(context);
    return;
  }
  if (line.starts_with('.')) line.remove_prefix(1);
  stream.body_size += line.size() + 2;
  if (settings_.body_max == 0) return;
  const size_t room = static_cast<size_t>(
      settings_.body_max - std::min<uint64_t>(settings_.body_max, stream.body.size));
  if (line.size() + 2 > room) stream.body_truncated = true;
  if (!stream.body.append(pool_, line.substr(0, room)) ||
      !stream.body.append(pool_, std::string_view("\r\n").substr(
                                     0, room - std::min(room, line.size())))) {
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

void Pop3Engine::gap(Pop3Connection& pop3, ConnectionIdentity& identity, Side side,
                     uint64_t length, GapCause cause) {
  if (pop3.tunnel) return;
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  Pop3Stream& stream = context.stream;
  if (stream.line.size > 0) {
    if (!stream.in_body) counters_.add(ShardCounter::lost_before_start_line);
    counters_.add(ShardCounter::skipped_in_resync, stream.line.size);
    stream.line.release(pool_);
  }
  if (stream.in_body) stream.missing = length;
  interrupt(context, cause == GapCause::kSnaplen ? Incomplete::kSnaplen : Incomplete::kGap);
  stream.searching = true;
  // Commands or replies may be among the lost bytes: order proves nothing any more.
  pop3.waiting_count = 0;
}

void Pop3Engine::end_of_stream(Pop3Connection& pop3, ConnectionIdentity& identity, Side side) {
  Context context{pop3, identity, side, pop3.streams[static_cast<size_t>(side)]};
  counters_.add(ShardCounter::skipped_in_resync, context.stream.line.size);
  context.stream.line.release(pool_);
  interrupt(context, Incomplete::kClosed);
}

void Pop3Engine::close(Pop3Connection*& pop3, ConnectionIdentity& identity, Incomplete cause) {
  for (const Side side : {Side::kLow, Side::kHigh}) {
    Context context{*pop3, identity, side, pop3->streams[static_cast<size_t>(side)]};
    counters_.add(ShardCounter::skipped_in_resync, context.stream.line.size);
    context.stream.line.release(pool_);
    interrupt(context, cause);
    context.stream.body.release(pool_);
  }
  pop3->reply_text.release(pool_);
  Buffer memory{reinterpret_cast<uint8_t*>(pop3),
                BufferPool::capacity_of(sizeof(Pop3Connection))};
  pool_.release(memory);
  pop3 = nullptr;
}

void Pop3Engine::emit_request(Context& context, const Pop3Command& command, bool continuation) {
  HttpMessage message;
  message.direction = MessageDirection::kRequest;
  message.method = continuation ? std::string_view("AUTH") : command.name;
  const bool secret = command.verb == Pop3Verb::kSecret || command.verb == Pop3Verb::kAuth;
  message.target = secret ? kRedacted : command.argument;
  message.exchange = context.pop3.next_exchange;
  emit(context, message);
}

void Pop3Engine::emit_reply(Context& context, Pop3Status status, std::string_view text,
                            bool has_body) {
  const Pop3Connection& pop3 = context.pop3;
  const Pop3Stream& stream = context.stream;
  HttpMessage message;
  message.direction = MessageDirection::kResponse;
  message.method = status == Pop3Status::kOk      ? "+OK"
                   : status == Pop3Status::kError ? "-ERR"
                                                  : "+";
  message.reason = text;
  if (pop3.answered_known) {
    message.exchange = pop3.answered.number;
    message.has_latency = true;
    message.latency_ns = stream.first.time_ns - pop3.answered.last_byte_ns;
    message.request_method = pop3.answered.name.data();
  } else {
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

void Pop3Engine::emit(Context& context, HttpMessage& message) {
  message.protocol = MessageProtocol::kPop3;
  message.body_kept = settings_.body_max > 0;
  message.after_gap = context.stream.after_gap;
  message.first_byte_ns = context.stream.first.time_ns;
  message.last_byte_ns = context.stream.last.time_ns;
  message.first_frame = context.stream.first.frame;
  message.last_frame = context.stream.last.frame;
  if (!context.identity.receiver_known) {
    context.identity.receiver = context.pop3.server;
    context.identity.receiver_known = true;
  }
  emitter_.emit(context.identity, context.side, message);
  context.stream.after_gap = false;
}

}  // namespace tcp_sniffer
