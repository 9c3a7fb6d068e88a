#include "core/protocol/protocols.h"

#include <new>

#include "core/http/start_line.h"

namespace tcp_sniffer {

namespace {

std::string_view payload_of(const Segment& segment) {
  return {reinterpret_cast<const char*>(segment.payload), segment.payload_size};
}

// A segment that begins a message of HTTP, or enough of one that may.
bool begins_http(std::string_view payload) {
  constexpr uint32_t kEnough = 64;
  switch (guess_start(payload)) {
    case StartGuess::kRequest:
    case StartGuess::kResponse:
      return true;
    case StartGuess::kMaybe:
      return payload.size() >= kEnough;
    default:
      return false;
  }
}

template <class State>
Buffer memory_of(State& state) {
  return {reinterpret_cast<uint8_t*>(&state), BufferPool::capacity_of(sizeof(State))};
}

bool is_alone(const std::array<bool, kProtocolNames.size()>& spoken) {
  for (size_t i = 0; i < spoken.size(); i++) {
    if (spoken[i] != (i == kHttpNumber)) return false;
  }
  return true;
}

template <class... Engines>
std::tuple<Engines...> make_engines(std::type_identity<std::tuple<Engines...>>, uint64_t body_max,
                                    BufferPool& pool, ShardCounters& counters,
                                    MessageEmitter& emitter) {
  return {Engines(body_max, pool, counters, emitter)...};
}

}  // namespace

Protocols::Protocols(const ProtocolSettings& settings, BufferPool& pool, ShardCounters& counters,
                     MessageOutput& output, EventSink& events)
    : spoken_(settings.spoken),
      is_http_alone_(is_alone(settings.spoken)),
      pool_(pool),
      counters_(counters),
      http_(settings.http, pool, counters, output, events),
      emitter_(settings.http.client, counters, output),
      engines_(make_engines(std::type_identity<Engines>(), settings.http.body_max, pool, counters,
                            emitter_)) {}

void Protocols::change(const ProtocolSettings& settings) {
  const HttpSettings& http = settings.http;
  http_.change(http);
  emitter_.change_clients(http.client);
  std::apply([&](auto&... engine) { (engine.change_body_max(http.body_max), ...); }, engines_);
}

bool Protocols::begins_message(const Segment& segment) const {
  if (spoken_[kHttpNumber] && begins_http(payload_of(segment))) return true;
  if (is_http_alone_) return false;
  const std::span<const uint8_t> bytes(segment.payload, segment.payload_size);
  size_t number = kHttpNumber;
  return std::apply(
      [&]<class... Engine>(const Engine&...) {
        return ((spoken_[++number] && Engine::recognises(segment.key, bytes)) || ...);
      },
      engines_);
}

bool Protocols::holds_memory(const ConnectionProtocol& protocol,
                             const ConnectionIdentity& identity) {
  const HttpConnection& http = protocol.http_;
  return http.streams[0].open != nullptr || http.streams[1].open != nullptr ||
         static_cast<bool>(http.exchanges) || identity.extras != nullptr;
}

size_t Protocols::held_bytes(const ConnectionProtocol& protocol,
                             const ConnectionIdentity& identity) const {
  size_t held = HttpEngine::held_bytes(protocol.http_);
  const ConnectionExtras* extras = identity.extras;
  if (extras == nullptr) return held;
  held += BufferPool::kSizeMin + extras->opening.memory.capacity + extras->waiting.held_bytes;
  with_chosen(engines_, extras, [&](const auto& engine, const auto& state) {
    held += BufferPool::capacity_of(sizeof(state)) + engine.held_bytes(state);
  });
  return held;
}

// The first bytes of a connection, from either side, decide which protocol it speaks.
void Protocols::choose(ProtocolChoice& choice, ConnectionIdentity& identity,
                       std::span<const uint8_t> first_bytes) {
  choice.set(ProtocolChoice::kChosen);
  size_t number = kHttpNumber;
  const auto take_one = [&](auto& engine) {
    using Engine = std::remove_cvref_t<decltype(engine)>;
    using State = typename Engine::State;
    if (!spoken_[++number] || !engine.recognises(identity.key, first_bytes)) return false;
    ConnectionExtras* extras = identity.make_extras(pool_);
    if (extras == nullptr) return true;
    const Buffer memory = pool_.allocate(sizeof(State));
    if (!memory) return true;
    auto* state = new (memory.data) State(identity);
    extras->protocol_state = state;
    extras->protocol = static_cast<uint8_t>(number);
    for (const Side side : {Side::kLow, Side::kHigh}) {
      if (choice.has(ProtocolChoice::kMidstream, side)) {
        engine.start_midstream(*state, side);
      }
    }
    return true;
  };
  std::apply([&](auto&... engine) { (take_one(engine) || ...); }, engines_);
}

// ---------------------------------------------------------------- one connection

uint32_t ProtocolCall::choose_and_pass_on(Side side, uint64_t offset,
                                          std::span<const uint8_t> bytes, const SegmentMeta& meta,
                                          bool force) {
  if (!choice_.has(ProtocolChoice::kChosen)) {
    // What decides may have been sent before it.
    const bool in_middle = choice_.has(ProtocolChoice::kMidstream, side);
    if (in_middle && !force && http(side).must_hold_back()) return 0;
    protocols_.choose(choice_, identity(), bytes);
  }
  auto taken = static_cast<uint32_t>(bytes.size());
  if (with_chosen([&](auto& engine, auto& state) {
        taken = engine.consume(state, identity(), side, offset, bytes, meta, force);
      })) {
    return taken;
  }
  if (protocols_.spoken_[kHttpNumber]) {
    return http(side).consume(offset, bytes, meta, force);
  }
  protocols_.counters_.add(ShardCounter::ignored_stream, bytes.size());
  return taken;
}

void ProtocolCall::gap(Side side, uint64_t offset, uint64_t length, GapCause cause) {
  end_opening(side);
  if (with_chosen(
          [&](auto& engine, auto& state) { engine.gap(state, identity(), side, length, cause); })) {
    return;
  }
  choice_.set(ProtocolChoice::kMidstream, side);
  http(side).gap(offset, length, cause);
}

void ProtocolCall::start_midstream(Side side) {
  choice_.set(ProtocolChoice::kMidstream, side);
  HttpEngine::start_midstream(protocol_.http_, side);
  with_chosen([&](auto& engine, auto& state) { engine.start_midstream(state, side); });
}

void ProtocolCall::end_of_stream(Side side, bool reset) {
  end_opening(side);
  if (with_chosen([&](auto& engine, auto& state) {
        engine.end_of_stream(state, identity(), side, reset);
      })) {
    return;
  }
  http(side).end_of_stream(reset);
}

bool ProtocolCall::in_other_message(Side side) const {
  if (is_opening(side)) return true;
  bool answer = false;
  if (with_chosen([&](auto& engine, auto& state) { answer = engine.in_message(state, side); })) {
    return answer;
  }
  return HttpEngine::in_message(protocol_.http_, side);
}

// Of protocols without a start line as clear as HTTP's, nothing is sure.
bool ProtocolCall::begins_message(std::span<const uint8_t> bytes) const {
  if (with_chosen([](auto&, auto&) {})) return false;
  return starts_like_message({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

bool ProtocolCall::other_ends_with_stream(Side side) const {
  bool answer = false;
  if (with_chosen(
          [&](auto& engine, auto& state) { answer = engine.ends_with_stream(state, side); })) {
    return answer;
  }
  return HttpEngine::ends_with_stream(protocol_.http_, side);
}

void ProtocolCall::close() {
  if (identity().extras != nullptr) {
    for (const Side side : {Side::kLow, Side::kHigh}) end_opening(side);
  }
  if (!with_chosen([&](auto& engine, auto& state) {
        engine.close(state, identity(), http_.ending);
        Buffer memory = memory_of(state);
        protocols_.pool_.release(memory);
      })) {
    protocols_.http_.close(http_, http_.ending);
  }
  ConnectionExtras* extras = identity().extras;
  if (extras == nullptr) return;
  if (extras->waiting.first != nullptr) {
    protocols_.emitter_.end_connection(identity(), http_.ending);
  }
  identity().release_extras(protocols_.pool_);
}

}  // namespace tcp_sniffer
