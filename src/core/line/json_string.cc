#include "core/line/json_string.h"

#include <algorithm>

#include "core/base/text_encoding.h"

namespace tcp_sniffer {
namespace {

void append_quote(LineSink& sink) {
  append_verbatim("\"", sink);
}

}  // namespace

bool JsonStringWriter::write_utf8(std::string_view text, LineSink& sink) const {
  if (text.size() <= kPieceSize) {
    char* out = sink.reserve(escaped_size_max(text.size()) + 2);
    *out = '"';
    const char* end = text.data() + text.size();
    const EscapeProgress progress = kernels_.escape_ascii(text.data(), end, out + 1);
    if (progress.in == end) {
      *progress.out = '"';
      sink.commit(progress.out + 1);
      return true;
    }
  }
  const size_t start = sink.size();
  append_quote(sink);
  if (!append_utf8(text, sink)) {
    cut_line(sink, start);
    return false;
  }
  append_quote(sink);
  return true;
}

void JsonStringWriter::write_latin1(std::string_view text, LineSink& sink) const {
  append_quote(sink);
  append_latin1(text, sink);
  append_quote(sink);
}

void JsonStringWriter::write_bare(std::string_view text, LineSink& sink) const {
  const size_t start = sink.size();
  if (append_utf8(text, sink)) return;
  cut_line(sink, start);
  append_latin1(text, sink);
}

bool JsonStringWriter::append_utf8(std::string_view text, LineSink& sink) const {
  // A long text asks for all its room at once (and for the worst case of its last piece), so that
  // the line does not move again and again. One eighth more is what JSON in JSON takes.
  if (text.size() > kPieceSize) {
    sink.reserve(text.size() + text.size() / 8 + escaped_size_max(kPieceSize));
  }
  const char* in = text.data();
  const char* end = in + text.size();
  while (in != end) {
    const char* stop = in + std::min(static_cast<size_t>(end - in), kPieceSize);
    char* out = sink.reserve(escaped_size_max(static_cast<size_t>(stop - in)));
    const EscapeProgress progress = kernels_.escape_ascii(in, stop, out);
    sink.commit(progress.out);
    in = progress.in;
    if (in != stop) break;
  }
  std::string_view rest(in, static_cast<size_t>(end - in));
  if (rest.empty()) return true;
  if (!is_utf8(rest)) return false;
  while (!rest.empty()) {
    const size_t size = character_boundary(rest, kPieceSize);
    char* out = sink.reserve(escaped_size_max(size));
    sink.commit(kernels_.escape_utf8(rest.data(), rest.data() + size, out));
    rest.remove_prefix(size);
  }
  return true;
}

void JsonStringWriter::append_latin1(std::string_view text, LineSink& sink) const {
  while (!text.empty()) {
    const size_t size = std::min(text.size(), kPieceSize);
    char* out = sink.reserve(escaped_size_max(size));
    sink.commit(escape_latin1(text.data(), text.data() + size, out));
    text.remove_prefix(size);
  }
}

void cut_line(LineSink& sink, size_t size) {
  char* end = sink.reserve(0);
  sink.commit(end - (sink.size() - size));
}

void ScratchLine::grow(size_t size) {
  const size_t used = this->size();
  memory_.resize(std::max(memory_.size() * 2, used + size));
  begin_ = memory_.data();
  end_ = begin_ + used;
  limit_ = begin_ + memory_.size();
}

}  // namespace tcp_sniffer
