#include "core/base/link_names.h"

#include "core/base/text_encoding.h"

namespace tcp_sniffer {

uint16_t LinkNames::add(std::string_view name) {
  // Some writers end it with zeros.
  name = name.substr(0, name.find('\0'));
  if (name.size() > kNameBytesMax) {
    name = name.substr(0, character_boundary(name, kNameBytesMax));
  }
  if (name.empty()) return 0;
  const auto known = ids_.find(name);
  if (known != ids_.end()) return known->second;
  if (ids_.size() + 1 >= kNamesMax) return 0;
  const auto id = static_cast<uint16_t>(ids_.size() + 1);
  names_[id] = name;
  ids_.emplace(name, id);
  return id;
}

}  // namespace tcp_sniffer
