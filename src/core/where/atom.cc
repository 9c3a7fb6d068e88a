#include "core/where/atom.h"

#include <re2/re2.h>

#include <algorithm>
#include <limits>

#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/field/field_words.h"
#include "core/field/visit_value.h"
#include "core/message/body_text.h"
#include "core/message/folded_value.h"
#include "core/where/condition.h"
#include "core/where/glob.h"

namespace tcp_sniffer {
namespace {

// What a line shows of a time.
constexpr int64_t kNsPerTick = 1000;

int64_t clamped(uint64_t number) {
  return static_cast<int64_t>(std::min<uint64_t>(number, std::numeric_limits<int64_t>::max()));
}

bool is_text(const Token& value) {
  return value.kind == Token::Kind::kString;
}

std::string quoted(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

}  // namespace

std::variant<FieldRef, std::string> Atom::field_of(std::string_view name) {
  auto parsed = parse_field(name);
  const auto* ref = std::get_if<FieldRef>(&parsed);
  if (ref == nullptr) return parsed;
  switch (ref->field) {
    case Field::kDirection:
      return quoted(name) +
             " cannot be asked for, because a condition holds for a request and its response";
    case Field::kInterface:
    case Field::kCommunityId:
    case Field::kLatin1:
      return quoted(name) + " cannot be asked for in a condition";
    case Field::kPart:
    case Field::kLastPart:
      return quoted(name) +
             " cannot be asked for, because a condition holds for all parts of a message";
    default:
      return parsed;
  }
}

Atom::Atom(FieldRef ref) : ref_(std::move(ref)), type_(type_of(ref_)) {}
Atom::Atom(Atom&&) noexcept = default;
Atom::~Atom() = default;

Atom::Type Atom::type_of(const FieldRef& ref) {
  if (!ref.header.empty() || ref.field == Field::kAnomalyList) return Type::kText;
  // Its words depend on how bodies are written.
  if (ref.field == Field::kBodyEncoding) return Type::kNone;
  switch (field_spec(ref.field).type) {
    case FieldType::kNumber:
      return Type::kNumber;
    case FieldType::kMilliseconds:
      return Type::kMilliseconds;
    case FieldType::kTime:
      return Type::kTime;
    case FieldType::kText:
      return Type::kText;
    case FieldType::kAddress:
      return Type::kAddress;
    case FieldType::kFlag:
    case FieldType::kObject:
    case FieldType::kList:
      return Type::kNone;
  }
  return Type::kNone;
}

bool Atom::is_known_at_head() const {
  switch (ref_.field) {
    case Field::kTimestamp:
    case Field::kConnectionId:
    case Field::kExchange:
    case Field::kProtocol:
    case Field::kReceiver:
    case Field::kReceiverIp:
    case Field::kReceiverPort:
    case Field::kDestination:
    case Field::kDestinationIp:
    case Field::kDestinationPort:
    case Field::kProxied:
    case Field::kProxiedSourceIp:
    case Field::kProxiedSourcePort:
    case Field::kProxiedDestinationIp:
    case Field::kProxiedDestinationPort:
    case Field::kProxiedTls:
    case Field::kClient:
    case Field::kVlan:
    case Field::kOrphan:
    case Field::kOrphanCause:
    case Field::kInterim:
    case Field::kMethod:
    case Field::kPath:
    case Field::kHost:
    case Field::kStatus:
    case Field::kStatusCode:
    case Field::kStatusText:
    case Field::kLatencyMs:
    case Field::kHttpVersion:
    case Field::kHeaders:
    case Field::kRawHeaders:
    case Field::kContentType:
      return true;
    default:
      return false;
  }
}

Atom::Test Atom::test_of(std::string_view sign) const {
  if (type_ == Type::kNone) return Test::kThere;
  if (sign == "=" || sign == "==" || sign == "!=" || sign == "in") return Test::kEqual;
  if (type_ == Type::kText) {
    return sign == "~" ? Test::kGlob : sign == "=~" ? Test::kRegex : Test::kThere;
  }
  if (type_ == Type::kAddress) return Test::kThere;
  return sign == "<"    ? Test::kLess
         : sign == "<=" ? Test::kLessOrEqual
         : sign == ">"  ? Test::kGreater
         : sign == ">=" ? Test::kGreaterOrEqual
                        : Test::kThere;
}

std::string Atom::operators() const {
  switch (type_) {
    case Type::kNumber:
      return ref_.name + " is a number: = != < <= > >= or in is expected";
    case Type::kMilliseconds:
      return ref_.name + " is a duration: = != < <= > >= or in is expected";
    case Type::kTime:
      return ref_.name + " is a time: = != < <= > >= or in is expected";
    case Type::kText:
      return ref_.name + " is a text: = != ~ =~ or in is expected";
    case Type::kAddress:
      return ref_.name + " is an address: = != or in is expected";
    case Type::kNone:
      break;
  }
  return ref_.name + " is compared with nothing: it is there or not";
}

std::string Atom::compare(Test test, const Token& value) {
  test_ = test;
  const std::string_view text = is_text(value) ? std::string_view(value.value) : value.text;
  std::optional<int64_t> number;
  switch (type_) {
    case Type::kNumber:
      if (!is_text(value)) number = parse_count(text);
      if (!number) return "a number is expected, as 500, 64K or 1M";
      numbers_.push_back(*number);
      return "";
    case Type::kMilliseconds:
      if (!is_text(value)) number = parse_duration(text);
      if (!number) return "milliseconds or a duration are expected, as 1500, 0.5, 500us or 2s";
      numbers_.push_back(*number);
      return "";
    case Type::kTime:
      if (is_text(value)) number = parse_time(text);
      if (!number) return "a time in quotes is expected, as \"2025-02-21T12:00:00Z\"";
      numbers_.push_back(*number);
      return "";
    case Type::kAddress: {
      const auto network = parse_network(text);
      if (!network) return "an address or a network is expected, as 10.0.0.1 or 10.0.0.0/8";
      networks_.push_back(*network);
      return "";
    }
    case Type::kText:
      break;
    case Type::kNone:
      return operators();
  }
  if (!is_text(value)) return "a text in quotes is expected";
  if (test != Test::kRegex) {
    texts_.push_back(value.value);
    return "";
  }
  re2::RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kRegexMemoryMax);
  auto expression = std::make_unique<re2::RE2>(value.value, options);
  if (!expression->ok()) {
    return "a regular expression is expected that RE2 takes: " + expression->error();
  }
  expressions_.push_back(std::move(expression));
  return "";
}

// What visit_value calls.
struct Atom::Comparison {
  using Result = bool;

