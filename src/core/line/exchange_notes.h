#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "core/message/message.h"

namespace tcp_sniffer {

// What the summary at the end of a run names: the slowest exchanges, and how many each host had.
// Memory of a fixed size: texts are cut, and hosts beyond kHostsMax count together.
class ExchangeNotes {
 public:
  static constexpr size_t kSlowestMax = 5;
  static constexpr size_t kHostsMax = 1000;

  template <size_t kMax>
  struct CutText {
    std::array<char, kMax> bytes;
    uint8_t size = 0;

    std::string_view view() const { return {bytes.data(), size}; }
    void set(std::string_view text);
  };

  struct Slow {
    int64_t latency_ns = 0;
    uint16_t status = 0;
    CutText<16> method;
    CutText<64> host;
    CutText<120> target;
  };
  struct Host {
    CutText<64> name;  // empty: this place is free
    uint64_t exchanges = 0;
    uint64_t errors = 0;  // status 500 and above
    int64_t slowest_ns = 0;
  };

  // Takes its memory.
  ExchangeNotes();

  // A final response that knows its request's texts.
  void add(const Message& response);
  void add(const ExchangeNotes& other);

  // The slowest first.
  std::span<const Slow> slowest() const { return {slowest_.data(), slowest_size_}; }
  // Those with the most exchanges first, at most `hosts_max`.
  std::vector<Host> busiest(size_t hosts_max) const;
  const Host& others() const { return others_; }  // beyond kHostsMax; without a name
  uint64_t errors() const;

 private:
  static constexpr size_t kPlaces = 2048;
  static_assert(kPlaces > kHostsMax);

  void add_slow(const Slow& slow);
  Host& host_of(std::string_view name);
  static void add_to(Host& host, const Host& more);

  std::array<Slow, kSlowestMax> slowest_;
  size_t slowest_size_ = 0;
  std::vector<Host> hosts_;  // a hash table
  size_t host_count_ = 0;
  Host others_;
};

}  // namespace tcp_sniffer
