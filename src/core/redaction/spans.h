#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace tcp_sniffer {

// How a value is written, for its hash.
enum class ValueCoding : uint8_t { kNone, kPercent, kJson };

// The places of a text that must not be shown: [begin, end), which may be empty. Whoever searches
// adds what it finds, in any order; what overlaps becomes one place. One per shard, used again for
// each text.
class Spans {
 public:
  struct Span {
    size_t begin = 0;
    size_t end = 0;
    ValueCoding coding = ValueCoding::kNone;
    bool is_cut = false;  // more of the value may have been sent than is here
    bool quoted = false;  // in JSON, not a string: the placeholder becomes one
  };

  // A text with more places than this is not worth showing; the rest is not kept.
  static constexpr size_t kSpansMax = 65536;

  void clear() {
    spans_.clear();
    base_ = 0;
    too_many_ = false;
  }
  bool empty() const { return spans_.empty(); }
  bool too_many() const { return too_many_; }

  // Places are added relative to this.
  void set_base(size_t base) { base_ = base; }
  void add(Span span) {
    if (spans_.size() == kSpansMax) {
      too_many_ = true;
      return;
    }
    span.begin += base_;
    span.end += base_;
    spans_.push_back(span);
  }
  void add(size_t begin, size_t end, ValueCoding coding = ValueCoding::kNone) {
    add(Span{begin, end, coding});
  }

  // Appends the text to `out` with what `placeholder` has for each place; not when too_many().
  template <typename Placeholders, typename Out>
  void write_without(std::string_view text, Placeholders& placeholder, Out& out) {
    merge();
    size_t at = 0;
    for (const Span& span : spans_) {
      const std::string_view quote = span.quoted ? "\"" : "";
      out.append(text.substr(at, span.begin - at));
      out.append(quote);
      out.append(placeholder.of(text.substr(span.begin, span.end - span.begin), span));
      out.append(quote);
      at = span.end;
    }
    out.append(text.substr(at));
  }

 private:
  void merge();

  std::vector<Span> spans_;
  size_t base_ = 0;
  bool too_many_ = false;
};

}  // namespace tcp_sniffer
