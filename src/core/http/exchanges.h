#pragma once

#include <bit>
#include <cstdint>

#include "core/base/buffer_pool.h"
#include "core/http/connection.h"
#include "core/http/framing.h"
#include "core/http/request_text.h"

namespace tcp_sniffer {

// A request that waits for its response. Offsets are stream positions: `sent_ack` is how far the
// sender had received the other stream when the request began – which is where its response will
// start, unless it was pipelined after another.
struct Exchange {
  uint32_t number = 0;
  uint32_t start_low = 0;  // where the request starts in its stream: the low half of the offset
  uint64_t sent_ack = 0;   // 0 = not known
  int64_t last_byte_ns = 0;
  uint64_t body_size = 0;
  int64_t first_byte_ns = 0;
  RequestMethodKind method = RequestMethodKind::kOther;
  bool complete : 1 = false;    // the request's last byte was seen
  bool after_loss : 1 = false;  // requests may be missing between the one before and this
  bool alone : 1 = false;       // all that came before it was answered, as far as is known
  Side side = Side::kLow;       // the requester
  uint32_t row = 0;             // HttpSettings::meter's; without one it has no meaning
  RequestText text;             // request_target_max
};

// So that a buffer, whose capacity is a power of two, holds a power of two of them.
static_assert(std::has_single_bit(sizeof(Exchange)));

// The ring of a connection's exchanges, in memory of the pool that exists only while there are
// any. A view of HttpConnection, which stays plain data, for the length of a call.
class ExchangeRing {
 public:
  // The most that `size_max` may be: the index of the oldest one has 16 bits.
  static constexpr uint32_t kSizeMax = 65536;

  ExchangeRing(HttpConnection& http, BufferPool& pool) : http_(http), pool_(pool) {}

  bool empty() const { return http_.exchange_count == 0; }
  uint32_t size() const { return http_.exchange_count; }
  Exchange& at(uint32_t index) {
    return slots()[(http_.first_exchange + index) & (capacity() - 1)];
  }
  Exchange& front() { return at(0); }
  Exchange& back() { return at(size() - 1); }

  // nullptr: `size_max` are waiting, or no memory.
  Exchange* push(uint32_t size_max);
  void pop_front();
  void clear();

 private:
  Exchange* slots() const { return reinterpret_cast<Exchange*>(http_.exchanges.data); }
  uint32_t capacity() const {
    return static_cast<uint32_t>(http_.exchanges.capacity / sizeof(Exchange));
  }
  bool grow();

  HttpConnection& http_;
  BufferPool& pool_;
};

}  // namespace tcp_sniffer
