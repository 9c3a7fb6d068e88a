#include "core/message/connection_identity.h"

#include <new>

namespace tcp_sniffer {

ConnectionExtras* ConnectionIdentity::make_extras(BufferPool& pool) {
  if (extras != nullptr) return extras;
  const Buffer memory = pool.allocate(sizeof(ConnectionExtras));
  if (memory) extras = new (memory.data) ConnectionExtras;
  return extras;
}

void ConnectionIdentity::release_extras(BufferPool& pool) {
  if (extras == nullptr) return;
  extras->opening.release(pool);
  Buffer memory{reinterpret_cast<uint8_t*>(extras),
                BufferPool::capacity_of(sizeof(ConnectionExtras))};
  pool.release(memory);
  extras = nullptr;
}

}  // namespace tcp_sniffer
