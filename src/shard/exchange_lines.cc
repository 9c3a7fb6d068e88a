#include "shard/exchange_lines.h"

#include <cstring>
#include <new>

#include "core/message/message_emitter.h"

namespace tcp_sniffer {
namespace {

constexpr Orphan kLeftEarly = {Orphan::Kind::kResponseNotCaptured, Incomplete::kLimit};

ShardCounter counter_of(Orphan orphan) {
  switch (orphan.kind) {
    case Orphan::Kind::kNo:
      break;
    case Orphan::Kind::kRequestNotCaptured:
      return ShardCounter::exchanges_request_not_captured;
    case Orphan::Kind::kResponseNotCaptured:
      return ShardCounter::exchanges_response_not_captured;
    case Orphan::Kind::kNoResponse:
      return ShardCounter::exchanges_no_response;
  }
  return ShardCounter::exchanges_whole;
}

size_t extra_of(const HeldExchange& held) {
  return held.text_size + held.body_size + held.interim.size;
}

void put_held(const HeldExchange& held, ExchangeParts& parts) {
  parts.request_text = held.text();
  parts.request_body = held.body();
  parts.request_first_ns = held.first_byte_ns;
  parts.interim_texts = held.interim.text();
}

}  // namespace

// ---------------------------------------------------------------- messages as they come

// Where its exchange is known, its request has left before it.
Orphan ExchangeLines::orphan_of(const Message& response) {
  if (response.unasked) return {};
  return {Orphan::Kind::kRequestNotCaptured,
          response.exchange == kNoExchange ? Incomplete::kNo : Incomplete::kLimit};
}

void ExchangeLines::take(const Message& message, ConnectionIdentity& connection) {
  if (message.direction == MessageDirection::kRequest) return take_request(message, connection);
  HeldExchange* const held = answered_ ? *answered_ : find_answered(message, connection);
  answered_.reset();
  if (message.is_interim()) {
    take_interim(message, held);
  } else {
    take_response(message, held);
  }
}

void ExchangeLines::take_request(const Message& request, ConnectionIdentity& connection) {
  if (request.unanswerable != Incomplete::kNo) {
    if (request.unanswerable == Incomplete::kLimit) {
      counters_.add(ShardCounter::exchanges_left_early);
    }
    write_alone(request, {Orphan::Kind::kResponseNotCaptured, request.unanswerable});
  } else if (!by_exchange_ && fate_ == Fate::kWritten) {
    write_alone(request, {});
    remember_fate(request, connection);
  } else if (!hold(request, connection)) {
    counters_.add(ShardCounter::exchanges_left_early);
    if (fate_ == Fate::kOpen) fate_ = rules_->choice.at_end(&asked_, nullptr, {kLeftEarly});
    if (fate_ != Fate::kWritten) return leave_out(fate_, 1);
    write_alone(request, kLeftEarly);
  }
}

// `held`: what waits for it; nullptr: nothing.
void ExchangeLines::take_response(const Message& response, HeldExchange* held) {
  if (held == nullptr) return write_alone(response, orphan_of(response));
  if (!by_exchange_) {
    leave_alone(*held, {});
    return write_alone(response, {});
  }
  if (join(*held, response)) return release(*held);
  counters_.add(ShardCounter::exchanges_left_early);
  leave_alone(*held, kLeftEarly);
  write_alone(response, orphan_of(response));
}

void ExchangeLines::take_interim(const Message& interim, HeldExchange* held) {
  if (held == nullptr || held->messages == 0) return write_alone(interim, orphan_of(interim));
  if (append_interim(interim, *held)) return;
  counters_.add(ShardCounter::exchanges_left_early);
  const Fate fate = leave_alone(*held, kLeftEarly);
  if (fate != Fate::kWritten) return leave_out(fate, 1);
  write_alone(interim, orphan_of(interim));
}

bool ExchangeLines::append_interim(const Message& interim, HeldExchange& held) {
  if (!room_.begin_easy(room_.bound_of(interim, *held.rules->writer))) return false;
  MessageLineWriter& writer = *held.rules->writer;
  const size_t before = held.interim.memory.capacity;
  if (by_exchange_) {
    if (held.interim.size > 0) append_verbatim(writer.part_separator(), output_);
    writer.write_part(interim, output_);
  } else {
    writer.write(interim, output_);
  }
  const std::string_view text(output_.begin(), output_.size());
  const bool taken =
      pool_.spares(held.interim.size + text.size(), false) && held.interim.append(pool_, text);
  output_.cancel_line();
  if (!taken) return false;
  held.messages++;
  held.connection->extras->waiting.held_bytes += held.interim.memory.capacity - before;
  counters_.add(ShardCounter::messages_held);
  return true;
}

// The request's text, put together where lines are. False: there is no memory for it.
bool ExchangeLines::hold(const Message& request, ConnectionIdentity& connection) {
  if (!room_.begin_easy(room_.bound_of(request))) return false;
  std::string_view body;
  if (by_exchange_) {
    body = rules_->writer->write_part(request, output_);
  } else {
    rules_->writer->write(request, output_);
  }
  const size_t text_size = output_.size();
  HeldExchange* held = make_held(request, connection, text_size, body.size());
  if (held != nullptr) {
    if (text_size > 0) std::memcpy(held->texts(), output_.begin(), text_size);
    if (!body.empty()) std::memcpy(held->texts() + text_size, body.data(), body.size());
    counters_.add(ShardCounter::messages_held);
  }
  output_.cancel_line();
  return held != nullptr;
}

// What comes after the request has its fate.
void ExchangeLines::remember_fate(const Message& request, ConnectionIdentity& connection) {
  if (!rules_->chooses) return;
  HeldExchange* held = make_held(request, connection, 0, 0);
  if (held != nullptr) {
    held->messages = 0;
  } else {
    counters_.add(ShardCounter::exchanges_left_early);
  }
}

// nullptr: there is no memory.
HeldExchange* ExchangeLines::make_held(const Message& request, ConnectionIdentity& connection,
                                       size_t text_size, size_t body_size) {
  const size_t size = sizeof(HeldExchange) + text_size + body_size;
  Buffer memory;
  if (pool_.spares(size, false) && connection.make_extras(pool_) != nullptr) {
    memory = pool_.allocate(size);
  }
  if (!memory) {
    connection.release_unused_extras(pool_);
    return nullptr;
  }
  auto* held = new (memory.data) HeldExchange;
  held->memory = memory;
  held->rules = rules_.get();
  held->rules->waiting++;
  held->exchange = request.exchange;
  held->client = request.client;
  held->protocol = request.protocol;
  held->first_byte_ns = request.first_byte_ns;
  held->last_byte_ns = request.last_byte_ns;
  held->text_size = text_size;
  held->body_size = body_size;
  held->fate = fate_;
  held->asked = asked_;
  link(*held, connection);
  return held;
}

// ---------------------------------------------------------------- what waits

void ExchangeLines::link(HeldExchange& held, ConnectionIdentity& connection) {
  held.connection = &connection;
  WaitingRequests& waiting = connection.extras->waiting;
  waiting.held_bytes += held.held_bytes();
  // Nearly always it is the last.
  HeldExchange* before = waiting.last;
  while (before != nullptr && before->exchange > held.exchange) before = before->previous;
  held.previous = before;
  held.next = before == nullptr ? waiting.first : before->next;
  (held.previous == nullptr ? waiting.first : held.previous->next) = &held;
  (held.next == nullptr ? waiting.last : held.next->previous) = &held;
  held.older = youngest_;
  (youngest_ == nullptr ? oldest_ : youngest_->younger) = &held;
  youngest_ = &held;
}

void ExchangeLines::release(HeldExchange& held) {
  ConnectionIdentity& connection = *held.connection;
  WaitingRequests& waiting = connection.extras->waiting;
  waiting.held_bytes -= held.held_bytes();
  (held.previous == nullptr ? waiting.first : held.previous->next) = held.next;
  (held.next == nullptr ? waiting.last : held.next->previous) = held.previous;
  (held.older == nullptr ? oldest_ : held.older->younger) = held.younger;
  (held.younger == nullptr ? youngest_ : held.younger->older) = held.older;
  counters_.subtract(ShardCounter::messages_held, held.messages);
  if (--held.rules->waiting == 0 && held.rules != rules_.get()) {
    std::erase_if(earlier_rules_, [](const auto& rules) { return rules->waiting == 0; });
  }
  held.interim.release(pool_);
  Buffer memory = held.memory;
  held.~HeldExchange();
  pool_.release(memory);
  connection.release_unused_extras(pool_);
}

// Nearly always the first.
HeldExchange* ExchangeLines::find(const ConnectionIdentity& connection, uint64_t exchange) const {
  if (connection.extras == nullptr) return nullptr;
  HeldExchange* held = connection.extras->waiting.first;
  while (held != nullptr && held->exchange < exchange) held = held->next;
  return held != nullptr && held->exchange == exchange ? held : nullptr;
}

// What waits for this response. What waits for another that came before it leaves alone.
HeldExchange* ExchangeLines::find_answered(const Message& response,
                                           ConnectionIdentity& connection) {
  if (response.exchange == kNoExchange) return nullptr;
  if (!response.is_interim()) release_before(response, connection);
  return find(connection, response.exchange);
}

// Responses come in the order of their requests: what waits before this one's has lost its own.
void ExchangeLines::release_before(const Message& response, ConnectionIdentity& connection) {
  while (connection.extras != nullptr && connection.extras->waiting.first != nullptr &&
         connection.extras->waiting.first->exchange < response.exchange) {
    leave_alone(*connection.extras->waiting.first,
                {Orphan::Kind::kResponseNotCaptured, Incomplete::kGap});
  }
}

void ExchangeLines::on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan) {
  HeldExchange* held = find(connection, exchange);
  if (held != nullptr) leave_alone(*held, orphan);
}

