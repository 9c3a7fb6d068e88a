#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

// Takes an input of a fuzz target apart, byte by byte from its beginning, so that a mutated byte
// changes one choice. An input that is used up gives zeros.
namespace tcp_sniffer::fuzz {

class FuzzInput {
 public:
  FuzzInput(const uint8_t* data, size_t size) : rest_(data, size) {}

  bool empty() const { return rest_.empty(); }
  size_t size() const { return rest_.size(); }

  uint8_t u8() {
    if (rest_.empty()) return 0;
    const uint8_t value = rest_.front();
    rest_ = rest_.subspan(1);
    return value;
  }
  uint16_t u16() { return static_cast<uint16_t>(u8() << 8 | u8()); }
  uint32_t u32() { return uint32_t{u16()} << 16 | u16(); }
  // From 0 to `bound` - 1; `bound` is at most 256.
  size_t below(size_t bound) { return u8() % bound; }

  // At most `size` bytes, views of the input.
  std::span<const uint8_t> bytes(size_t size) {
    const auto taken = rest_.first(std::min(size, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  std::string_view text(size_t size) {
    const auto taken = bytes(size);
    return {reinterpret_cast<const char*>(taken.data()), taken.size()};
  }
  std::string_view rest() { return text(rest_.size()); }

 private:
  std::span<const uint8_t> rest_;
};

}  // namespace tcp_sniffer::fuzz

// What each target defines. Expectations of GoogleTest say what is wrong; under libFuzzer the first
// one that fails ends the process.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
