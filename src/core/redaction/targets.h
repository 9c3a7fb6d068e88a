#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "core/redaction/key_scanner.h"
#include "core/redaction/names.h"
#include "core/redaction/patterns.h"
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

  // What patterns match, and the keys of JSON, are looked for in what is only seen by decoding.
  // nullptr: not. Both outlive the scanner.
  explicit TargetScanner(const FieldNames& names, const Patterns* patterns = nullptr,
                         KeyScanner* keys = nullptr)
      : names_(names), patterns_(patterns), keys_(keys) {}

  // A request target (RFC 9112 section 3.2). `is_cut`: more followed that is not here.
  void scan_target(std::string_view target, bool is_cut, Spans& spans);
  // A header's value, a reason phrase, any text of a head: Referer, Location, Link and others hold
  // copies of targets. A value inside of <> or of quotes also ends where they do.
  void scan_text(std::string_view text, bool is_cut, Spans& spans);
  // A body of the type application/x-www-form-urlencoded.
  void scan_form(std::string_view form, bool is_cut, Spans& spans);
  // Any other text of a body. A value also ends at a blank, a quote, and a '<' or '>'.
  void scan_body(std::string_view text, Spans& spans);

 private:
  enum class Kind : uint8_t { kTarget, kText, kForm, kBody };

  void scan_parameters(std::string_view text, size_t at, Spans& spans);
  size_t value_end(std::string_view text, size_t from);
  bool holds_secret(std::string_view decoded) const;
  bool is_secret_decoded(std::string_view component);
  void pass(char separator);

  const FieldNames& names_;
  const Patterns* const patterns_;
  KeyScanner* const keys_;
  std::string decoded_;
  std::string plain_;
  Kind kind_ = Kind::kTarget;
  bool is_cut_ = false;
  bool in_path_ = false;   // no '?' or '#' yet
  bool in_angle_ = false;  // of a text: after a '<' …
  bool in_quotes_ = false;
};

}  // namespace tcp_sniffer
