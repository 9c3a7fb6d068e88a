#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/ascii_case.h"
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

// The value, as far as it is one of FieldValue's; kOther for the rest. As visit_value says.
FieldValue value_of(const FieldRef& ref, const Message& message);

}  // namespace tcp_sniffer
