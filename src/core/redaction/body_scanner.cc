#include "core/redaction/body_scanner.h"

#include <algorithm>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/redaction/json_form.h"

namespace tcp_sniffer {
namespace {

// A body without a type that begins with a delimiter and a part's head.
std::string sniffed_boundary(std::string_view text) {
  if (!text.starts_with("--")) return {};
  const std::string_view line = text.substr(2, text.find_first_of("\r\n") - 2);
  std::string start(text.substr(0, 1024));
  std::transform(start.begin(), start.end(), start.begin(), ascii_lower);
  return start.find("content-disposition") == std::string::npos ? std::string() : std::string(line);
}

bool begins_like_a_form(std::string_view text) {
  const size_t equals = text.find('=');
  return equals != kNotFound && equals > 0 &&
         text.substr(0, equals).find_first_of(" \t\r\n<>{}\"':;?/\\") == kNotFound;
}

// Where the head of a part ends and its content begins: after an empty line.
size_t content_begin(std::string_view part) {
  size_t begin = kNotFound;
  for (const std::string_view end : {"\r\n\r\n", "\n\n", "\r\r", "\n\r\n"}) {
    const size_t at = part.find(end);
    if (at != kNotFound) begin = std::min(begin, at + end.size());
  }
  return begin;
}

// Calls `use` with name and value of each field of a part's head, folded lines included.
template <typename Use>
void for_each_field(std::string_view head, const Use& use) {
  for (size_t at = 0; at < head.size();) {
    size_t end = head.find_first_of("\r\n", at);
    while (end < head.size()) {  // RFC 5322 section 2.2.3: a line that begins with a blank goes on
      const size_t next = head.find_first_not_of("\r\n", end);
      if (next == kNotFound || (head[next] != ' ' && head[next] != '\t')) break;
      end = head.find_first_of("\r\n", next);
    }
    end = std::min(end, head.size());
    const std::string_view line = head.substr(at, end - at);
    const size_t colon = line.find(':');
    if (colon != kNotFound) use(line.substr(0, colon), line.substr(colon + 1));
    at = end + 1;
  }
}

}  // namespace

bool BodyScanner::scan(const Message& message, Spans& spans) {
  body_ = message.body;
  find_breaks(message);
  const BodyType type = read_body_type(message.headers);
  const auto undone = static_cast<size_t>(
      message.content_decoded.empty()
          ? 0
          : 1 + std::count(message.content_decoded.begin(), message.content_decoded.end(), ','));
  if (type.codings != undone) return false;
  // What a damaged stream was decoded to may be another text than was sent, with other names.
  if (message.content_decode_error == ContentDecodeError::kCorrupt ||
      message.content_proof == ContentProof::kContradicted) {
    return false;
  }
  const bool cut = message.body_truncated || message.incomplete != Incomplete::kNo ||
                   message.content_decode_error != ContentDecodeError::kNo;
  if (message.content_proof == ContentProof::kNone && type.is_json) {
    const JsonForm form = json_form(body_);
    if (form == JsonForm::kNone || (form == JsonForm::kBegun && !cut)) return false;
  }
  const Piece whole{0, body_.size(), cut && !message.body_cut_is_none};
  return scan_piece(whole, type, 0, spans) && !spans.too_many();
}

// The captured parts of a body are joined; of a decoded one only those before the first gap are
// here.
void BodyScanner::find_breaks(const Message& message) {
  breaks_.clear();
  if (!message.content_decoded.empty()) return;
  uint64_t missing = 0;
  for (const BodyGap& gap : message.body_gaps) {
    const uint64_t at = gap.offset - std::min(gap.offset, missing);
    missing += gap.length;
    if (at >= body_.size()) break;
    breaks_.push_back(static_cast<size_t>(at));
  }
}

// The first place from `from` on, before `end`, where bytes are missing; `end`: there is none.
size_t BodyScanner::next_break(size_t from, size_t end) const {
  const auto next = std::lower_bound(breaks_.begin(), breaks_.end(), from);
  return next == breaks_.end() ? end : std::min(*next, end);
}

bool BodyScanner::scan_piece(const Piece& piece, const BodyType& type, int depth, Spans& spans) {
  if (type.is_other_text) return false;
  const std::string_view text = text_of(piece);
  if (type.is_multipart && !type.boundary.empty() &&
      scan_parts(piece, type.boundary, depth, spans)) {
    return true;
  }
  const std::string boundary = sniffed_boundary(text);
  if (!boundary.empty() && scan_parts(piece, boundary, depth, spans)) return true;
  if (type.is_multipart) return false;
  const bool may_be_form = !type.is_named || type.is_plain;
  return scan_text(piece, type.is_form || (may_be_form && begins_like_a_form(text)), spans);
}

// ---------------------------------------------------------------- multipart

// The next delimiter at the begin of a line (RFC 2046 section 5.1.1), with no gap in it.
size_t BodyScanner::find_delimiter(std::string_view delimiter, size_t from, size_t end) const {
  for (size_t at = from; (at = body_.find(delimiter, at)) < end; ++at) {
    const bool begins_line = at == 0 || body_[at - 1] == '\n' || body_[at - 1] == '\r';
    if (!begins_line || at + delimiter.size() > end) continue;
    if (next_break(at + 1, at + delimiter.size()) == at + delimiter.size()) return at;
  }
  return end;
}

// False: there is no delimiter.
bool BodyScanner::scan_parts(const Piece& piece, std::string_view boundary, int depth,
                             Spans& spans) {
  const std::string delimiter = "--" + std::string(boundary);
  size_t at = find_delimiter(delimiter, piece.begin, piece.end);
  if (at == piece.end || depth == kDepthMax) return false;
  if (!scan_text({piece.begin, at, false}, false, spans)) spans.add(piece.begin, at);
  while (at < piece.end && !spans.too_many()) {
    const size_t begin = at + delimiter.size();
    const size_t next = find_delimiter(delimiter, begin, piece.end);
    scan_part({begin, next, next == piece.end && piece.is_cut}, depth, spans);
    at = next;
  }
  return true;
}

// From after the delimiter to the next one.
void BodyScanner::scan_part(const Piece& part, int depth, Spans& spans) {
  const size_t head_break = next_break(part.begin, part.end);
  const size_t content = content_begin(text_of(part));
  if (content == kNotFound || part.begin + content > head_break) {
    // No head that is known to be whole: an epilogue, or a gap in the head.
    if (!scan_text({part.begin, head_break, part.is_cut}, false, spans)) {
      spans.add(part.begin, head_break);
    }
    if (head_break < part.end) spans.add({head_break, part.end, ValueCoding::kNone, true, false});
    return;
  }
  const std::string_view head = body_.substr(part.begin, content);
  Piece rest{part.begin + content, part.end, part.is_cut};
  // The line break before a delimiter is part of it.
  if (!part.is_cut || part.end < body_.size()) {
    if (rest.end > rest.begin && body_[rest.end - 1] == '\n') --rest.end;
    if (rest.end > rest.begin && body_[rest.end - 1] == '\r') --rest.end;
  }
  const bool has_gap = next_break(rest.begin, rest.end) != rest.end;
  std::vector<HeaderField> fields;
  bool coded = false;
  for_each_field(head, [&](std::string_view name, std::string_view value) {
    static const HeaderNames coding_names({"content-transfer-encoding"});
    fields.push_back({name, value});
    if (!coding_names.cover(name)) return;
    const size_t begin = std::min(value.find_first_not_of(" \t\r\n"), value.size());
    const char kind = ascii_lower(begin < value.size() ? value[begin] : '8');
    coded |= kind != '7' && kind != '8' && kind != 'b';  // 7bit, 8bit, binary …
    coded |= value.find("64") != kNotFound;              // … and not base64
  });
  const BodyType type = read_body_type(fields);
  if (covers_part(head) || coded || type.codings > 0 || !scan_piece(rest, type, depth + 1, spans)) {
    spans.add({rest.begin, rest.end, ValueCoding::kNone, part.is_cut || has_gap, false});
  }
  scan_values({part.begin, part.begin + content, false}, spans);
}

bool BodyScanner::covers_part(std::string_view head) {
  bool covered = false;
  for_each_field(head, [&](std::string_view, std::string_view value) {
    if (!read_parameter(value, "name", name_)) return;
    covered |= names_.cover(name_);
    undo_percent_encoding(name_);
    covered |= names_.cover(name_);
  });
  return covered;
}

// ---------------------------------------------------------------- text

// False: it is not readable.
bool BodyScanner::scan_text(const Piece& piece, bool as_form, Spans& spans) {
  const size_t first_break = next_break(piece.begin, piece.end);
  for (size_t at = piece.begin; at < piece.end || at == piece.begin;) {
    const size_t end = next_break(at + 1, piece.end);
    const std::string_view text = body_.substr(at, end - at);
    if (!is_readable(text, at > piece.begin, end < piece.end || piece.is_cut)) return false;
    at = end;
    if (at == piece.begin) break;
  }
  if (as_form) {
    scan_form(piece, spans);
  } else if (first_break < piece.end) {
    spans.add({first_break, piece.end, ValueCoding::kNone, true, false});
  }
  const Piece unbroken{piece.begin, first_break, piece.is_cut || first_break < piece.end};
  spans.set_base(piece.begin);
  keys_.scan(text_of(unbroken), spans);
  targets_.scan_body(text_of(unbroken), spans);
  spans.set_base(0);
  scan_values(unbroken, spans);
  return true;
}

// After a gap what comes up to the next '&' may be of any field.
void BodyScanner::scan_form(const Piece& piece, Spans& spans) {
  for (size_t at = piece.begin; at < piece.end;) {
    const size_t end = next_break(at + 1, piece.end);
    size_t begin = at;
    if (std::binary_search(breaks_.begin(), breaks_.end(), at)) {
      begin = std::min(body_.find('&', at), end);
      spans.add({at, begin, ValueCoding::kNone, true, false});
    }
    spans.set_base(begin);
    targets_.scan_form(body_.substr(begin, end - begin), end < piece.end || piece.is_cut, spans);
    spans.set_base(0);
    if (begin > at || at > piece.begin) {
      scan_values({begin, end, end < piece.end || piece.is_cut}, spans);
    }
    at = end;
  }
}

void BodyScanner::scan_values(const Piece& piece, Spans& spans) {
  if (patterns_.empty()) return;
  spans.set_base(piece.begin);
  patterns_.scan(text_of(piece), piece.is_cut, spans);
  patterns_.scan_escaped(text_of(piece), spans);
  spans.set_base(0);
}

}  // namespace tcp_sniffer
