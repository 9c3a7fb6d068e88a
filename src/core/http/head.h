#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/base/byte_search.h"
#include "core/http/start_line.h"
#include "core/message/message.h"

namespace tcp_sniffer {

enum class HeadStatus : uint8_t {
  kComplete,
  kIncomplete,  // the empty line has not come yet
  kInvalid,     // the first line is no HTTP/1.x start line; `start.kind` says what it is
  kTooLarge,    // more than bytes_max bytes, or more than fields_max fields
};

// A message head that was read. Views point into the bytes that were read; `fields` into the
// reader's array, valid until its next call.
struct HttpHead {
  StartLine start;
  std::span<const HeaderField> fields;
  std::string_view unlisted;  // the lines of the fields after the first fields_max ones
  size_t size = 0;            // bytes up to and including the empty line; 0 when that is not there
  bool irregular = false;    // a line that the RFC's grammar does not allow was passed over or read
  bool versionless = false;  // a request without a version: with fields, or …
  bool http09 = false;       // … HTTP/0.9: one line, no fields
  Anomalies anomalies;       // those of the start line too
};

// Where reading of a head stopped when it was incomplete, so that a head that comes in small pieces
// costs linear time. One per head; default-constructed at its first byte. The bytes may move in
// memory between calls, but must still start at the start line.
struct HeadProgress {
  size_t searched = 0;        // no end of the head starts with a line feed in front of this
  size_t lines_judged = 0;    // read_candidate: the lines in front of this are good
  bool start_judged = false;  // the start line was complete and good
  bool versionless = false;   // it has no version, and what follows it is not there yet
  bool bare_cr = false;       // CR alone ends its lines
  // Said by the caller:
  bool ended = false;  // no more bytes come
  bool cut = false;    // the capture cut what comes: what is known of a start line counts
  StartContext context = StartContext::kUnknown;
};

// Reads the heads of HTTP/1.x messages (RFC 9112 sections 2 to 5) and trailer sections in one pass:
// 64 bytes at a time for line feeds and colons, no copy, no allocation after construction. It is
// written for an observer, so it refuses nothing but a bad start line; llhttp, which refuses much
// of what real servers accept, is what its tests compare it to where both agree on the grammar.
//
// What it makes of odd lines: CRLF and bare LF end lines, also mixed. When CR
// alone ends the start line, it ends the other lines too; a CR elsewhere is an ordinary byte. A
// start line without a version is HTTP/0.9 when an empty line or nothing follows it, a request
// when a field does, and else none. Whitespace around names and values is left out. A continued
// line (obs-fold) belongs to the value before it, whose view then holds the line break. A line
// without a colon is no field: it is passed over. A line with whitespace at its start and no field
// before it is read without that whitespace. Empty and odd names are fields.
//
// One per shard, used by its thread alone.
class HeadReader {
 public:
  // bytes_max bounds a head or a trailer section, fields_max the fields of one.
  HeadReader(uint32_t bytes_max, uint32_t fields_max);

  // `bytes` starts at the start line (see leading_blanks). kInvalid comes as soon as the
  // first line is complete. kTooLarge with a `size` means too many fields: `head` is complete but
  // for the fields after the first fields_max; without a `size`, too many bytes: read_partial
  // tells what there is. The answer for a head does not depend on how it was cut into pieces.
  HeadStatus read(std::string_view bytes, HeadProgress& progress, HttpHead& head);

  // The fields of a trailer section (RFC 9112 section 7.1.2), which starts at `bytes` and ends with
  // an empty line. Fills `fields`, `unlisted`, `size` and `anomalies` of `head` as read() does.
  HeadStatus read_fields(std::string_view bytes, HeadProgress& progress, HttpHead& head);

  // What is there of a head that will never be complete: the lines that are whole, at most
  // fields_max fields. False when not even the start line is whole and good; with `cut` it may be
  // the beginning of one that has its method or its status.
  bool read_partial(std::string_view bytes, const HeadProgress& progress, HttpHead& head);

  // The same of a trailer section: its whole lines.
  void read_partial_fields(std::string_view bytes, HttpHead& head);

  // Takes further fields from the front of HttpHead::unlisted, as many as `into` has room for, and
  // removes their lines. No fields: there are none left. `bare_cr`: as in the head's anomalies.
  static std::span<const HeaderField> take_unlisted(std::string_view& unlisted, bool bare_cr,
                                                    std::span<HeaderField> into);

  // As read(), for a head found by searching after a gap, which must be strictly valid: kInvalid as
  // soon as a line is not. Where the bytes are no head that is after a line or two, so that a
  // search through a body full of start lines stays linear.
  HeadStatus read_candidate(std::string_view bytes, HeadProgress& progress, HttpHead& head);

  // A start line by the RFC's grammar with a target of one of its forms, and nothing but `token:`
  // lines and their continuations after it.
  static bool is_strictly_valid(const HttpHead& head);

 private:
  class LineReader;

  HeadStatus read_section(std::string_view bytes, bool has_start_line, HeadProgress& progress,
                          HttpHead& head);
  static bool may_be_whole(std::string_view bytes, HeadProgress& progress);
  static bool end_is_bare_cr(std::string_view bytes, bool start_was_open, HeadProgress& progress);

  const LineMaskKernel masks_;
  uint32_t bytes_max_;
  uint32_t fields_max_;
  std::unique_ptr<HeaderField[]> fields_;
};

}  // namespace tcp_sniffer
