#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/base/counters.h"
#include "core/base/histogram.h"
#include "core/line/exchange_notes.h"
#include "core/message/event_record.h"
#include "core/net/link_type.h"
#include "io/event/events.h"
#include "io/follow/follow_counters.h"
#include "io/output/body_extractor.h"
#include "io/output/kafka_writer.h"

namespace tcp_sniffer {

class EventLog;

// What became of the frames of one of several interfaces.
struct InterfaceFigures {
  std::string name;
  uint64_t frames = 0;  // taken from the kernel
  uint64_t dropped_overload = 0;
  uint64_t kernel_received = 0;  // libpcap's figures
  uint64_t kernel_dropped = 0;
  uint64_t interface_dropped = 0;
  uint64_t downs = 0;
  bool up = false;
};

// The published figures of a run, summed over its threads.
struct Totals {
  std::vector<uint64_t> frames;  // by FrameCounter
  std::vector<uint64_t> shards;  // by ShardCounter
  uint64_t written = 0;          // by the output writer
  uint64_t discarded = 0;
  uint64_t dropped = 0;  // by the writer, because the disk was full
  uint64_t output_bytes = 0;
  uint64_t kernel_received = 0;  // live: libpcap's figures
  uint64_t kernel_dropped = 0;
  uint64_t interface_dropped = 0;
  std::vector<InterfaceFigures> interfaces;  // only with several
  bool live = false;
  std::array<uint64_t, Histogram::kBuckets> latencies{};  // of responses, by bucket
  std::optional<BodyExtractor::Counts> extracted;         // with extractDir
  // With follow: of captures, by kFollowCounters.
  std::optional<FollowCounterValues> follow;
  std::optional<KafkaWriter::Counts> kafka;  // with an output to Kafka
  std::optional<ExchangeNotes> notes;        // pretty, when all shards have ended

  uint64_t of(FrameCounter counter) const { return frames[static_cast<size_t>(counter)]; }
  uint64_t of(ShardCounter counter) const { return shards[static_cast<size_t>(counter)]; }
  uint64_t discarded_messages() const { return discarded + of(ShardCounter::messages_discarded); }
  // Of them, those that Kafka did not take.
  uint64_t rejected_messages() const { return kafka ? std::min(kafka->failed, discarded) : 0; }
  uint64_t dropped_messages() const {
    return dropped + of(ShardCounter::messages_dropped_overload);
  }
  // Messages handed to the output and neither written nor given up yet.
  uint64_t queued_messages() const {
    return of(ShardCounter::messages_written) - written - discarded - dropped;
  }
  // Whether another run, with any number of shards, gives the same set of lines.
  bool deterministic() const;
};

Totals sum_totals(std::span<const FrameCounters* const> frames,
                  std::span<const ShardCounters* const> shards);

// The ledger as fields of the `stats` and `stopped` events: an object for each group of counters.
// For people (`brief`) without those that are zero.
void add_ledger(const Totals& totals, bool brief, EventFields& fields);

// What this program and the kernel lost so far, as the event `loss` reports it: what is missing in
// the output although the interface saw it.
struct Losses {
  uint64_t kernel = 0;       // frames
  uint64_t interface = 0;    // frames
  uint64_t frames = 0;       // dropped by this program
  uint64_t connections = 0;  // segments of connections that had no room
  uint64_t messages = 0;     // lines
  uint64_t cut = 0;          // messages with bytes left out for a limit
  uint64_t bodies = 0;       // files of extractDir
  // With several interfaces: frames that the kernel or the interface dropped of each.
  std::map<std::string, uint64_t> by_interface{};
  bool operator==(const Losses&) const = default;
};
Losses losses_of(const Totals& totals);
// What is in `now` beyond `before`, without what is zero.
void add_losses(const Losses& before, const Losses& now, EventFields& fields);

// Frames of this link type are left out; `field` names the file or the interface.
void report_unsupported(EventLog& log, LinkType link_type, const char* field,
                        const std::string& value);

// A shard's event in words.
void report(const EventRecord& record, bool with_samples, EventLog& log);

}  // namespace tcp_sniffer
