// Pop3Engine: commands and their replies, and what of them is hidden.

#include <array>
#include <utility>

#include "core/pop3/engine.h"

namespace tcp_sniffer {

namespace {

bool is_secret(Pop3Verb verb) {
  return verb == Pop3Verb::kSecret || verb == Pop3Verb::kAuth;
}

}  // namespace

void Pop3Engine::take_command(Context& context, std::string_view line) {
  Pop3Connection& pop3 = context.pop3;
  if (!pop3.server_known) {
    pop3.server = other(context.side);
    pop3.server_known = true;
  }
  Pop3Command command = read_pop3_command(line);
  bool hidden = false;
  const bool is_answer = std::exchange(pop3.answers_challenge, false);
  if (is_answer || is_secret(command.verb)) {
    pop3.secrets.add(is_answer ? line : command.argument);
  }
  if (is_answer) {
    command = {Pop3Verb::kAuth, "AUTH", {}};
  } else if (command.verb == Pop3Verb::kAuth) {
    pop3.in_auth = true;
  } else if (command.verb == Pop3Verb::kUnknown && pop3.hides_lines()) {
    hidden = true;
    command = {pop3.in_auth ? Pop3Verb::kAuth : Pop3Verb::kUnknown, kRedacted, {}};
  }
  // After a loss the answer may have been lost, and this is any line. A server that reads commands
  // strictly does not know an irregular one.
  const bool may_be_quoted =
      hidden || (is_answer && pop3.order_lost) || (command.irregular && is_secret(command.verb));
  const bool remembered = remember(context, command.name, {command.verb, may_be_quoted});
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
  if ((reply.status == Pop3Status::kError && hidden) || pop3.secrets.may_stand_in(reply.text)) {
    reply.text = kRedacted;
  }
  if (pop3.nothing_waits()) pop3.secrets.clear();
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

void Pop3Engine::emit_request(Context& context, const Pop3Command& command, bool hidden,
                              bool remembered) {
  Message message;
  message.direction = MessageDirection::kRequest;
  message.method = command.name;
  message.target = is_secret(command.verb) && !hidden ? kRedacted : command.argument;
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
