#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "core/redaction/names.h"
#include "core/redaction/spans.h"

namespace tcp_sniffer {

// Finds the values of the named keys in text that is JSON, or holds some: lines of it, events, a
// script, a string of another JSON text with its quotes escaped (\"key\", \u0022key\u0022). It
// looks at each ':' and at what stands before it, and not at where strings begin: so a part of a
// text, or a text that is not quite JSON, does not mislead it. A key may be written in quotes
// of both kinds or none.
//
// A value is a string to its closing quote, an object or array to its closing bracket, a number or
// word to its end, and without the end all that is left. One per shard; `names` outlives it.
class KeyScanner {
 public:
  static constexpr size_t kKeyMax = 4096;  // a longer one is none

  explicit KeyScanner(const FieldNames& names);

  void scan(std::string_view text, Spans& spans);
  // Whether the text has such a key.
  bool find(std::string_view text);

 private:
  // What stands before a ':'.
  struct Key {
    std::string_view name;
    char quote = 0;    // 0: written without
    size_t level = 0;  // how many strings it is in
  };

  static Key key_before(std::string_view text, size_t colon);
  bool covers(std::string_view text, size_t colon, const Key& key);
  Spans::Span value_at(std::string_view text, size_t from, const Key& key) const;
  size_t& met_until(size_t path, size_t met) { return met_until_[first_[path] + met]; }

  const FieldNames& names_;
  // Up to where the first `met` elements of a path are met by the keys around: one entry for each
  // path and number of elements.
  std::vector<size_t> met_until_;
  std::vector<size_t> first_;  // of each path
  std::string name_;
  bool is_json_ = false;
};

}  // namespace tcp_sniffer
