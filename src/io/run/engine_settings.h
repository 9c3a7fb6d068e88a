#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "core/metrics/request_series.h"
#include "io/capture/capture_filter.h"
#include "io/capture/dispatcher.h"
#include "io/capture/live_source.h"
#include "io/config/config.h"
#include "io/output/body_extractor.h"
#include "io/output/kafka_writer.h"
#include "io/output/output_writer.h"
#include "shard/shard.h"

namespace tcp_sniffer {

// How a configuration translates into the settings of the parts. Pure functions.

// Of a longer target, a line for people has the beginning. What is hidden in it is looked for in
// the whole.
constexpr uint32_t kPrettyTargetMax = 1024;

// `hash_secret` is this run's own. The defragmenter's share of memoryLimit is one sixteenth.
DispatcherSettings dispatcher_settings(const Config& config, uint64_t hash_secret);

// How many capture threads a run has.
uint32_t capture_count(const Config& config);
// The CPU of a thread, in the order of pinCpus: capture threads, shards, writer. -1: any.
int cpu_of(const Config& config, size_t thread);

// For one of `shards` shards, which share the rest of memoryLimit evenly, one sixteenth of it for
// lines that wait for the reader of the output. Where bodies and debug
// lines go, and what the interface is called, is the caller's to add.
ShardSettings shard_settings(const Config& config, uint32_t shards);

// Nothing: requests are not counted.
std::optional<RequestSeries::Settings> series_settings(const Config& config);

// With extractDir: bodies that wait for the disk may take one sixteenth of memoryLimit.
BodyExtractor::Settings extract_settings(const Config& config);

// Whether a FileTeam may read capture files, when they are plain and whole: with shards, where
// nothing may be dropped and no block has to leave early. Otherwise one thread reads them as it
// would a live interface.
bool may_read_in_team(const Config& config);
// The number of threads: one more than `shards`, because no thread is only a reader; not more than
// there are CPUs, because a waiting thread must not keep another one from running; and not more
// than work well together.
uint32_t team_threads(const Config& config);
// How many shards a run has. Reading in a team, one for each thread that was asked for, so that one
// is free while another is in use.
uint32_t shard_count(const Config& config, bool in_team);

OutputWriter::Settings writer_settings(const Config& config);

// With an output to Kafka: what waits for the brokers may take one eighth of memoryLimit.
KafkaWriter::Settings kafka_settings(const Config& config);

CaptureFilter::Options filter_options(const Config& config);
LiveOptions live_options(const Config& config, const std::string& interface);
// LiveOptions::block_timeout_ms: short for short delays, long where nothing may be lost while the
// reader of the output takes a break.
int block_timeout_ms(const Config& config);

}  // namespace tcp_sniffer
