#include "io/run/report.h"

#include <nlohmann/json.hpp>
#include <string>
#include <utility>

#include "core/base/number_text.h"
#include "core/net/ip_text.h"
#include "io/event/event_log.h"

namespace tcp_sniffer {

namespace {

std::string text_of(const Endpoint& endpoint) {
  char text[kIpAndPortTextMax];
  return {text, write_ip_and_port(text, endpoint)};
}

std::string hex(std::span<const uint8_t> bytes) {
  std::string text(2 * bytes.size(), '\0');
  char* out = text.data();
  for (const uint8_t byte : bytes) out = write_hex(out, byte, 2);
  return text;
}

std::string hex_id(uint64_t id) {
  char text[16];
  return {text, write_hex16(text, id)};
}

std::string_view nature_word(StreamNature nature) {
  switch (nature) {
    case StreamNature::kTls:
      return "tls";
    case StreamNature::kHttp2:
      return "http2";
    default:
      return "unknown";
  }
}

EventFields fields_of(const EventRecord& record, bool with_samples) {
  EventFields fields;
  fields["connectionId"] = hex_id(record.connection_id);
  fields["from"] = text_of(endpoint_of(record.key, record.side));
  fields["to"] = text_of(endpoint_of(record.key, other(record.side)));
  fields["packetTime"] = utc_timestamp(record.time_ns / 1000);
  switch (record.kind) {
    case EventKind::kConnectionEvicted:
      fields["list"] = record.detail;
      break;
    case EventKind::kReassemblyGap:
      fields["missingBytes"] = record.bytes;
      if (*record.detail != '\0') fields["cause"] = record.detail;
      break;
    case EventKind::kNotHttp:
      fields["protocol"] = nature_word(record.nature);
      if (with_samples && record.sample_size > 0) {
        fields["sample"] = hex(std::span(record.sample).first(record.sample_size));
      }
      break;
    case EventKind::kParseError:
      break;
    case EventKind::kLimit:
      fields["limit"] = record.detail;
      fields["value"] = record.bytes;
      break;
  }
  return fields;
}

}  // namespace

bool Totals::deterministic() const {
  return of(ShardCounter::connections_evicted) == 0 && of(ShardCounter::connections_refused) == 0 &&
         of(ShardCounter::memory_refusals) == 0 && of(ShardCounter::limits_reached) == 0 &&
         of(ShardCounter::incomplete_limit) == 0 && of(ShardCounter::exchanges_left_early) == 0 &&
         dropped_messages() == 0 && of(ShardCounter::bodies_too_slow) == 0 &&
         of(ShardCounter::tombstones_forgotten) == 0 && of(FrameCounter::dropped_overload) == 0 &&
         discarded_messages() == 0 && of(ShardCounter::messages_beyond_count) == 0 &&
         kernel_dropped == 0;
}

Totals sum_totals(std::span<const FrameCounters* const> frames,
                  std::span<const ShardCounters* const> shards) {
  Totals totals;
  totals.frames.assign(FrameCounters::kSize, 0);
  totals.shards.assign(ShardCounters::kSize, 0);
  for (const FrameCounters* counters : frames) {
    for (size_t i = 0; i < FrameCounters::kSize; i++) {
      totals.frames[i] += counters->published(static_cast<FrameCounter>(i));
    }
  }
  for (const ShardCounters* counters : shards) {
    for (size_t i = 0; i < ShardCounters::kSize; i++) {
      totals.shards[i] += counters->published(static_cast<ShardCounter>(i));
    }
  }
  return totals;
}

void add_ledger(const Totals& totals, bool brief, EventFields& fields) {
  const auto add = [&](const CounterInfo& info, uint64_t value) {
    if (brief && value == 0) return;
    fields[std::string(info.group)][std::string(info.label)] = value;
  };
  for (size_t i = 0; i < FrameCounters::kSize; i++) add(kFrameCounters[i], totals.frames[i]);
  for (size_t i = 0; i < ShardCounters::kSize; i++) add(kShardCounters[i], totals.shards[i]);
  EventFields& messages = fields["messages"];
  messages["written"] = totals.written;
  if (!brief || totals.dropped_messages() > 0) {
    messages["dropped_overload"] = totals.dropped_messages();
  }
  if (!brief || totals.discarded_messages() > 0) {
    messages["discarded"] = totals.discarded_messages();
  }
  if (!brief || totals.queued_messages() > 0) messages["queued"] = totals.queued_messages();
  fields["output"]["bytes_written"] = totals.output_bytes;
  if (totals.kafka) {
    EventFields& kafka = fields["kafka"];
    kafka["queued"] = totals.kafka->queued;
    kafka["acknowledged"] = totals.kafka->acknowledged;
    kafka["failed"] = totals.kafka->failed;
    kafka["retried"] = totals.kafka->retried;
    kafka["errors"] = totals.kafka->errors;
  }
  if (totals.extracted) {
    EventFields& extracted = fields["extracted"];
    extracted["files"] = totals.extracted->files;
    extracted["bytes"] = totals.extracted->bytes;
    extracted["incomplete"] = totals.extracted->incomplete;
    extracted["limited"] = totals.extracted->limited;
    extracted["dropped"] = totals.extracted->dropped;
    extracted["errors"] = totals.extracted->errors;
  }
  for (size_t i = 0; totals.follow && i < totals.follow->size(); i++) {
    fields["follow"][std::string(kFollowCounters[i].label)] = (*totals.follow)[i];
  }
  if (totals.live) {
    fields["kernel"]["received"] = totals.kernel_received;
    fields["kernel"]["dropped"] = totals.kernel_dropped;
    fields["kernel"]["interface_dropped"] = totals.interface_dropped;
  }
  for (const InterfaceFigures& interface : totals.interfaces) {
    EventFields figures;
    figures["interface"] = interface.name;
    figures["up"] = interface.up;
    figures["downs"] = interface.downs;
    figures["frames"] = interface.frames;
    figures["received"] = interface.kernel_received;
    figures["dropped"] = interface.kernel_dropped;
    figures["interface_dropped"] = interface.interface_dropped;
    figures["dropped_overload"] = interface.dropped_overload;
    fields["interfaces"].push_back(std::move(figures));
  }
}

Losses losses_of(const Totals& totals) {
  std::map<std::string, uint64_t> by_interface;
  for (const InterfaceFigures& interface : totals.interfaces) {
    const uint64_t dropped = interface.kernel_dropped + interface.interface_dropped;
    if (dropped > 0) by_interface[interface.name] = dropped;
  }
  return {.kernel = totals.kernel_dropped,
          .interface = totals.interface_dropped,
          .frames = totals.of(FrameCounter::dropped_overload),
          .connections = totals.of(ShardCounter::connections_refused),
          .messages = totals.dropped_messages(),
          .cut = totals.of(ShardCounter::incomplete_limit) +
                 totals.of(ShardCounter::incomplete_evicted),
          .bodies = totals.extracted ? totals.extracted->dropped : 0,
          .by_interface = std::move(by_interface)};
}

void add_losses(const Losses& before, const Losses& now, EventFields& fields) {
  const auto add = [&](const char* name, uint64_t from, uint64_t to) {
    if (to > from) fields[name] = to - from;
  };
  add("kernel", before.kernel, now.kernel);
  add("interface", before.interface, now.interface);
  add("frames", before.frames, now.frames);
  add("connections", before.connections, now.connections);
  add("messages", before.messages, now.messages);
  add("cut", before.cut, now.cut);
  add("bodies", before.bodies, now.bodies);
  for (const auto& [interface, dropped] : now.by_interface) {
    const auto found = before.by_interface.find(interface);
    const uint64_t known = found == before.by_interface.end() ? 0 : found->second;
    if (dropped == known) continue;
    EventFields part;
    part["interface"] = interface;
    part["dropped"] = dropped - known;
    fields["interfaces"].push_back(std::move(part));
  }
}

void report_unsupported(EventLog& log, LinkType link_type, const char* field,
                        const std::string& value) {
  EventFields fields;
  fields["linkType"] = static_cast<int>(link_type);
  fields[field] = value;
  log.emit(LogLevel::kWarn, event::kUnsupportedLinkType,
           "frames of this link type cannot be read: they are left out", fields);
}

void report(const EventRecord& record, bool with_samples, EventLog& log) {
  const auto emit = [&](LogLevel level, std::string_view name, std::string_view message) {
    log.emit(level, name, message, [&] { return fields_of(record, with_samples); });
  };
  switch (record.kind) {
    case EventKind::kConnectionEvicted:
      return emit(LogLevel::kWarn, event::kConnectionEvicted,
                  std::string_view(record.detail).ends_with("for memory")
                      ? "a connection was given up: memoryLimit is reached"
                      : "a connection gave its place to a new one: maxConcurrentConnections is "
                        "reached");
    case EventKind::kReassemblyGap:
      return emit(LogLevel::kWarn, event::kReassemblyGap,
                  "bytes of a connection were not captured");
    case EventKind::kNotHttp:
      return emit(LogLevel::kInfo, event::kNotHttp, "a stream is not HTTP/1 and is ignored");
    case EventKind::kParseError:
      return emit(LogLevel::kWarn, event::kParseError,
                  "a stream stopped being HTTP/1; its next message is searched");
    case EventKind::kLimit:
      return emit(LogLevel::kWarn, event::kLimit, "a limit of the configuration was reached");
  }
}

}  // namespace tcp_sniffer