void ExchangeLines::on_connection_over(ConnectionIdentity& connection, Incomplete cause) {
  while (connection.extras != nullptr && connection.extras->waiting.first != nullptr) {
    leave_alone(*connection.extras->waiting.first, {Orphan::Kind::kResponseNotCaptured, cause});
  }
}

void ExchangeLines::make_room() {
  while (oldest_ != nullptr && pool_.excess() > 0) {
    counters_.add(ShardCounter::exchanges_left_early);
    leave_alone(*oldest_, kLeftEarly);
  }
}

// ---------------------------------------------------------------- lines

// Whether one more line may be written, which is an exchange more or only a part of one. If not,
// its messages are counted.
bool ExchangeLines::admits(uint64_t messages, bool is_exchange) {
  if (limit_ == nullptr || (is_exchange ? limit_->take() : !limit_->reached())) return true;
  counters_.add(ShardCounter::messages_beyond_count, messages);
  return false;
}

// False: there is no room for both in one line.
bool ExchangeLines::join(const HeldExchange& held, const Message& response) {
  MessageLineWriter& writer = *held.rules->writer;
  const size_t bound = room_.bound_of(response, writer) + extra_of(held);
  if (bound > writer.bounds().line_max || !room_.begin_easy(bound)) return false;
  if (!admits(uint64_t{held.messages} + 1, true)) {
    output_.cancel_line();
    return true;
  }
  ExchangeParts parts;
  parts.about = parts.response = &response;
  put_held(held, parts);
  writer.write_exchange(parts, output_);
  end_line(held.messages + 1, response.last_byte_ns, response.connection_id, {});
  if (response.has_latency) latencies_.add(response.latency_ns);
  return true;
}

