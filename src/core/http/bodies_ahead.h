#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace tcp_sniffer {

struct OpenMessage;

// Messages whose bodies have more memory than what has come of them asks for, because memory was
// plentiful (BodyMemory::ahead is the place of one here). When memory is short, what they do not
// need yet is taken back before any message loses anything. While there is no place, nothing more
// is given ahead. Owns nothing.
class BodiesAhead {
 public:
  bool is_full() const { return count_ == kPlaces; }
  // One of them; nullptr: there is none.
  OpenMessage* any() const { return count_ == 0 ? nullptr : places_[count_ - 1]; }
  // Nothing happens when it is here. There is a place.
  void add(OpenMessage& open);
  // Nothing happens when it is not.
  void remove(OpenMessage& open);

 private:
  // A quarter of the default memory, in bodies of 256 KiB.
  static constexpr size_t kPlaces = 1024;
  static_assert(kPlaces <= UINT16_MAX);

  std::array<OpenMessage*, kPlaces> places_{};
  size_t count_ = 0;
};

}  // namespace tcp_sniffer
