#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/redaction/names.h"
#include "core/redaction/spans.h"

namespace tcp_sniffer {

// Finds what must be hidden in request targets, and in texts that may hold targets (`redactQuery`):
// the values of the named parameters wherever they stand – in the query, in front of it, in a
// fragment, in another parameter's value – and the user and password of an authority.
//
// A value ends at the next '&' or the end, in front of the query also at its '?'. Names are
// compared after undoing the encodings (%74, %u0074, +, repeatedly). What becomes a parameter or a
// user only by decoding is hidden whole. One per shard; `names` outlives it.
class TargetScanner {
 public:
  static constexpr int kDecodingsMax = 4;  // encodings of encodings that are undone

  explicit TargetScanner(const FieldNames& names) : names_(names) {}

  // A request target (RFC 9112 section 3.2).
  void scan_target(std::string_view target, Spans& spans);
  // A header's value, a reason phrase, any text of a head: Referer, Location, Link and others hold
  // copies of targets. A value inside of <> or of quotes also ends where they do.
  void scan_text(std::string_view text, Spans& spans);

 private:
  enum class Kind : uint8_t { kTarget, kText };

  void scan_parameters(std::string_view text, size_t at, Spans& spans);
  size_t value_end(std::string_view text, size_t from);
  bool holds_secret(std::string_view decoded) const;
  void pass(char separator);

  const FieldNames& names_;
  std::string decoded_;
  Kind kind_ = Kind::kTarget;
  bool in_path_ = false;   // no '?' or '#' yet
  bool in_angle_ = false;  // of a text: behind a '<' …
  bool in_quotes_ = false;
};

}  // namespace tcp_sniffer
