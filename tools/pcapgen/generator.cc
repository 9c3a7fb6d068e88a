#include "generator.h"

#include <algorithm>
#include <array>
#include <numeric>

namespace tcp_sniffer::pcapgen {
namespace {

constexpr std::uint64_t kStartNs = 1'740'139'200ULL * 1'000'000'000;  // 2025-02-21T12:00:00Z
constexpr std::uint64_t kNanosecondsPerMillisecond = 1'000'000;
// Preamble, check sequence and gap between two frames on the wire.
constexpr std::size_t kFrameOverheadBytes = 24;
// Segments a connection puts on the wire before another one gets its turn.
constexpr std::uint64_t kTurnSegments = 8;
// Steps in which the connections of the beginning open, however many they are.
constexpr std::size_t kRampSteps = 1000;
// Packet time that all idle connections take for one exchange each.
constexpr std::uint64_t kIdleRoundNs = 60ULL * 1'000'000'000;

Workload kind_of_connection(const Options& options, Random& random) {
  if (options.workload != Workload::kMixed) return options.workload;
  constexpr std::array<Workload, 8> kKinds = {Workload::kBulk,  Workload::kApi,   Workload::kApi,
                                              Workload::kMixed, Workload::kMixed, Workload::kShort,
                                              Workload::kShort, Workload::kShort};
  return kKinds[random.below(kKinds.size())];
}

}  // namespace

Generator::Generator(const Options& options)
    : options_(options),
      random_(options.seed),
      content_(options.seed, options.gzip > 0),
      exchanges_(options, content_),
      disturbance_(options),
      bystanders_(options),
      datagram_(CaptureWriter::kFrameBytesMax),
      clock_ns_(kStartNs),
      byte_time_fraction_(static_cast<std::uint64_t>(8e9 / options.rate_bits * 65536)) {}

bool Generator::run() {
  if (!writer_.open(options_.output, options_.nanosecond)) return fail(writer_.error());
  if (options_.lines && !lines_.open(expected_path("ndjson"))) {
    return fail(expected_path("ndjson") + ": cannot be opened for writing");
  }
  if (options_.workload == Workload::kIdle) {
    run_idle();
  } else {
    run_interleaved();
  }
  if (!writer_.close()) return fail(writer_.error());
  if (!lines_.close()) return fail(expected_path("ndjson") + ": could not be written");
  ledger_.packets = writer_.packets();
  ledger_.capture_bytes = writer_.bytes();
  ledger_.frame_bytes = writer_.frame_bytes();
  const std::string path = expected_path("json");
  return path.empty() || write_ledger(path, options_, ledger_, error_);
}

bool Generator::fail(const std::string& error) {
  error_ = error;
  return false;
}

std::string Generator::expected_path(const char* suffix) const {
  if (!options_.expected.empty()) {
    return options_.expected + (suffix[0] == 'n' ? ".ndjson" : "");
  }
  if (options_.output == "-") return {};
  return options_.output + ".expected." + suffix;
}

void Generator::open(Connection& connection) {
  const bool garbage = random_.chance(options_.garbage);
  connection.open(options_, connections_opened_++, kind_of_connection(options_, random_), garbage,
                  random_);
  ++(garbage ? ledger_.garbage_connections : ledger_.connections);
}

// Connections open one after the other in the first moments and are replaced as they end, until
// the capture is large enough; then each comes to its end.
void Generator::run_interleaved() {
  std::vector<Connection> slots(static_cast<std::size_t>(options_.concurrency));
  const std::size_t opened_at_once = 1 + slots.size() / kRampSteps;
  std::size_t open_count = 0;
  bool ending = false;
  while (!writer_.failed()) {
    const bool full = writer_.bytes() >= options_.size_bytes;
    const auto more = [&] {
      return !full &&
             (options_.connections_max == 0 || connections_opened_ < options_.connections_max);
    };
    if (full && !ending) {
      ending = true;
      for (std::size_t i = 0; i < open_count; ++i) slots[i].finish_soon();
    }
    for (std::size_t i = 0; more() && i < opened_at_once && open_count < slots.size(); ++i) {
      open(slots[open_count++]);
    }
    if (open_count == 0) return;
    for (std::uint64_t turns = 0; turns < 4 && open_count != 0; ++turns) {
      const auto slot = static_cast<std::size_t>(random_.below(open_count));
      if (take_turn(slots[slot])) continue;
      if (more()) {
        open(slots[slot]);
      } else {
        std::swap(slots[slot], slots[--open_count]);
      }
    }
  }
}

// A connection is remembered by its sequence numbers alone, so millions of them fit into memory.
void Generator::run_idle() {
  struct Sequences {
    std::uint32_t client, server;
  };
  const std::uint64_t count = options_.connections_max;
  std::vector<Sequences> remembered(count);
  Connection connection;
  const auto open_again = [&](std::uint64_t index) {
    Random own(options_.seed ^ Random::mix(index));
    connection.open(options_, index, Workload::kIdle, false, own);
  };
  for (std::uint64_t index = 0; index < count; ++index) {
    open_again(index);
    ++ledger_.connections;
    emit_flight(connection);
    remembered[index] = {connection.client().next_sequence, connection.server().next_sequence};
  }
  for (std::uint64_t round = 0; round < options_.exchanges; ++round) {
    // Another order in each round: an odd step that shares no factor with the count.
    std::uint64_t step = (random_.below(count) * 2 + 1) % count;
    while (std::gcd(step, count) != 1) ++step;
    std::uint64_t index = random_.below(count);
    for (std::uint64_t i = 0; i < count; ++i) {
      if (writer_.failed()) return;
      index = (index + step) % count;
      open_again(index);
      connection.resume(remembered[index].client, remembered[index].server, 1);
      while (prepare_flight(connection)) emit_flight(connection);
      remembered[index] = {connection.client().next_sequence, connection.server().next_sequence};
      clock_ns_ += kIdleRoundNs / count;
    }
  }
}

// False when the connection has ended.
bool Generator::take_turn(Connection& connection) {
  std::uint64_t left = random_.between(1, kTurnSegments);
  while (true) {
    const std::vector<Segment>& segments = connection.flight.segments;
    if (connection.emitted == segments.size()) return prepare_flight(connection);
    const Segment& segment = segments[connection.emitted++];
    emit(connection, segment);
    if (left != 0) --left;
    if (left == 0 && !segment.glued) return true;
  }
}

void Generator::emit_flight(Connection& connection) {
  if (connection.flight.segments.empty() && !prepare_flight(connection)) return;
  for (const Segment& segment : connection.flight.segments) emit(connection, segment);
  connection.emitted = connection.flight.segments.size();
}

bool Generator::prepare_flight(Connection& connection) {
  if (!connection.plan(options_, content_, exchanges_, random_)) return false;
  static const std::vector<Disturbance::Range> kNothingMissing;
  account(connection, disturbance_.active()
                          ? disturbance_.apply(connection.flight, random_, ledger_)
                          : kNothingMissing);
  return true;
}

void Generator::account(Connection& connection, const std::vector<Disturbance::Range>& missing) {
  const Flight& flight = connection.flight;
  ledger_.stream_bytes += flight.end - flight.begin;
  if (connection.garbage()) ledger_.garbage_bytes += flight.end - flight.begin;
  std::vector<Message>& messages = connection.batch.messages;
  for (const auto& [begin, end] : missing) {
    ledger_.bytes_lost += end - begin;
    for (Message& message : messages) {
      const std::uint64_t from = std::max(begin, message.begin);
      const std::uint64_t to = std::min(end, message.end);
      if (from < to) message.lost_bytes += to - from;
    }
  }
  std::size_t& next = connection.messages_counted;
  for (; next < messages.size() && messages[next].end <= flight.end; ++next) {
    const Message& message = messages[next];
    ++ledger_.messages;
    ++(message.request ? ledger_.requests : ledger_.responses);
    ledger_.body_bytes += message.body.size();
    if (message.lost_bytes != 0) ++ledger_.messages_damaged;
    if (lines_.is_open()) lines_.write(connection.batch, message);
  }
}

void Generator::emit(Connection& connection, const Segment& segment) {
  Side& from = connection.side(segment.from_client);
  const Side& to = connection.side(!segment.from_client);
  TcpFields fields;
  fields.sequence = segment.sequence;
  fields.acknowledgment = segment.acknowledgment;
  fields.flags = segment.flags;
  fields.timestamp_value =
      from.timestamp_offset + static_cast<std::uint32_t>(clock_ns_ / kNanosecondsPerMillisecond);
  fields.timestamp_echo = to.timestamp_last;
  fields.ip_id = from.ip_id++;
  from.timestamp_last = fields.timestamp_value;

  const std::size_t header_bytes = from.frames.header_bytes(segment.flags);
  const std::size_t room = header_bytes + segment.bytes + FrameTemplate::kFrameBytesMin;
  std::uint8_t* const frame = segment.fragmented ? datagram_.data() : writer_.frame_space(room);
  connection.batch.copy(segment.begin, segment.bytes, frame + header_bytes);
  const std::size_t bytes = from.frames.finish(frame, fields, segment.bytes);
  ledger_.payload_bytes += segment.bytes;
  if (segment.fragmented) {
    emit_fragments(from.frames, frame, header_bytes + segment.bytes);
  } else {
    writer_.commit(bytes, bytes, clock_ns_);
  }
  advance_clock(bytes);
  if (bystanders_.active()) bystanders_.after_packet(clock_ns_, random_, writer_, ledger_);
}

void Generator::emit_fragments(const FrameTemplate& frames, const std::uint8_t* frame,
                               std::size_t bytes) {
  cut_into_fragments({frame, bytes}, frames.network_offset(), frames.ipv6(), fragment_id_++,
                     random_.between(2, 3), fragments_);
  if (fragments_.count == 0) {
    std::copy_n(frame, bytes, writer_.frame_space(bytes));
    writer_.commit(bytes, bytes, clock_ns_);
    return;
  }
  const bool last_first = random_.below(4) == 0;
  for (std::size_t i = 0; i < fragments_.count; ++i) {
    const std::size_t which = last_first ? fragments_.count - 1 - i : i;
    const std::size_t size = fragments_.size[which];
    std::copy_n(fragments_.frame[which].data(), size, writer_.frame_space(size));
    writer_.commit(size, size, clock_ns_);
  }
  ++ledger_.fragmented_datagrams;
  ledger_.fragments += fragments_.count;
}

void Generator::advance_clock(std::size_t frame_bytes) {
  time_fraction_ += (frame_bytes + kFrameOverheadBytes) * byte_time_fraction_;
  clock_ns_ += time_fraction_ >> 16U;
  time_fraction_ &= 0xffffU;
}

}  // namespace tcp_sniffer::pcapgen
