#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

// {"ip":"192.0.2.1","port":80}: at most 68 bytes, and up to 32 more that may be touched. Returns
// the end.
char* write_endpoint(char* out, const Endpoint& endpoint);

// What every line of a connection has in common, as text.
struct ConnectionText {
  static constexpr size_t kIdSize = 16;
  static constexpr size_t kEndpointsSizeMax = 160;  // two of 68 and the key between them

  uint64_t connection_id = 0;
  Endpoint receiver;
  Endpoint destination;
  uint8_t size = 0;                               // of `endpoints`; 0 = nothing here
  std::array<char, kIdSize> id;                   // 16 hexadecimal digits
  std::array<char, kEndpointsSizeMax> endpoints;  // {"ip":…,"port":…},"destination":{…}
};

// Keeps the text of the connections that sent messages lately, so that it is made once for a busy
// one. A connection's id decides its place, which belongs to the last connection that used it. One
// per line writer.
class ConnectionTexts {
 public:
  // Of 256 bytes each. Larger serves more connections at a time, smaller leaves more of the
  // processor's caches to the rest. With 256 busy connections 64 places failed three messages of
  // four, 256 one of three.
  static constexpr size_t kPlaces = 256;

  ConnectionTexts() : texts_(std::make_unique<ConnectionText[]>(kPlaces)) {}

  // Valid until the next call.
  const ConnectionText& of(uint64_t connection_id, const Endpoint& receiver,
                           const Endpoint& destination) {
    ConnectionText& text = texts_[connection_id % kPlaces];
    if (text.connection_id != connection_id || text.size == 0 || text.receiver != receiver ||
        text.destination != destination) [[unlikely]] {
      make(connection_id, receiver, destination, text);
    }
    return text;
  }

 private:
  static void make(uint64_t connection_id, const Endpoint& receiver, const Endpoint& destination,
                   ConnectionText& text);

  std::unique_ptr<ConnectionText[]> texts_;
};

}  // namespace tcp_sniffer
