#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "core/message/message.h"

namespace tcp_sniffer {

// Which fields of a message have the same name (without regard to ASCII case), so that the values
// of one name come out as one array. Most messages repeat none: that is found out with a filter
// of 512 bits. n fields cost O(n log n) at worst, whatever names the wire sends. One per line
// writer; the answer holds until the next find().
class HeaderRepeats {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};

  // True when a name occurs more than once; only then may the other functions be asked.
  bool find(std::span<const HeaderField> fields);

  // The next field of the same name, or kNone.
  uint32_t next(uint32_t field) const { return next_[field]; }
  // Has an earlier field the same name?
  bool is_repeat(uint32_t field) const { return repeat_[field]; }

 private:
  bool find_among_few(std::span<const HeaderField> fields);
  bool find_by_sorting(std::span<const HeaderField> fields);
  void start_links(size_t fields);
  void link(uint32_t earlier, uint32_t later);

  std::vector<uint32_t> next_;
  std::vector<uint8_t> repeat_;
  std::vector<uint64_t> hashes_;
  std::vector<uint32_t> order_;
};

}  // namespace tcp_sniffer
