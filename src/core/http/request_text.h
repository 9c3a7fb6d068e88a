#pragma once

#include <cstdint>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// What the line of a response says of its request: the texts with format pretty or select, and the
// client. Empty when nothing of it is kept. Plain data in memory of the shard's pool: whoever holds
// it releases it.
class RequestText {
 public:
  // Replaces nothing: this one is empty before. It stays empty when there is no memory.
  void keep(BufferPool& pool, const ClientAddress& client, std::string_view method,
            std::string_view target, std::string_view host);
  void release(BufferPool& pool) { pool.release(memory_); }

  explicit operator bool() const { return static_cast<bool>(memory_); }
  std::string_view method() const;
  std::string_view target() const;
  std::string_view host() const;
  ClientAddress client() const;

 private:
  // They stand at the beginning of the memory, and the three texts after them.
  struct Sizes {
    uint32_t method = 0;
    uint32_t target = 0;
    uint32_t host = 0;
    ClientAddress client{};
  };

  Sizes sizes() const;
  std::string_view part(size_t offset, size_t size) const;

  Buffer memory_;
};

}  // namespace tcp_sniffer
