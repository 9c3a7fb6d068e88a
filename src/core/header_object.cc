#include "core/header_object.h"

#include <algorithm>

#include "core/ascii_case.h"
#include "core/text_encoding.h"

namespace tcp_sniffer {
namespace {

// Header blocks with at most this much text get room for the worst case in one piece.
constexpr size_t kOnePieceMax = 8192;

bool is_line_break(char c) {
  return c == '\r' || c == '\n';
}
bool is_space(char c) {
  return c == ' ' || c == '\t' || is_line_break(c);
}

void unfold(std::string_view value, std::string& out) {
  out.clear();
  size_t at = 0;
  while (at < value.size()) {
    if (!is_space(value[at])) {
      out.push_back(value[at++]);
      continue;
    }
    const size_t begin = at;
    while (at < value.size() && is_space(value[at])) ++at;
    const std::string_view run = value.substr(begin, at - begin);
    if (std::none_of(run.begin(), run.end(), is_line_break)) {
      out.append(run);
    } else if (!out.empty() && at < value.size()) {
      out.push_back(' ');
    }
  }
}

void close_object(size_t start, LineSink& sink) {
  if (sink.size() > start) cut_line(sink, sink.size() - 1);  // the comma behind the last field
  append_verbatim("}", sink);
}

}  // namespace

void HeaderObjectWriter::write(std::span<const HeaderField> fields, std::string_view group,
                               LineSink& sink, LineSink& latin1) {
  is_latin1_.clear();
  has_repeats_ = repeats_.find(fields);
  append_verbatim("{", sink);
  const size_t start = sink.size();
  if (!has_repeats_ && !redaction_.any_header()) {
    write_all_plain(fields, group, sink, latin1);
  } else {
    for (uint32_t i = 0; i < fields.size(); ++i) {
      if (has_repeats_ && repeats_.is_repeat(i)) continue;
      write_field(fields, i, group, sink, latin1);
    }
  }
  close_object(start, sink);
}

void HeaderObjectWriter::write_all_plain(std::span<const HeaderField> fields,
                                         std::string_view group, LineSink& sink, LineSink& latin1) {
  size_t room = kEscapeSpill;
  for (const HeaderField& field : fields) room += plain_field_size_max(field);
  const bool one_piece = room <= kOnePieceMax * kEscapedByteMax;
  uint32_t at = 0;
  while (at < fields.size()) {
    if (one_piece) {
      const HeaderField* first = fields.data();
      const FieldProgress progress =
          kernels_.write_plain_fields(first + at, first + fields.size(), sink.reserve(room));
      sink.commit(progress.out);
      at = static_cast<uint32_t>(progress.next - first);
      if (at == fields.size()) return;
    }
    write_field(fields, at, group, sink, latin1);
    ++at;
  }
}

void HeaderObjectWriter::write_field(std::span<const HeaderField> fields, uint32_t first,
                                     std::string_view group, LineSink& sink, LineSink& latin1) {
  const std::string_view name = fields[first].name;
  const bool redact = redaction_.covers_header(name);
  bool utf8 = is_utf8(name);
  for (uint32_t i = first; i != HeaderRepeats::kNone && utf8 && !redact; i = next_of_name(i)) {
    utf8 = is_utf8(fields[i].value);
  }
  write_name(name, utf8, sink);
  append_verbatim(":", sink);
  const bool several = next_of_name(first) != HeaderRepeats::kNone;
  if (several) append_verbatim("[", sink);
  for (uint32_t i = first; i != HeaderRepeats::kNone; i = next_of_name(i)) {
    if (i != first) append_verbatim(",", sink);
    write_value(fields[i], redact, utf8, sink);
    if (!utf8) mark_latin1(fields.size(), i);
  }
  append_verbatim(several ? "]," : ",", sink);
  if (utf8) return;
  append_verbatim("\"", latin1);
  append_verbatim(group, latin1);
  append_verbatim(".", latin1);
  char* begin = latin1.reserve(escaped_size_max(name.size()));
  char* end = escape_latin1(name.data(), name.data() + name.size(), begin);
  for (char* c = begin; c != end; ++c) *c = ascii_lower(*c);
  latin1.commit(end);
  append_verbatim("\",", latin1);
}

// Escapes consist of lower-case letters, digits and signs, so that lowering what was written
// lowers the name alone.
void HeaderObjectWriter::write_name(std::string_view name, bool utf8, LineSink& sink) const {
  const size_t start = sink.size();
  write_string(name, utf8, sink);
  char* end = sink.reserve(0);
  for (char* c = end - (sink.size() - start); c != end; ++c) *c = ascii_lower(*c);
}

void HeaderObjectWriter::write_value(const HeaderField& field, bool redact, bool utf8,
                                     LineSink& sink) {
  std::string_view value = field.value;
  if (redact) {
    value = kRedacted;
  } else if (field.folded) {
    unfold(value, unfolded_);
    value = unfolded_;
  }
  write_string(value, utf8, sink);
}

void HeaderObjectWriter::write_string(std::string_view text, bool utf8, LineSink& sink) const {
  if (utf8) {
    strings_.write_utf8(text, sink);
  } else {
    strings_.write_latin1(text, sink);
  }
}

uint32_t HeaderObjectWriter::next_of_name(uint32_t field) const {
  return has_repeats_ ? repeats_.next(field) : HeaderRepeats::kNone;
}

void HeaderObjectWriter::mark_latin1(size_t fields, uint32_t field) {
  if (is_latin1_.empty()) is_latin1_.assign(fields, 0);
  is_latin1_[field] = 1;
}

void HeaderObjectWriter::write_raw(std::span<const HeaderField> fields, LineSink& sink) const {
  append_verbatim("[", sink);
  for (uint32_t i = 0; i < fields.size(); ++i) {
    const bool utf8 = is_latin1_.empty() || !is_latin1_[i];
    const bool redact = redaction_.any_header() && redaction_.covers_header(fields[i].name);
    append_verbatim(i == 0 ? "[" : ",[", sink);
    write_string(fields[i].name, utf8, sink);
    append_verbatim(",", sink);
    write_string(redact ? kRedacted : fields[i].value, utf8, sink);
    append_verbatim("]", sink);
  }
  append_verbatim("]", sink);
}

}  // namespace tcp_sniffer
