#include "core/http/request_text.h"

#include <cstring>

namespace tcp_sniffer {

void RequestText::keep(BufferPool& pool, const ClientAddress& client, std::string_view method,
                       std::string_view target, std::string_view host) {
  memory_ = pool.allocate(sizeof(Sizes) + method.size() + target.size() + host.size());
  if (!memory_) return;
  const Sizes sizes{static_cast<uint32_t>(method.size()), static_cast<uint32_t>(target.size()),
                    static_cast<uint32_t>(host.size()), client};
  std::memcpy(memory_.data, &sizes, sizeof(sizes));
  uint8_t* at = memory_.data + sizeof(sizes);
  for (const std::string_view part : {method, target, host}) {
    part.copy(reinterpret_cast<char*>(at), part.size());
    at += part.size();
  }
}

std::string_view RequestText::method() const {
  return part(0, sizes().method);
}

std::string_view RequestText::target() const {
  return part(sizes().method, sizes().target);
}

std::string_view RequestText::host() const {
  return part(size_t{sizes().method} + sizes().target, sizes().host);
}

ClientAddress RequestText::client() const {
  return sizes().client;
}

RequestText::Sizes RequestText::sizes() const {
  Sizes sizes;
  if (memory_) std::memcpy(&sizes, memory_.data, sizeof(sizes));
  return sizes;
}

std::string_view RequestText::part(size_t offset, size_t size) const {
  if (!memory_) return {};
  return {reinterpret_cast<const char*>(memory_.data) + sizeof(Sizes) + offset, size};
}

}  // namespace tcp_sniffer
