#include "core/pop3/secrets.h"

#include "core/base/ascii_case.h"

namespace tcp_sniffer {

namespace {

// A polynomial of the bytes modulo 2^64, so that a window of them can move on by one. Texts that
// are made to have equal hashes are hidden, too.
constexpr uint64_t kHashBase = 0x9e3779b97f4a7c15;

uint64_t value_of(char c) {
  return static_cast<uint8_t>(ascii_lower(c)) + uint64_t{1};
}

uint64_t hash_of(std::string_view text) {
  uint64_t hash = 0;
  for (const char c : text) hash = hash * kHashBase + value_of(c);
  return hash;
}

bool has_window(std::string_view text, uint64_t wanted, size_t size) {
  if (text.size() < size) return false;
  uint64_t hash = hash_of(text.substr(0, size));
  uint64_t first_weight = 1;  // of the byte that leaves the window
  for (size_t i = 0; i < size; i++) first_weight *= kHashBase;
  for (size_t end = size; hash != wanted; end++) {
    if (end == text.size()) return false;
    hash = hash * kHashBase + value_of(text[end]) - first_weight * value_of(text[end - size]);
  }
  return true;
}

}  // namespace

void Pop3Secrets::add(std::string_view carried) {
  const size_t end = carried.find_last_not_of(" \t\r\n");
  if (end == std::string_view::npos) return;
  carried = carried.substr(0, end + 1);
  carried.remove_prefix(carried.find_last_of(" \t") + 1);
  if (count_ < kMax) {
    secrets_[count_] = {hash_of(carried), static_cast<uint32_t>(carried.size())};
  }
  if (count_ <= kMax) count_++;
}

bool Pop3Secrets::may_stand_in(std::string_view text) const {
  if (count_ > kMax) return true;
  for (uint32_t i = 0; i < count_; i++) {
    if (has_window(text, secrets_[i].hash, secrets_[i].size)) return true;
  }
  return false;
}

}  // namespace tcp_sniffer
