#include "core/http/framing.h"

#include <array>
#include <cstring>
#include <limits>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"

namespace tcp_sniffer {

namespace {

constexpr uint64_t kLengthMax = std::numeric_limits<int64_t>::max();

// Calls `use` with every element of a comma-separated list that is not empty (RFC 9110 section
// 5.6.1), trimmed and without parameters.
template <typename Use>
void for_each_element(std::string_view list, Use use) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    std::string_view element = without_space(list.substr(0, comma));
    element = without_space(element.substr(0, element.find(';')));
    if (!element.empty()) use(element);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

// A word of 8 to 16 letters and hyphens that is compared without regard to case, in two overlapping
// pieces. Exact: the bit of case is set in the bytes alone whose letter is asked for.
class CaselessWord {
 public:
  template <size_t N>
  consteval explicit CaselessWord(const char (&word)[N]) : size_(N - 1) {
    static_assert(N - 1 >= kPiece && N - 1 <= 2 * kPiece);
    for (size_t i = 0; i < kPiece; ++i) {
      first_[i] = word[i];
      last_[i] = word[size_ - kPiece + i];
      first_case_[i] = word[i] == '-' ? '\0' : '\x20';
      last_case_[i] = word[size_ - kPiece + i] == '-' ? '\0' : '\x20';
    }
  }

  bool equals(std::string_view text) const {
    return text.size() == size_ && equals_in_piece(text.data(), first_, first_case_) &&
           equals_in_piece(text.data() + size_ - kPiece, last_, last_case_);
  }

 private:
  static constexpr size_t kPiece = 8;

  static uint64_t load(const char* bytes) {
    uint64_t piece;
    std::memcpy(&piece, bytes, kPiece);
    return piece;
  }
  static bool equals_in_piece(const char* text, const char* word, const char* letter_case) {
    return (load(text) | load(letter_case)) == load(word);
  }

  size_t size_;
  char first_[kPiece];
  char last_[kPiece];
  char first_case_[kPiece];
  char last_case_[kPiece];
};

constexpr CaselessWord kContentLength("content-length");

enum class LastCoding : uint8_t { kAbsent, kChunked, kOther };

// What the framing fields of a head say, before direction and status are looked at.
struct FramingFields {
  LastCoding coding = LastCoding::kAbsent;
  bool has_length = false;
  bool length_valid = false;
  bool lengths_differ = false;
  bool length_repeated = false;
  uint64_t length = 0;
  bool expect_continue = false;
};

bool read_decimal(std::string_view digits, uint64_t& value) {
  constexpr size_t kSafeDigits = 18;  // cannot exceed kLengthMax
  value = 0;
  if (digits.size() <= kSafeDigits) {
    for (const char c : digits) {
      const auto digit = static_cast<uint8_t>(c - '0');
      if (digit > 9) return false;
      value = value * 10 + digit;
    }
    return !digits.empty();
  }
  for (const char c : digits) {
    if (!is_digit(c)) return false;
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
  } else {
    fields.length_repeated = true;
  }
}

void take_lengths(std::string_view value, FramingFields& fields) {
  uint64_t length = 0;
  if (!fields.has_length && read_decimal(value, length)) {
    fields.has_length = fields.length_valid = true;
    fields.length = length;
    return;
  }
  bool any = false;
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view element = without_space(value.substr(0, comma));
    if (!element.empty()) {
      take_length(element, fields);
      any = true;
    }
    if (comma == std::string_view::npos) break;
    value.remove_prefix(comma + 1);
  }
  if (!any) take_length({}, fields);
}

// The fields that say how a body is framed, sorted out by the size of a name and its first letter.
constexpr size_t kNameSizeMax = 17;
constexpr std::array<char, 32> kFirstLetters = [] {
  std::array<char, 32> letters{};
  letters[6] = 'e';   // expect
  letters[14] = 'c';  // content-length
  letters[17] = 't';  // transfer-encoding
  return letters;
}();

bool may_frame(std::string_view name) {
  const size_t size = name.size();
  return size - 1 < kNameSizeMax && (name.front() | 0x20) == kFirstLetters[size];
}

void take_coding(std::string_view element, FramingFields& fields) {
  if (equal_ignoring_case(element, "chunked")) {
    fields.coding = LastCoding::kChunked;
  } else if (fields.coding != LastCoding::kAbsent || !equal_ignoring_case(element, "identity")) {
    fields.coding = LastCoding::kOther;
  }
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
    case 14:
      if (kContentLength.equals(field.name)) take_lengths(field.value, fields);
      break;
    case kNameSizeMax:
      if (equal_ignoring_case(field.name, "transfer-encoding")) {
        for_each_element(field.value,
                         [&](std::string_view element) { take_coding(element, fields); });
      }
      break;
    default:
      break;
  }
}