void ExchangeLines::write_alone(const Message& message, Orphan orphan) {
  const bool ends = message.direction == MessageDirection::kResponse && !message.is_interim();
  if (message.part <= 1 && !admits(1, by_exchange_ || ends)) return;
  const bool is_request = message.direction == MessageDirection::kRequest;
  const bool is_written = room_.write(message, [&](const Message& shown) {
    if (!by_exchange_) return rules_->writer->write(shown, output_);
    ExchangeParts parts;
    parts.about = &shown;
    parts.orphan = orphan;
    parts.request_first_ns = shown.first_byte_ns;
    (is_request ? parts.request : shown.is_interim() ? parts.interim : parts.response) = &shown;
    rules_->writer->write_exchange(parts, output_);
  });
  if (!is_written) return room_.drop(1);
  end_line(1, message.last_byte_ns, message.connection_id, orphan);
  if (message.has_latency) latencies_.add(message.latency_ns);
}

// What waits, without its response.
void ExchangeLines::write_held(const HeldExchange& held, Orphan orphan) {
  if (!admits(held.messages, by_exchange_)) return;
  if (!by_exchange_) {
    if (!room_.begin(extra_of(held))) return room_.drop(held.messages);
    append_verbatim(held.text(), output_);
    append_verbatim(held.interim.text(), output_);
    return end_line(held.messages, held.last_byte_ns, held.connection->id, orphan);
  }
  Message about;
  about.last_byte_ns = held.last_byte_ns;
  const ConnectionIdentity& connection = *held.connection;
  MessageEmitter::add_identity(connection, other(connection.roles.server()), about);
  about.client = held.client;
  about.protocol = held.protocol;
  about.exchange = held.exchange;
  MessageLineWriter& writer = *held.rules->writer;
  if (!room_.begin(room_.bound_of(about, writer) + extra_of(held))) {
    return room_.drop(held.messages);
  }
  ExchangeParts parts;
  parts.about = &about;
  parts.orphan = orphan;
  put_held(held, parts);
  writer.write_exchange(parts, output_);
  end_line(held.messages, held.last_byte_ns, connection.id, orphan);
}

// What waits is written before its response; what comes after it has its fate.
void ExchangeLines::write_early(HeldExchange& held) {
  held.fate = Fate::kWritten;
  write_held(held, {});
  counters_.subtract(ShardCounter::messages_held, held.messages);
  held.messages = 0;
}

// What waits leaves without its response, or before it. Returns the fate of the exchange, which is
// decided now at the latest.
ExchangeLines::Fate ExchangeLines::leave_alone(HeldExchange& held, Orphan orphan) {
  Fate fate = held.fate;
  if (fate == Fate::kOpen) {
    fate = held.rules->choice.at_end(&held.asked, nullptr, {orphan, held.has_interim()});
  }
  if (held.messages > 0 && fate == Fate::kWritten) {
    write_held(held, orphan);
  } else if (held.messages > 0) {
    leave_out(fate, held.messages);
  }
  release(held);
  return fate;
}

void ExchangeLines::end_line(uint64_t messages, int64_t last_byte_ns, uint64_t connection_id,
                             Orphan orphan) {
  output_.end_line(messages, last_byte_ns, connection_id);
  counters_.add(ShardCounter::messages_written, messages);
  if (by_exchange_) counters_.add(counter_of(orphan));
}

}  // namespace tcp_sniffer
