#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "core/line/json_string.h"
#include "core/line/line_sink.h"

namespace tcp_sniffer {

// Values that a request leaves for the line of its exchange, as one text, read in the order in
// which they were put there:
//
//     | size, 4 bytes | value | size | value | … | last value | its size |
//
// The last one is read first. A value of size 0 is absent. There is always a last one, so the text
// is not empty.
class HeldValues {
 public:
  // Appends what append() appends, as one value.
  template <class Append>
  static void put(LineSink& sink, const Append& append) {
    const size_t at = sink.size();
    sink.commit(sink.reserve(kSizeSize) + kSizeSize);
    append();
    const size_t behind = sink.size() - at;
    const auto size = static_cast<uint32_t>(behind - kSizeSize);
    std::memcpy(sink.reserve(0) - behind, &size, kSizeSize);
  }
  template <class Append>
  static void put_last(LineSink& sink, const Append& append) {
    const size_t at = sink.size();
    append();
    const auto size = static_cast<uint32_t>(sink.size() - at);
    char* out = sink.reserve(kSizeSize);
    std::memcpy(out, &size, kSizeSize);
    sink.commit(out + kSizeSize);
  }

  // Of the text as a whole; empty: there is no request, and every value is absent.
  explicit HeldValues(std::string_view text) : rest_(text) {
    if (rest_.empty()) return;
    const size_t size = size_at(rest_.size() - kSizeSize);
    last_ = rest_.substr(rest_.size() - kSizeSize - size, size);
    rest_.remove_suffix(kSizeSize + size);
  }

  std::string_view last() const { return last_; }
  std::string_view next() {
    if (rest_.empty()) return {};
    const std::string_view value = rest_.substr(kSizeSize, size_at(0));
    rest_.remove_prefix(kSizeSize + value.size());
    return value;
  }

 private:
  static constexpr size_t kSizeSize = sizeof(uint32_t);

  size_t size_at(size_t at) const {
    uint32_t size = 0;
    std::memcpy(&size, rest_.data() + at, kSizeSize);
    return size;
  }

  std::string_view rest_;
  std::string_view last_;
};

}  // namespace tcp_sniffer
