#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace tcp_sniffer {

// The names of the interfaces that a run's packets come from, by link_id. The id 0 is that of
// interfaces without a name.
//
// The threads that read packets add names, one at a time; a name is at its place before the first
// packet with its id is handed on, and never changes. So any thread may read the names of the
// packets that it has.
class LinkNames {
 public:
  // A capture file may name any number of interfaces; further ones have no name.
  static constexpr size_t kNamesMax = 4096;
  // Linux has 15 bytes, Windows some 50. A longer one is cut.
  static constexpr size_t kNameBytesMax = 255;

  // The id of this name, the same for the same name; 0: it is empty, or there are too many.
  uint16_t add(std::string_view name);
  // Empty: the interface has no name.
  std::string_view of(uint16_t link_id) const {
    return link_id < kNamesMax ? std::string_view(names_[link_id]) : std::string_view();
  }

 private:
  std::unique_ptr<std::string[]> names_ = std::make_unique<std::string[]>(kNamesMax);
  std::map<std::string, uint16_t, std::less<>> ids_;
};

}  // namespace tcp_sniffer
