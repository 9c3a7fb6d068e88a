#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/ascii_case.h"
#include "core/base/number_text.h"
#include "core/field/fields.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// A message's value of one field.
struct FieldValue {
  enum class Kind : uint8_t {
    kAbsent,
    kTime,          // ns since 1970
    kNumber,        // number
    kMilliseconds,  // ns
    kText,          // text, of the wire
    kWord,          // text, one of the program's own words
    kAddress,       // *ip
    kFlag,          // true
    kOther,         // objects, lists, headers, bodies, and what is computed: not given here
  };

  Kind kind = Kind::kAbsent;
  int64_t ns = 0;
  uint64_t number = 0;
  std::string_view text;  // valid as long as the message's
  const IpAddress* ip = nullptr;
  bool mapped_on_wire = false;  // as Endpoint's

  static FieldValue time_of(int64_t time_ns) { return {Kind::kTime, time_ns, 0, {}}; }
  static FieldValue number_of(uint64_t value) { return {Kind::kNumber, 0, value, {}}; }
  static FieldValue milliseconds_of(int64_t ns) { return {Kind::kMilliseconds, ns, 0, {}}; }
  static FieldValue text_of(std::string_view text) { return {Kind::kText, 0, 0, text}; }
  // Absent when it is empty.
  static FieldValue word_of(std::string_view word) {
    return {word.empty() ? Kind::kAbsent : Kind::kWord, 0, 0, word};
  }
  static FieldValue flag_of(bool is_so) { return {is_so ? Kind::kFlag : Kind::kAbsent, 0, 0, {}}; }
  static FieldValue address_of(const Endpoint& of) {
    return {Kind::kAddress, 0, 0, {}, &of.ip, of.mapped_on_wire};
  }
  static FieldValue address_of(const IpAddress& ip) { return {Kind::kAddress, 0, 0, {}, &ip}; }
  static FieldValue other() { return {Kind::kOther, 0, 0, {}}; }
};

// The first header of that name, which is in lower case, from `first` on; nullptr: none.
inline const HeaderField* find_header(std::span<const HeaderField> fields, std::string_view name,
                                      size_t first = 0) {
  for (size_t i = first; i < fields.size(); ++i) {
    if (equal_ignoring_case(fields[i].name, name)) return &fields[i];
  }
  return nullptr;
}

std::string_view incomplete_word(Incomplete incomplete);
std::string_view content_decode_error_word(ContentDecodeError error);

std::string_view orphan_word(Orphan::Kind kind);

// The value, as far as it is one of FieldValue's; kOther for the rest. A field of the request or of
// the response is absent from the other one's message, but for what a response's message says of
// its request (Message::request_method and the like). A message has no field of its exchange.
FieldValue value_of(const FieldRef& ref, const Message& message);

}  // namespace tcp_sniffer
