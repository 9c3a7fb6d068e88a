// ExchangeLines: by which rules exchanges are judged, and which are written.

#include <algorithm>

#include "shard/exchange_lines.h"

namespace tcp_sniffer {

namespace {

ExchangeChoice::End end_of(const HeldExchange& held) {
  return {{}, held.has_interim()};
}

}  // namespace

// ---------------------------------------------------------------- rules

void ExchangeLines::change(std::unique_ptr<LineRules> rules, int64_t clock_ns) {
  if (*rules == *rules_) return;
  if (rules->selects_as(*rules_)) rules->writer = rules_->writer;  // with what it remembers
  if (!by_exchange_ && !rules_->chooses) written_until_ns_ = clock_ns;
  rules_.swap(rules);
  if (rules->waiting > 0) earlier_rules_.push_back(std::move(rules));
}

bool ExchangeLines::needs_body() const {
  return rules_->choice.needs_body() ||
         std::any_of(earlier_rules_.begin(), earlier_rules_.end(),
                     [](const auto& rules) { return rules->choice.needs_body(); });
}

// Its request came before there was a choice.
bool ExchangeLines::was_written(const Message& response) const {
  return response.exchange != kNoExchange && response.has_latency &&
         response.first_byte_ns - response.latency_ns <= written_until_ns_;
}

// ---------------------------------------------------------------- which are written

bool ExchangeLines::admit(const Message& message, ConnectionIdentity& connection) {
  if (message.part > 1) [[unlikely]] {
    end_admission();
    return true;
  }
  if (message.direction == MessageDirection::kRequest) return admit_request(message, connection);
  HeldExchange* const held = find_answered(message, connection);
  if (held == nullptr) {
    fate_ =
        was_written(message)
            ? Fate::kWritten
            : rules_->choice.at_end(nullptr, &message, {orphan_of(message), message.is_interim()});
  } else if (held->fate != Fate::kOpen || message.is_interim()) {
    fate_ = held->fate;
  } else {
    fate_ = held->fate = held->rules->choice.at_end(&held->asked, &message, end_of(*held));
  }
  if (fate_ == Fate::kWritten || fate_ == Fate::kOpen) {
    answered_ = held;
    return true;
  }
  leave_out(fate_, 1);
  if (held != nullptr && !message.is_interim()) leave_alone(*held, {});
  return false;
}

// What its first part was, all of a message is.
bool ExchangeLines::admit_part(const Message& part, ConnectionIdentity& connection) {
  using Seen = ExchangeChoice::Seen;
  if (part.part > 1) return true;
  if (part.direction == MessageDirection::kRequest) {
    ExchangeChoice::Asked asked;
    return rules_->choice.at_request(part, asked, Seen::kHead) == Fate::kWritten;
  }
  HeldExchange* held = part.exchange == kNoExchange ? nullptr : find(connection, part.exchange);
  Fate fate = Fate::kWritten;
  if (held == nullptr) {
    if (!was_written(part)) {
      fate = rules_->choice.at_end(nullptr, &part, {orphan_of(part)}, Seen::kHead);
    }
  } else if (held->fate != Fate::kOpen) {
    fate = held->fate;
  } else {
    fate = held->rules->choice.at_end(&held->asked, &part, end_of(*held), Seen::kHead);
  }
  if (fate != Fate::kWritten) return false;
  if (held != nullptr) {
    release_before(part, connection);
    if (held->messages > 0) write_early(*held);
  }
  return true;
}

bool ExchangeLines::admit_request(const Message& request, ConnectionIdentity& connection) {
  const bool waits = request.unanswerable == Incomplete::kNo;
  asked_ = {};
  fate_ = rules_->choice.at_request(request, asked_);
  if (fate_ == Fate::kOpen && !waits) {
    fate_ = rules_->choice.at_end(&asked_, nullptr,
                                  {{Orphan::Kind::kResponseNotCaptured, request.unanswerable}});
  }
  if (fate_ == Fate::kWritten || fate_ == Fate::kOpen) return true;
  leave_out(fate_, 1);
  if (waits) remember_fate(request, connection);
  return false;
}

bool ExchangeLines::admits_unanswered(const Message& request, const ConnectionIdentity& connection,
                                      Orphan orphan) const {
  const HeldExchange* held = find(connection, request.exchange);
  const ExchangeChoice& choice = held != nullptr ? held->rules->choice : rules_->choice;
  ExchangeChoice::Asked asked;
  if (held != nullptr) asked = held->asked;
  Fate fate = held != nullptr ? held->fate : choice.at_request(request, asked);
  const bool has_interim = held != nullptr && held->has_interim();
  if (fate == Fate::kOpen) fate = choice.at_end(&asked, nullptr, {orphan, has_interim});
  return fate == Fate::kWritten;
}

void ExchangeLines::leave_out(Fate fate, uint64_t messages) {
  counters_.add(fate == Fate::kFiltered ? ShardCounter::messages_filtered
                                        : ShardCounter::messages_sampled_out,
                messages);
}

}  // namespace tcp_sniffer
