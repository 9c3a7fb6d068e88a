#include "core/field/field_value.h"

#include "core/field/visit_value.h"

namespace tcp_sniffer {
namespace {

struct MakeValue {
  using Result = FieldValue;
  static FieldValue absent() { return {}; }
  static FieldValue time(int64_t ns) { return {FieldValue::Kind::kTime, ns, 0, {}}; }
  static FieldValue number(uint64_t value) { return {FieldValue::Kind::kNumber, 0, value, {}}; }
  static FieldValue milliseconds(int64_t ns) {
    return {FieldValue::Kind::kMilliseconds, ns, 0, {}};
  }
  static FieldValue text(std::string_view text) { return {FieldValue::Kind::kText, 0, 0, text}; }
  static FieldValue word(std::string_view word) {
    return {word.empty() ? FieldValue::Kind::kAbsent : FieldValue::Kind::kWord, 0, 0, word};
  }
  static FieldValue address(const IpAddress& ip, bool mapped_on_wire) {
    return {FieldValue::Kind::kAddress, 0, 0, {}, &ip, mapped_on_wire};
  }
  static FieldValue flag(bool is_so) {
    return {is_so ? FieldValue::Kind::kFlag : FieldValue::Kind::kAbsent, 0, 0, {}};
  }
  static FieldValue connection_id(uint64_t /*id*/) { return other(); }
  static FieldValue other() { return {FieldValue::Kind::kOther, 0, 0, {}}; }
};

}  // namespace

std::string_view incomplete_word(Incomplete incomplete) {
  switch (incomplete) {
    case Incomplete::kNo:
      return "";
    case Incomplete::kGap:
      return "gap";
    case Incomplete::kClosed:
      return "closed";
    case Incomplete::kEvicted:
      return "evicted";
    case Incomplete::kIdle:
      return "idle";
    case Incomplete::kShutdown:
      return "shutdown";
    case Incomplete::kSnaplen:
      return "snaplen";
    case Incomplete::kLimit:
      return "limit";
    case Incomplete::kParseError:
      return "parseError";
  }
  return "";
}

std::string_view content_decode_error_word(ContentDecodeError error) {
  switch (error) {
    case ContentDecodeError::kNo:
      return "";
    case ContentDecodeError::kTruncated:
      return "truncated";
    case ContentDecodeError::kCorrupt:
      return "corrupt";
    case ContentDecodeError::kLimit:
      return "limit";
  }
  return "";
}

std::string_view orphan_word(Orphan::Kind kind) {
  switch (kind) {
    case Orphan::Kind::kNo:
      return "";
    case Orphan::Kind::kRequestNotCaptured:
      return "requestNotCaptured";
    case Orphan::Kind::kResponseNotCaptured:
      return "responseNotCaptured";
    case Orphan::Kind::kNoResponse:
      return "noResponse";
  }
  return "";
}

FieldValue value_of(const FieldRef& ref, const Message& message) {
  return visit_value(ref, message, MakeValue());
}

}  // namespace tcp_sniffer
