#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// What the login commands carried whose replies have not all come, to find the replies that quote
// it. Only sizes and hashes are kept; a reply is searched in O(its size).
class Pop3Secrets {
 public:
  static constexpr uint32_t kMax = 4;

  // Of `carried` the last word: a password, a digest, or an answer in base64. Whoever quotes more
  // of it quotes that, too.
  void add(std::string_view carried);
  // Whether `text` has one of them, in any case; with more than kMax of them, always.
  bool may_stand_in(std::string_view text) const;
  void clear() { count_ = 0; }

 private:
  struct Secret {
    uint64_t hash = 0;
    uint32_t size = 0;
  };

  std::array<Secret, kMax> secrets_{};
  uint32_t count_ = 0;
};

}  // namespace tcp_sniffer