// The fields that the message's line has no room for frame its body all the same.
[[gnu::noinline]] void take_unlisted_fields(const HttpHead& head, FramingFields& fields) {
  std::array<HeaderField, 32> some;
  const bool bare_cr = head.anomalies.has(Anomaly::kBareCr);
  for (std::string_view unlisted = head.unlisted; !unlisted.empty();) {
    for (const HeaderField& field : HeadReader::take_unlisted(unlisted, bare_cr, some)) {
      if (may_frame(field.name)) take_field(field, fields);
    }
  }
}

FramingFields read_framing_fields(const HttpHead& head) {
  FramingFields fields;
  for (const HeaderField& field : head.fields) {
    if (may_frame(field.name)) take_field(field, fields);
  }
  if (!head.unlisted.empty()) take_unlisted_fields(head, fields);
  return fields;
}

// What is not as RFC 9112 sections 6.1 to 6.3 want it. `without_framing` as in common_framing.
[[gnu::noinline]] Anomalies odd_framing(const FramingFields& fields, bool http10,
                                        BodyKind without_framing) {
  Anomalies anomalies;
  const bool coded = fields.coding != LastCoding::kAbsent;
  anomalies.add_if(fields.has_length && coded, Anomaly::kLengthAndCoding);
  anomalies.add_if(fields.lengths_differ, Anomaly::kDifferentLengths);
  anomalies.add_if(fields.length_repeated, Anomaly::kRepeatedLength);
  anomalies.add_if(fields.has_length && !fields.length_valid, Anomaly::kInvalidLength);
  const bool is_request = without_framing != BodyKind::kUntilClose;
  anomalies.add_if((coded && http10) || (fields.coding == LastCoding::kOther && is_request),
                   Anomaly::kTransferCoding);
  return anomalies;
}

// What holds for both directions. `without_framing` is the body of a message whose framing fields
// are absent or say nothing.
Framing common_framing(const HttpHead& head, const FramingFields& fields,
                       BodyKind without_framing) {
  const bool http10 = head.start.version_minor == 0;
  Framing framing;
  framing.expect_continue = fields.expect_continue;

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
  const bool coded = fields.coding != LastCoding::kAbsent;
  if ((fields.has_length &&
       (coded || !fields.length_valid || fields.length_repeated || fields.lengths_differ)) ||
      (coded && (http10 || fields.coding == LastCoding::kOther))) {
    framing.anomalies = odd_framing(fields, http10, without_framing);
  }
  return framing;
}

}  // namespace

RequestMethodKind method_kind(const HttpHead& head) {
  const std::string_view method = head.start.method;
  if (method.empty()) return RequestMethodKind::kUnknown;
  if (method == "HEAD") return RequestMethodKind::kHead;
  if (method == "CONNECT") return RequestMethodKind::kConnect;
  if (head.versionless) return RequestMethodKind::kVersionless;
  return RequestMethodKind::kOther;
}

bool frames_body(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = without_space(line.substr(0, colon));
  return equal_ignoring_case(name, "content-length") ||
         equal_ignoring_case(name, "transfer-encoding") || equal_ignoring_case(name, "expect");
}

Framing request_framing(const HttpHead& head) {
  return common_framing(head, read_framing_fields(head), BodyKind::kNone);
}

Framing response_framing(const HttpHead& head, RequestMethodKind request) {
  Framing framing = common_framing(head, read_framing_fields(head), BodyKind::kUntilClose);
  const uint16_t status = head.start.status;
  framing.interim = status >= 100 && status < 200 && status != 101;
  // The answer to a lost CONNECT: the words are those of RFC 2817 section 5.3 that proxies send.
  const bool answers_connect =
      request == RequestMethodKind::kConnect ||
      (request == RequestMethodKind::kUnknown && framing.kind == BodyKind::kUntilClose &&
       equal_ignoring_case(head.start.reason, "connection established"));
  framing.tunnel = status == 101 || (answers_connect && status >= 200 && status < 300);
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
