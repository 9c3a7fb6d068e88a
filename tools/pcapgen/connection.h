#pragma once

#include <cstdint>
#include <vector>

#include "batch.h"
#include "exchange.h"
#include "frame.h"
#include "options.h"
#include "random.h"
#include "segment.h"

namespace tcp_sniffer::pcapgen {

// One end of a connection.
struct Side {
  FrameTemplate frames;
  std::uint32_t next_sequence = 0;
  std::uint32_t timestamp_offset = 0;  // of its TCP timestamps clock (RFC 7323)
  std::uint32_t timestamp_last = 0;
  std::uint16_t ip_id = 0;
};

// A TCP connection that plans its own flights: handshake, requests, responses, end. The generator
// emits a flight, in as many turns as it likes, before it asks for the next; the batch that the
// flight points into stays untouched until then. Slots are reused: open() begins a new connection.
class Connection {
 public:
  // `index` decides addresses and ports; no two indices below 1.8e9 share them.
  void open(const Options& options, std::uint64_t index, Workload workload, bool garbage,
            Random& random);

  // The next flight; false when the connection has ended and the flight is empty.
  bool plan(const Options& options, const Content& content, ExchangeWriter& exchanges,
            Random& random);

  // The next batch of requests is the last one.
  void finish_soon() { remaining_ = 0; }

  // For the idle workload, which keeps a million connections as no more than their sequence
  // numbers: continue an established one.
  void resume(std::uint32_t client_sequence, std::uint32_t server_sequence,
              std::uint64_t exchanges);

  bool garbage() const { return garbage_; }
  const Side& client() const { return client_; }
  const Side& server() const { return server_; }
  Side& side(bool client) { return client ? client_ : server_; }

  Batch batch;
  Flight flight;
  std::size_t emitted = 0;           // segments of the flight
  std::size_t messages_counted = 0;  // of the batch

 private:
  enum class Phase { kHandshake, kRequests, kSendRequests, kSendResponses, kEnded };

  void set_addresses(const Options& options, std::uint64_t index, Random& random);
  void add(bool from_client, std::uint8_t flags, std::uint64_t begin = 0, std::uint32_t bytes = 0);
  void add_handshake();
  void add_end(const Options& options, Random& random);
  void send_batch(const Options& options, bool from_client, Random& random);
  void write_requests(const Options& options, const Content& content, ExchangeWriter& exchanges,
                      Random& random);
  void write_responses(const Content& content, ExchangeWriter& exchanges, Random& random);

  Side client_;
  Side server_;
  Phase phase_ = Phase::kEnded;
  Workload workload_ = Workload::kBulk;
  bool garbage_ = false;
  bool ipv6_ = false;
  bool stays_open_ = false;
  bool until_close_ = false;
  std::uint64_t remaining_ = 0;  // exchanges
  std::uint64_t garbage_bytes_ = 0;
  std::uint64_t sent_ = 0;  // of the batch
  std::uint32_t segment_bytes_max_ = 0;
  std::uint32_t unacknowledged_ = 0;  // segments since the receiver's last ACK
  std::vector<Exchange> exchanges_;
};

}  // namespace tcp_sniffer::pcapgen
