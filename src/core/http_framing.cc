#include "core/http_framing.h"

#include <algorithm>
#include <limits>

#include "core/ascii_case.h"

namespace tcp_sniffer {

namespace {

constexpr uint64_t kLengthMax = std::numeric_limits<int64_t>::max();

// A folded value holds line breaks; they are whitespace here.
bool is_space(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && is_space(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_space(text.back())) text.remove_suffix(1);
  return text;
}

// Calls `use` with every element of a comma-separated list that is not empty (RFC 9110 section
// 5.6.1), trimmed and without parameters.
template <typename Use>
void for_each_element(std::string_view list, Use use) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view element = trim(list.substr(0, comma));
    element = trim(element.substr(0, element.find(';')));
    if (!element.empty()) use(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

enum class LastCoding : uint8_t { kAbsent, kChunked, kOther };

// What the framing fields of a head say, before direction and status are looked at.
struct FramingFields {
  LastCoding coding = LastCoding::kAbsent;
  bool has_length = false;
  bool length_valid = false;
  bool lengths_differ = false;
  uint64_t length = 0;
  bool close = false;
  bool keep_alive = false;
  bool upgrade = false;
  bool expect_continue = false;
};

bool read_decimal(std::string_view digits, uint64_t& value) {
  value = 0;
  for (const char c : digits) {
    if (c < '0' || c > '9') return false;
    const auto digit = static_cast<uint64_t>(c - '0');
    if (value > (kLengthMax - digit) / 10) return false;
    value = value * 10 + digit;
  }
  return !digits.empty();
}

void take_length(std::string_view element, FramingFields& fields) {
  uint64_t value = 0;
  const bool valid = read_decimal(element, value);
  if (!fields.has_length) {
    fields.has_length = true;
    fields.length_valid = valid;
    fields.length = value;
  } else if (valid != fields.length_valid || value != fields.length) {
    fields.lengths_differ = true;
  }
}

void take_lengths(std::string_view value, FramingFields& fields) {
  bool any = false;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view element = trim(value.substr(0, comma));
    if (!element.empty()) {
      take_length(element, fields);
      any = true;
    }
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  if (!any) take_length({}, fields);
}

void take_field(const HeaderField& field, FramingFields& fields) {
  switch (field.name.size()) {
    case 6:
      if (equal_ignoring_case(field.name, "expect")) {
        for_each_element(field.value, [&](std::string_view element) {
          fields.expect_continue |= equal_ignoring_case(element, "100-continue");
        });
      }
      break;
    case 7:
      if (equal_ignoring_case(field.name, "upgrade")) fields.upgrade |= !field.value.empty();
      break;
    case 10:
      if (equal_ignoring_case(field.name, "connection")) {
        for_each_element(field.value, [&](std::string_view element) {
          fields.close |= equal_ignoring_case(element, "close");
          fields.keep_alive |= equal_ignoring_case(element, "keep-alive");
        });
      }
      break;
    case 14:
      if (equal_ignoring_case(field.name, "content-length")) take_lengths(field.value, fields);
      break;
    case 17:
      if (equal_ignoring_case(field.name, "transfer-encoding")) {
        for_each_element(field.value, [&](std::string_view element) {
          if (equal_ignoring_case(element, "chunked")) {
            fields.coding = LastCoding::kChunked;
          } else if (fields.coding != LastCoding::kAbsent ||
                     !equal_ignoring_case(element, "identity")) {
            fields.coding = LastCoding::kOther;
          }
        });
      }
      break;
    default:
      break;
  }
}

FramingFields read_framing_fields(const HttpHead& head) {
  FramingFields fields;
  for (const HeaderField& field : head.fields) take_field(field, fields);
  return fields;
}

// What holds for both directions. `without_framing` is the body of a message whose framing fields
// are absent or say nothing.
Framing common_framing(const HttpHead& head, const FramingFields& fields,
                       BodyKind without_framing) {
  const bool http10 = head.start.version_minor == 0;
  Framing framing;
  framing.has_upgrade = fields.upgrade;
  framing.expect_continue = fields.expect_continue;
  framing.connection_close = fields.close || (http10 && !fields.keep_alive);
  framing.conflict = fields.lengths_differ || (fields.has_length && !fields.length_valid) ||
                     (fields.has_length && fields.coding != LastCoding::kAbsent) ||
                     (http10 && fields.coding != LastCoding::kAbsent);

  const bool length_counts = fields.has_length && fields.length_valid;
  if (fields.coding == LastCoding::kChunked && !(http10 && length_counts)) {
    framing.kind = BodyKind::kChunked;
  } else if (fields.coding == LastCoding::kOther && without_framing == BodyKind::kUntilClose) {
    framing.kind = BodyKind::kUntilClose;
  } else if (length_counts) {
    framing.kind = fields.length == 0 ? BodyKind::kNone : BodyKind::kLength;
    framing.length = fields.length;
  } else {
    framing.kind = without_framing;
  }
  framing.conflict |=
      fields.coding == LastCoding::kOther && without_framing != BodyKind::kUntilClose;
  return framing;
}

}  // namespace

RequestMethodKind method_kind(std::string_view method) {
  if (method.empty()) return RequestMethodKind::kUnknown;
  if (method == "HEAD") return RequestMethodKind::kHead;
  if (method == "CONNECT") return RequestMethodKind::kConnect;
  return RequestMethodKind::kOther;
}

Framing request_framing(const HttpHead& head) {
  return common_framing(head, read_framing_fields(head), BodyKind::kNone);
}

Framing response_framing(const HttpHead& head, RequestMethodKind request) {
  Framing framing = common_framing(head, read_framing_fields(head), BodyKind::kUntilClose);
  const uint16_t status = head.start.status;
  framing.interim = status < 200 && status != 101;
  framing.tunnel =
      status == 101 || (request == RequestMethodKind::kConnect && status >= 200 && status < 300);
  if (framing.interim || framing.tunnel || status == 204 || status == 304 ||
      request == RequestMethodKind::kHead) {
    framing.kind = BodyKind::kNone;
    framing.length = 0;
  }
  framing.body_may_be_absent =
      request == RequestMethodKind::kUnknown && framing.kind != BodyKind::kNone;
  return framing;
}

}  // namespace tcp_sniffer
