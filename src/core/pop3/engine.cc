#include "core/pop3/engine.h"

#include <algorithm>
#include <array>
#include <utility>

namespace tcp_sniffer {

namespace {

constexpr uint16_t kPop3Port = 110;

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
  // The greeting, or as much of it as the segment has.
  const auto begins = [text](std::string_view greeting) {
    return text.starts_with(greeting) || (!text.empty() && greeting.starts_with(text));
  };
  return begins("+OK ") || begins("+OK\r\n");
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

}  // namespace tcp_sniffer
