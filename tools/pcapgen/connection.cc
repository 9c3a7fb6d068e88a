#include "connection.h"

#include <algorithm>

namespace tcp_sniffer::pcapgen {
namespace {

// Segments with payload a flight has at most, when no holes ask for more: about what a server
// sends before it waits for ACKs.
constexpr std::uint64_t kFlightSegments = 32;

constexpr std::uint64_t kClients = 65536;
constexpr std::uint64_t kEphemeralFirst = 32768;
constexpr std::uint64_t kEphemeralPorts = 28232;
constexpr std::uint64_t kServers = 8;

std::uint64_t exchanges_of(Workload workload, Random& random) {
  switch (workload) {
    case Workload::kBulk:
      return 30;
    case Workload::kApi:
    case Workload::kTiny:
      return 500;
    case Workload::kShort:
      return 1;
    case Workload::kIdle:
      return 0;
    case Workload::kMixed:
      return random.between(1, 60);
  }
  return 1;
}

}  // namespace

void Connection::open(const Options& options, std::uint64_t index, Workload workload, bool garbage,
                      Random& random) {
  workload_ = workload;
  garbage_ = garbage;
  stays_open_ = options.workload == Workload::kIdle;
  until_close_ = false;
  phase_ = Phase::kHandshake;
  garbage_bytes_ = garbage ? options.garbage_bytes : 0;
  remaining_ = garbage                  ? 0
               : stays_open_            ? 0
               : options.exchanges != 0 ? options.exchanges
                                        : exchanges_of(workload, random);
  sent_ = 0;
  unacknowledged_ = 0;
  batch.clear();
  flight.clear();
  exchanges_.clear();
  emitted = 0;
  messages_counted = 0;
  set_addresses(options, index, random);
}

void Connection::set_addresses(const Options& options, std::uint64_t index, Random& random) {
  // Multiplying by an odd number scatters the clients without repeating one.
  const std::uint64_t client = index * 40503 % kClients;
  const std::uint64_t round = index / kClients;
  const std::uint64_t traits = Random::mix(index ^ options.seed << 20U);
  ipv6_ = options.ipv6 > 0 && static_cast<double>(traits >> 11U) * 0x1.0p-53 < options.ipv6;

  Endpoint from;
  Endpoint to;
  from.port =
      static_cast<std::uint16_t>(kEphemeralFirst + (Random::mix(client) + round) % kEphemeralPorts);
  to.port = options.ports[traits % options.ports.size()];
  const auto high = static_cast<std::uint8_t>(client >> 8U);
  const auto low = static_cast<std::uint8_t>(client);
  const auto server = static_cast<std::uint8_t>(10 + (traits >> 16U) % kServers);
  if (ipv6_) {
    from.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, high, low};
    to.ip = {0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, server};
  } else {
    from.ip = {10, 20, high, low};
    to.ip = {192, 168, 10, server};
  }
  client_.frames.prepare(options, ipv6_, from, to, true);
  server_.frames.prepare(options, ipv6_, to, from, false);
  for (Side* side : {&client_, &server_}) {
    const std::uint64_t numbers = random.next();
    side->next_sequence = static_cast<std::uint32_t>(numbers);
    side->timestamp_offset = static_cast<std::uint32_t>(numbers >> 34U);
    side->ip_id = static_cast<std::uint16_t>(numbers >> 48U);
    side->timestamp_last = 0;
  }
  const std::uint64_t headers = (ipv6_ ? 40U : 20U) + (options.tcp_timestamps ? 32U : 20U);
  segment_bytes_max_ = static_cast<std::uint32_t>(options.mtu - headers);
}

void Connection::resume(std::uint32_t client_sequence, std::uint32_t server_sequence,
                        std::uint64_t exchanges) {
  client_.next_sequence = client_sequence;
  server_.next_sequence = server_sequence;
  remaining_ = exchanges;
  phase_ = Phase::kRequests;
}

void Connection::add(bool from_client, std::uint8_t flags, std::uint64_t begin,
                     std::uint32_t bytes) {
  Side& from = side(from_client);
  Segment segment;
  segment.begin = begin;
  segment.bytes = bytes;
  segment.sequence = from.next_sequence;
  segment.acknowledgment = (flags & kAck) != 0 ? side(!from_client).next_sequence : 0;
  segment.flags = flags;
  segment.from_client = from_client;
  from.next_sequence += bytes + ((flags & (kSyn | kFin)) != 0 ? 1U : 0U);
  flight.segments.push_back(segment);
}

void Connection::add_handshake() {
  add(true, kSyn);
  add(false, kSyn | kAck);
  add(true, kAck);
}

