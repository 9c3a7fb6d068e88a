#pragma once

#include <span>
#include <string>
#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// What the fields of a head, of a message or of a part of one, say about the body after them.
// Names and values are read as leniently as a server may; of contradictions the one that needs more
// care counts.
struct BodyType {
  bool is_named = false;       // there is a Content-Type
  bool is_json = false;        // application/json, …+json
  bool is_form = false;        // application/x-www-form-urlencoded
  bool is_multipart = false;   // multipart/…
  std::string boundary;        // its boundary; may be empty
  bool is_plain = false;       // text/plain: often a form or JSON
  bool is_other_text = false;  // its charset has other bytes for ASCII's characters
  size_t codings = 0;          // content codings but identity
};

BodyType read_body_type(std::span<const HeaderField> fields);

// The parameter's value in a field's value like `form-data; name="a"`, with quotes, backslashes and
// the coding of `name*` undone (RFC 2046, 8187); pieces (name*0, name*1) are joined. False: it has
// none.
bool read_parameter(std::string_view field, std::string_view name, std::string& value);

// Text whose characters a scanner can see: UTF-8 without a NUL. Where bytes are missing before or
// after it, a cut character there is none of its faults.
bool is_readable(std::string_view text, bool cut_before, bool cut_after);

}  // namespace tcp_sniffer
