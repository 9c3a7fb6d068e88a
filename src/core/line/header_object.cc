#include "core/line/header_object.h"

#include <cstring>

#include "core/base/ascii_case.h"
#include "core/base/text_encoding.h"
#include "core/field/field_words.h"
#include "core/message/folded_value.h"

namespace tcp_sniffer {
namespace {

// The room that is reserved at once for fields, of which each must fit in the worst case of
// escaping: enough for nearly every message's fields in one piece, little beside a block of lines.
constexpr size_t kRunRoom = 16384;

void close_object(size_t start, LineSink& sink) {
  if (sink.size() > start) cut_line(sink, sink.size() - 1);  // the comma after the last field
  append_verbatim("}", sink);
}

}  // namespace

void HeaderObjectWriter::write(std::span<const HeaderField> fields, std::string_view group,
                               LineSink& sink, LineSink& latin1) {
  is_latin1_.clear();
  has_repeats_ = repeats_.find(fields);
  append_verbatim("{", sink);
  const size_t start = sink.size();
  const size_t latin1_start = latin1.size();
  wide_names_are_latin1_ = false;
  if (!write_fields(fields, group, sink, latin1)) {
    cut_line(sink, start);
    cut_line(latin1, latin1_start);
    is_latin1_.clear();
    wide_names_are_latin1_ = true;
    write_fields(fields, group, sink, latin1);
  }
  close_object(start, sink);
}

// False: a name that is not ASCII has to be written as latin1, and others may have come before.
bool HeaderObjectWriter::write_fields(std::span<const HeaderField> fields, std::string_view group,
                                      LineSink& sink, LineSink& latin1) {
  uint32_t run_end = plain_run_end(fields, 0);
  for (uint32_t i = 0; i < fields.size();) {
    if (i > run_end) run_end = plain_run_end(fields, i);  // each field is looked at once
    if (i != run_end) {
      i = write_plain_run(fields, i, run_end, sink);
      if (i == run_end) continue;
    }
    const bool is_repeat = has_repeats_ && repeats_.is_repeat(i);
    if (!is_repeat && !write_field(fields, i, group, sink, latin1)) return false;
    ++i;
  }
  return true;
}

uint32_t HeaderObjectWriter::plain_run_end(std::span<const HeaderField> fields,
                                           uint32_t first) const {
  const auto count = static_cast<uint32_t>(fields.size());
  if (!has_repeats_) return count;
  for (uint32_t i = first; i < count; ++i) {
    if (repeats_.is_repeat(i) || repeats_.next(i) != HeaderRepeats::kNone) return i;
  }
  return count;
}

uint32_t HeaderObjectWriter::write_plain_run(std::span<const HeaderField> fields, uint32_t first,
                                             uint32_t end, LineSink& sink) const {
  char* out = sink.reserve(kRunRoom);
  const FieldProgress progress =
      kernels_.write_plain_fields(fields.data() + first, fields.data() + end, out, out + kRunRoom);
  sink.commit(progress.out);
  return static_cast<uint32_t>(progress.next - fields.data());
}

bool HeaderObjectWriter::write_field(std::span<const HeaderField> fields, uint32_t first,
                                     std::string_view group, LineSink& sink, LineSink& latin1) {
  const size_t start = sink.size();
  if (!wide_names_are_latin1_ || is_ascii(fields[first].name)) {
    if (write_name_and_values(fields, first, true, sink)) return true;
    if (!is_ascii(fields[first].name)) return false;
    cut_line(sink, start);
  }
  write_name_and_values(fields, first, false, sink);
  for (uint32_t i = first; i != HeaderRepeats::kNone; i = next_of_name(i)) {
    mark_latin1(fields.size(), i);
  }
  append_verbatim("\"", latin1);
  append_verbatim(group, latin1);
  append_verbatim(".", latin1);
  const std::string_view name = fields[first].name;
  char* begin = latin1.reserve(escaped_size_max(name.size()));
  char* end = escape_latin1(name.data(), name.data() + name.size(), begin);
  for (char* c = begin; c != end; ++c) *c = ascii_lower(*c);
  latin1.commit(end);
  append_verbatim("\",", latin1);
  return true;
}

bool HeaderObjectWriter::write_name_and_values(std::span<const HeaderField> fields, uint32_t first,
                                               bool utf8, LineSink& sink) {
  const bool several = next_of_name(first) != HeaderRepeats::kNone;
  if (!write_name(fields[first].name, utf8, sink)) return false;
  append_verbatim(several ? ":[" : ":", sink);
  for (uint32_t i = first; i != HeaderRepeats::kNone; i = next_of_name(i)) {
    if (i != first) append_verbatim(",", sink);
    if (!write_value(fields[i], utf8, sink)) return false;
  }
  append_verbatim(several ? "]," : ",", sink);
  return true;
}

HeaderObjectWriter::Written HeaderObjectWriter::write_values(std::span<const HeaderField> fields,
                                                             std::string_view name,
                                                             LineSink& sink) {
  if (find_header(fields, name) == nullptr) return Written::kNothing;
  const size_t start = sink.size();
  if (append_values(fields, name, true, sink)) return Written::kUtf8;
  cut_line(sink, start);
  append_values(fields, name, false, sink);
  return Written::kLatin1;
}

// False when `utf8` is asked of a value that is not.
bool HeaderObjectWriter::append_values(std::span<const HeaderField> fields, std::string_view name,
                                       bool utf8, LineSink& sink) {
  const size_t start = sink.size();
  size_t values = 0;
  for (const HeaderField& field : fields) {
    if (!equal_ignoring_case(field.name, name)) continue;
    if (values++ > 0) append_verbatim(",", sink);
    if (!write_value(field, utf8, sink)) return false;
  }
  if (values == 1) return true;
  const size_t size = sink.size() - start;
  char* end = sink.reserve(2);
  std::memmove(end - size + 1, end - size, size);
  end[-static_cast<ptrdiff_t>(size)] = '[';
  end[1] = ']';
  sink.commit(end + 2);
  return true;
}

// Escapes consist of lower-case letters, digits and signs, so that lowering what was written
// lowers the name alone.
bool HeaderObjectWriter::write_name(std::string_view name, bool utf8, LineSink& sink) const {
  const size_t start = sink.size();
  if (!write_string(name, utf8, sink)) return false;
  char* end = sink.reserve(0);
  for (char* c = end - (sink.size() - start); c != end; ++c) *c = ascii_lower(*c);
  return true;
}

bool HeaderObjectWriter::write_value(const HeaderField& field, bool utf8, LineSink& sink) {
  if (!field.folded) return write_string(field.value, utf8, sink);
  unfold(field.value, unfolded_);
  return write_string(unfolded_, utf8, sink);
}

bool HeaderObjectWriter::write_string(std::string_view text, bool utf8, LineSink& sink) const {
  if (utf8) return strings_.write_utf8(text, sink);
  strings_.write_latin1(text, sink);
  return true;
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
    append_verbatim(i == 0 ? "[" : ",[", sink);
    write_string(fields[i].name, utf8, sink);
    append_verbatim(",", sink);
    write_string(fields[i].value, utf8, sink);
    append_verbatim("]", sink);
  }
  append_verbatim("]", sink);
}

}  // namespace tcp_sniffer
