#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/message/message.h"
#include "core/redaction/body_type.h"
#include "core/redaction/key_scanner.h"
#include "core/redaction/names.h"
#include "core/redaction/patterns.h"
#include "core/redaction/spans.h"
#include "core/redaction/targets.h"

namespace tcp_sniffer {

// Finds what must be hidden in a body: the values of the named JSON keys, form fields and parts of
// multipart bodies (`redactBody`), and what the patterns match (`redactPattern`).
//
// Most servers look at a body's type, some at its text alone. So every text is searched for keys
// and for `name=value`, whatever its type says. What belongs to an unknown place is hidden: after
// a gap, a form up to the next '&', a multipart body up to the next part, and any other text to its
// end; and a part that is not readable text. One per shard; names and patterns outlive it.
class BodyScanner {
 public:
  static constexpr int kDepthMax = 4;  // multipart bodies in each other

  BodyScanner(const FieldNames& names, Patterns& patterns)
      : names_(names), patterns_(patterns), keys_(names), targets_(names, &patterns, &keys_) {}

  // `message` has its body as it was sent, or decoded, and its headers as they were sent. False:
  // the body cannot be read, so nothing of it may be shown.
  bool scan(const Message& message, Spans& spans);

 private:
  // A piece of the body: [begin, end) of it.
  struct Piece {
    size_t begin = 0;
    size_t end = 0;
    bool is_cut = false;  // more follows that is not here
  };

  std::string_view text_of(const Piece& piece) const {
    return body_.substr(piece.begin, piece.end - piece.begin);
  }
  void find_breaks(const Message& message);
  size_t next_break(size_t from, size_t end) const;
  bool scan_piece(const Piece& piece, const BodyType& type, int depth, Spans& spans);
  bool scan_parts(const Piece& piece, std::string_view boundary, int depth, Spans& spans);
  void scan_part(const Piece& part, int depth, Spans& spans);
  bool covers_part(std::string_view head);
  bool scan_text(const Piece& piece, bool as_form, Spans& spans);
  void scan_form(const Piece& piece, Spans& spans);
  void scan_values(const Piece& piece, Spans& spans);
  size_t find_delimiter(std::string_view delimiter, size_t from, size_t end) const;

  const FieldNames& names_;
  Patterns& patterns_;
  KeyScanner keys_;
  TargetScanner targets_;
  std::string_view body_;
  std::vector<size_t> breaks_;  // places in the body where bytes are missing
  std::string name_;
};

}  // namespace tcp_sniffer
