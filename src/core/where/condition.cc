#include "core/where/condition.h"

#include <algorithm>

#include "core/base/text_encoding.h"

namespace tcp_sniffer {

bool Condition::needs_body() const {
  return std::any_of(atoms_.begin(), atoms_.end(),
                     [](const Atom& atom) { return tcp_sniffer::needs_body(atom.ref()); });
}

bool Condition::needs_client() const {
  return std::any_of(atoms_.begin(), atoms_.end(),
                     [](const Atom& atom) { return atom.ref().field == Field::kClient; });
}

void Condition::note_sides() {
  for (size_t i = 0; i < atoms_.size(); ++i) {
    const uint64_t bit = uint64_t{1} << i;
    const FieldOf of = atoms_[i].ref().of;
    if (!atoms_[i].is_known_at_head()) known_later_ |= bit;
    if (of == FieldOf::kExchange) {
      asks_end_ |= bit;
      continue;
    }
    if (of != FieldOf::kResponse) asks_request_ |= bit;
    if (of != FieldOf::kRequest) asks_response_ |= bit;
    // Each message has its own time.
    const bool has_one_value = atoms_[i].ref().field != Field::kTimestamp;
    if (of == FieldOf::kConnection && has_one_value) asks_connection_ |= bit;
  }
}

template <class Ask>
Condition::Truth Condition::evaluate(uint16_t node, const Ask& ask) const {
  const Node& here = nodes_[node];
  if (here.kind == Node::Kind::kAtom) return ask(here.left);
  const Truth left = evaluate(here.left, ask);
  if (here.kind == Node::Kind::kNot) {
    return left == Truth::kUnknown ? left : left == Truth::kTrue ? Truth::kFalse : Truth::kTrue;
  }
  // The side that decides alone.
  const Truth decides = here.kind == Node::Kind::kOr ? Truth::kTrue : Truth::kFalse;
  if (left == decides) return left;
  const Truth right = evaluate(here.right, ask);
  return right == decides || left != Truth::kUnknown ? right : left;
}

Condition::Verdict Condition::at_request(const Message& request, uint64_t& bits, Seen seen) const {
  bits = 0;
  const uint64_t asks = seen == Seen::kWhole ? asks_request_ : asks_request_ & ~known_later_;
  if (asks == 0) return Verdict::kLater;
  const uint64_t decided = asks & (~asks_response_ | asks_connection_);
  uint64_t asked = 0;
  const auto ask = [&](uint16_t atom) {
    const uint64_t bit = uint64_t{1} << atom;
    if ((asks & ~asked & bit) != 0) {
      asked |= bit;
      if (atoms_[atom].holds(request)) bits |= bit;
    }
    return (bits & bit) != 0      ? Truth::kTrue
           : (decided & bit) != 0 ? Truth::kFalse
                                  : Truth::kUnknown;
  };
  const Truth truth = evaluate(root_, ask);
  if (truth != Truth::kUnknown) return verdict_of(truth);
  for (size_t atom = 0; atom < atoms_.size(); ++atom) ask(static_cast<uint16_t>(atom));
  return Verdict::kLater;
}

// `unknown`: atoms that cannot be asked yet.
Condition::Truth Condition::decide(const uint64_t* request_bits, const Message* response,
                                   const ExchangeEnd& end, uint64_t unknown) const {
  const uint64_t bits = request_bits == nullptr ? 0 : *request_bits;
  uint64_t open = response == nullptr ? 0 : asks_response_;
  if (request_bits != nullptr) open &= ~asks_connection_;
  unknown &= ~bits & (open | asks_end_);
  const auto ask = [&](uint16_t atom) {
    const uint64_t bit = uint64_t{1} << atom;
    if ((unknown & bit) != 0) return Truth::kUnknown;
    const bool holds = (bits & bit) != 0 || ((open & bit) != 0 && atoms_[atom].holds(*response)) ||
                       ((asks_end_ & bit) != 0 && atoms_[atom].holds_at(end));
    return holds ? Truth::kTrue : Truth::kFalse;
  };
  return evaluate(root_, ask);
}

std::string marked_place(std::string_view expression, size_t at) {
  std::string line = "  ";
  size_t column = 0;
  for (size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (i < at && begins_character(c)) column++;
    line += c == '\n' || c == '\r' || c == '\t' ? ' ' : c;
  }
  return line + "\n  " + std::string(column, ' ') + "^";
}

}  // namespace tcp_sniffer