void Connection::add_end(const Options& options, Random& random) {
  const bool client_first = !until_close_ && random.below(2) == 0;
  if (!until_close_ && random.chance(options.resets)) {
    add(client_first, kRst | kAck);
    return;
  }
  add(client_first, kFin | kAck);
  add(!client_first, kFin | kAck);
  add(client_first, kAck);
}

bool Connection::plan(const Options& options, const Content& content, ExchangeWriter& exchanges,
                      Random& random) {
  flight.clear();
  emitted = 0;
  switch (phase_) {
    case Phase::kHandshake:
      add_handshake();
      phase_ = stays_open_ ? Phase::kEnded : Phase::kRequests;
      return true;
    case Phase::kRequests:
      write_requests(options, content, exchanges, random);
      if (batch.bytes() == 0) {
        phase_ = Phase::kEnded;
        if (!stays_open_) add_end(options, random);
        return !stays_open_;
      }
      phase_ = Phase::kSendRequests;
      [[fallthrough]];
    case Phase::kSendRequests:
      if (sent_ == batch.bytes()) {
        write_responses(content, exchanges, random);
        phase_ = Phase::kSendResponses;
      } else {
        send_batch(options, true, random);
        return true;
      }
      [[fallthrough]];
    case Phase::kSendResponses:
      if (sent_ == batch.bytes()) {
        phase_ = Phase::kRequests;
        return plan(options, content, exchanges, random);
      }
      send_batch(options, false, random);
      if (sent_ == batch.bytes() && remaining_ == 0 && garbage_bytes_ == 0 && !stays_open_) {
        add_end(options, random);
        phase_ = Phase::kEnded;
      }
      return true;
    case Phase::kEnded:
      return false;
  }
  return false;
}

void Connection::send_batch(const Options& options, bool from_client, Random& random) {
  const std::uint64_t segments_max = options.holes != 0 ? 2 * options.holes : kFlightSegments;
  flight.begin = sent_;
  std::uint32_t index = 0;
  while (index < segments_max && sent_ != batch.bytes()) {
    const auto bytes = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(segment_bytes_max_, batch.bytes() - sent_));
    const bool last = sent_ + bytes == batch.bytes();
    add(from_client, last ? kPsh | kAck : kAck, sent_, bytes);
    flight.segments.back().index = index++;
    sent_ += bytes;
    if (++unacknowledged_ == 2) {
      add(!from_client, kAck);
      unacknowledged_ = 0;
    }
  }
  flight.end = sent_;
  if (sent_ != batch.bytes() || unacknowledged_ == 0) return;
  // The rest is acknowledged on its own, or by what the other side sends next.
  const bool ends = !from_client && remaining_ == 0;
  if (ends || stays_open_ || random.below(4) < (from_client ? 1U : 2U)) add(!from_client, kAck);
  unacknowledged_ = 0;
}

void Connection::write_requests(const Options& options, const Content& content,
                                ExchangeWriter& exchanges, Random& random) {
  batch.clear();
  exchanges_.clear();
  sent_ = 0;
  messages_counted = 0;
  if (garbage_) {
    const std::uint64_t bytes = std::min<std::uint64_t>(garbage_bytes_ / 2, 8000);
    batch.add_view(content.garbage().substr(0, bytes));
    garbage_bytes_ -= bytes;
    if (bytes == 0) garbage_bytes_ = 0;
    return;
  }
  const std::uint64_t count =
      std::min(remaining_, options.pipeline > 1 ? random.between(1, options.pipeline) : 1);
  for (std::uint64_t i = 0; i < count; ++i) {
    --remaining_;
    const bool last = remaining_ == 0 && !stays_open_;
    exchanges_.push_back(exchanges.choose(workload_, last, random));
    exchanges.append_request(exchanges_.back(), workload_, random, batch);
    until_close_ = exchanges_.back().until_close;
  }
}

void Connection::write_responses(const Content& content, ExchangeWriter& exchanges,
                                 Random& random) {
  batch.clear();
  sent_ = 0;
  messages_counted = 0;
  if (garbage_) {
    const std::uint64_t bytes = std::min<std::uint64_t>(garbage_bytes_, 65536);
    const std::uint64_t from = random.below(content.garbage().size() - bytes);
    batch.add_view(content.garbage().substr(from, bytes));
    garbage_bytes_ -= bytes;
    return;
  }
  for (const Exchange& exchange : exchanges_) {
    exchanges.append_response(exchange, workload_, random, batch);
  }
}

}  // namespace tcp_sniffer::pcapgen
