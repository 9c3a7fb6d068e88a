#pragma once

#include <cstddef>
#include <cstring>
#include <string_view>
#include <vector>

#include "core/line/json_escape.h"
#include "core/line/line_sink.h"

namespace tcp_sniffer {

// Appends whole JSON strings, quotes included, to a line. Text of any length: a long one is
// escaped in pieces, so that the room asked for stays near the room needed. One per line writer.
class JsonStringWriter {
 public:
  explicit JsonStringWriter(const EscapeKernels& kernels) : kernels_(kernels) {}

  // False, and nothing appended, when the text is not valid UTF-8.
  bool write_utf8(std::string_view text, LineSink& sink) const;
  // Each byte as the character U+00XX.
  void write_latin1(std::string_view text, LineSink& sink) const;

  // Writes a text that is written as it is, without quotes around it, at the line's end, calls
  // finish(its place), which commits it, and returns what that returns. False too when the text is
  // another, or long. Two bytes more have room.
  template <class Finish>
  bool write_plain(std::string_view text, LineSink& sink, const Finish& finish) const {
    if (text.size() > kPieceSize) return false;
    char* out = sink.reserve(escaped_size_max(text.size()) + 2);
    const char* end = text.data() + text.size();
    const EscapeProgress progress = kernels_.escape_ascii(text.data(), end, out);
    const bool is_plain =
        progress.in == end && static_cast<size_t>(progress.out - out) == text.size();
    return is_plain && finish(out);
  }

  // The contents of a string without quotes around it; as UTF-8 when it is that, else latin1.
  void write_bare(std::string_view text, LineSink& sink) const;

 private:
  // Input bytes escaped per reserve. Larger wastes room (six bytes are reserved for each), smaller
  // costs calls; at 4 KiB the calls are below 2 % of the time.
  static constexpr size_t kPieceSize = 4096;

  bool append_utf8(std::string_view text, LineSink& sink) const;
  void append_latin1(std::string_view text, LineSink& sink) const;

  const EscapeKernels& kernels_;
};

// Appends text that needs no escaping. Inline: with a literal it is a store or two.
inline void append_verbatim(std::string_view text, LineSink& sink) {
  if (text.empty()) return;  // memcpy takes no null pointer
  char* out = sink.reserve(text.size());
  std::memcpy(out, text.data(), text.size());
  sink.commit(out + text.size());
}

// Takes back everything after the first `size` bytes of the line.
void cut_line(LineSink& sink, size_t size);

// A line in memory of its own; keeps its room when cleared. For parts that are put together
// beside the line.
class ScratchLine final : public LineSink {
 public:
  ScratchLine() = default;
  ScratchLine(const ScratchLine&) = delete;
  ScratchLine& operator=(const ScratchLine&) = delete;

  void clear() { commit(begin_); }
  std::string_view view() const { return {begin_, size()}; }

 private:
  void grow(size_t size) override;

  std::vector<char> memory_;
};

}  // namespace tcp_sniffer