  const Atom& atom;
  const Message& message;

  static bool absent() { return false; }
  bool time(int64_t ns) const { return atom.number_matches(ns - ns % kNsPerTick); }
  bool milliseconds(int64_t ns) const { return atom.number_matches(ns); }
  bool number(uint64_t value) const { return atom.number_matches(clamped(value)); }
  // POP3 has texts where HTTP has numbers.
  bool text(std::string_view text) const {
    return atom.type_ == Type::kText ? atom.text_matches(text) : atom.test_ == Test::kThere;
  }
  bool word(std::string_view word) const { return !word.empty() && atom.text_matches(word); }
  bool address(const IpAddress& ip, bool /*mapped_on_wire*/) const {
    return atom.test_ == Test::kThere || atom.network_matches(ip);
  }
  static bool flag(bool is_so) { return is_so; }
  bool connection_id(uint64_t /*id*/) const { return other(); }
  bool other() const { return atom.other_matches(message); }
};

bool Atom::holds(const Message& message) const {
  return visit_value(ref_, message, Comparison{*this, message});
}

bool Atom::holds_at(const ExchangeEnd& end) const {
  const auto word_matches = [this](std::string_view word) {
    return !word.empty() && text_matches(word);
  };
  switch (ref_.field) {
    case Field::kTotalMs:
      return end.total_ns && number_matches(*end.total_ns);
    case Field::kOrphan:
      return word_matches(orphan_word(end.orphan.kind));
    case Field::kOrphanCause:
      return word_matches(incomplete_word(end.orphan.cause));
    case Field::kInterim:
      return end.has_interim;
    default:
      return false;
  }
}

bool Atom::number_matches(int64_t number) const {
  if (test_ == Test::kThere) return true;
  return std::any_of(numbers_.begin(), numbers_.end(), [&](int64_t constant) {
    switch (test_) {
      case Test::kLess:
        return number < constant;
      case Test::kLessOrEqual:
        return number <= constant;
      case Test::kGreater:
        return number > constant;
      case Test::kGreaterOrEqual:
        return number >= constant;
      default:
        return number == constant;
    }
  });
}

bool Atom::text_matches(std::string_view text) const {
  switch (test_) {
    case Test::kThere:
      return true;
    case Test::kGlob:
      return std::any_of(texts_.begin(), texts_.end(),
                         [&](const std::string& pattern) { return matches_glob(pattern, text); });
    case Test::kRegex:
      return std::any_of(expressions_.begin(), expressions_.end(), [&](const auto& expression) {
        return expression->Match({text.data(), text.size()}, 0, text.size(), re2::RE2::UNANCHORED,
                                 nullptr, 0);
      });
    default:
      return std::find(texts_.begin(), texts_.end(), text) != texts_.end();
  }
}

bool Atom::network_matches(const IpAddress& ip) const {
  return std::any_of(networks_.begin(), networks_.end(),
                     [&](const Network& network) { return network.holds(ip); });
}

bool Atom::other_matches(const Message& message) const {
  switch (ref_.field) {
    case Field::kConnectionId: {
      char id[16];
      return text_matches({id, static_cast<size_t>(write_hex16(id, message.connection_id) - id)});
    }
    case Field::kHeaders:
    case Field::kContentType:
      return message.protocol.empty() && headers_match(message.headers);
    case Field::kRawHeaders:
      return message.protocol.empty();
    case Field::kTrailers:
      return !message.trailers.empty() && headers_match(message.trailers);
    case Field::kBody:
      return body_matches(message);
    case Field::kBodyEncoding:
      return message.body_kept && (message.body_binary || !is_utf8(body_text(message)));
    case Field::kBodyGaps:
      return !message.body_gaps.empty();
    case Field::kAnomalyList:
      return message.anomalies.any() && anomalies_match(message.anomalies);
    default:
      return true;
  }
}

bool Atom::headers_match(std::span<const HeaderField> fields) const {
  if (ref_.header.empty()) return true;
  return std::any_of(fields.begin(), fields.end(), [&](const HeaderField& field) {
    if (!equal_ignoring_case(field.name, ref_.header)) return false;
    if (!field.folded) return text_matches(field.value);
    unfold(field.value, unfolded_);
    return text_matches(unfolded_);
  });
}

bool Atom::anomalies_match(Anomalies anomalies) const {
  if (test_ == Test::kThere) return true;
  for (size_t i = 0; i < kAnomalies; ++i) {
    const auto anomaly = static_cast<Anomaly>(i);
    if (anomalies.has(anomaly) && text_matches(anomaly_word(anomaly))) return true;
  }
  return false;
}

bool Atom::body_matches(const Message& message) const {
  if (!message.body_kept || message.body_binary) return false;
  const std::string_view text = body_text(message);
  return is_utf8(text) && text_matches(text);
}

}  // namespace tcp_sniffer
