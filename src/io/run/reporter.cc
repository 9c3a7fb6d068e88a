#include "io/run/reporter.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <utility>

#include "io/base/version.h"
#include "io/config/config_check.h"
#include "io/run/summary.h"

namespace tcp_sniffer {

namespace {

using std::chrono::milliseconds;

int64_t wall_clock_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

// The threads of one interface follow each other.
void add_to_interface(const MetricsSources::Capture& capture,
                      std::vector<InterfaceFigures>& interfaces) {
  const LiveSource& source = *capture.live;
  if (interfaces.empty() || interfaces.back().name != source.interface()) {
    interfaces.push_back(
        {.name = source.interface(), .downs = source.downs(), .up = source.interface_is_up()});
  }
  InterfaceFigures& figures = interfaces.back();
  const LiveStatistics statistics = source.statistics();
  figures.frames += capture.counters->published(FrameCounter::received);
  figures.dropped_overload += capture.counters->published(FrameCounter::dropped_overload);
  figures.kernel_received += statistics.received;
  figures.kernel_dropped += statistics.kernel_dropped;
  figures.interface_dropped += statistics.interface_dropped;
}

}  // namespace

Reporter::Reporter(const Parts& parts, Clock::time_point started_at)
    : parts_(parts),
      next_statistics_(started_at + milliseconds(parts.config.stats_interval_ms)),
      losses_since_us_(wall_clock_us()) {}

Totals Reporter::totals() const {
  const std::vector<MetricsSources::Capture> captures = parts_.mode.statistics();
  std::vector<const FrameCounters*> frames;
  frames.reserve(captures.size());
  for (const auto& capture : captures) frames.push_back(capture.counters);
  Totals totals = sum_totals(frames, parts_.shards.counters());
  parts_.outputs.add_to(totals);
  totals.live = parts_.config.live();
  for (const auto& shard : parts_.shards.all()) {
    for (size_t i = 0; i < Histogram::kBuckets; i++) {
      totals.latencies[i] += shard->latencies().published(i);
    }
  }
  for (const auto& capture : captures) {
    if (capture.follow != nullptr) totals.follow = values_of(*capture.follow);
    if (capture.live == nullptr) continue;
    const LiveStatistics statistics = capture.live->statistics();
    totals.kernel_received += statistics.received;
    totals.kernel_dropped += statistics.kernel_dropped;
    totals.interface_dropped += statistics.interface_dropped;
    if (capture.one_of_several) add_to_interface(capture, totals.interfaces);
  }
  return totals;
}

namespace {

// What people asked for is enough for them; the filter as installed would fill a terminal.
void keep_for_people(const Config& config, EventFields& fields) {
  for (const char* key : {"schemaVersion", "revision", "linkType", "filter", "filterInstructions",
                          "nanoseconds", "captureThreads"}) {
    fields.erase(key);
  }
  if (fields.contains("interfaces")) fields["interfaces"] = config.interfaces;
  if (!config.filter.empty()) fields["filter"] = config.filter;
  if (config.ports.empty()) fields.erase("ports");
}

}  // namespace

void Reporter::report_started(int metrics_port) {
  EventFields fields;
  fields["schemaVersion"] = kSchemaVersion;
  fields["version"] = version();
  fields["revision"] = git_revision();
  parts_.mode.describe(fields);
  if (!parts_.config.user.empty()) fields["user"] = parts_.config.user;
  fields["ports"] = parts_.config.ports;
  fields["shards"] = parts_.config.shards;
  if (metrics_port != 0) fields["metricsPort"] = metrics_port;
  if (parts_.config.log_format == LogFormat::kText) keep_for_people(parts_.config, fields);
  parts_.log.emit(LogLevel::kInfo, event::kStarted, "capturing", fields);
}

void Reporter::report(Clock::time_point now) {
  report_events();
  parts_.mode.report(now);
  report_limits();
  report_losses(now, false);
  if (parts_.config.stats_interval_ms != 0 && now >= next_statistics_) report_statistics(now);
}

void Reporter::report_events() {
  EventRecord record;
  // What a sample shows may be a part of a target.
  const bool with_samples = parts_.config.log_samples && !redacts(parts_.config);
  while (parts_.events.take(record)) {
    tcp_sniffer::report(record, with_samples, parts_.log);
  }
}

// Those that are of no connection.
void Reporter::report_limits() {
  const Totals current = totals();
  if (current.of(FrameCounter::tunnel_too_deep) > 0) {
    report_limit_once("tunnelDepth", parts_.config.tunnel_depth,
                      "packets inside more tunnels are left out");
  }
  for (const Outputs::Limit& limit : parts_.outputs.reached_limits()) {
    report_limit_once(limit.key, limit.value, "bodies are left out");
  }
}

void Reporter::report_limit_once(const char* key, uint64_t value, const char* what) {
  if (std::find(reported_limits_.begin(), reported_limits_.end(), key) != reported_limits_.end()) {
    return;
  }
  reported_limits_.emplace_back(key);
  EventFields fields;
  fields["limit"] = key;
  fields["value"] = value;
  parts_.log.emit(LogLevel::kWarn, event::kLimit,
                  std::string("a limit of the configuration was reached: ") + what, fields);
}

// As soon as a counter of what is dropped moves, then the sum of ten seconds at a time, and the
// rest at the end: each loss is reported, and a flood of losses makes few events.
void Reporter::report_losses(Clock::time_point now, bool at_the_end) {
  constexpr auto kLookEvery = milliseconds(100);
  constexpr auto kReportEvery = std::chrono::seconds(10);
  if (now < next_losses_ && !at_the_end) return;
  next_losses_ = now + kLookEvery;
  const Losses losses = losses_of(totals());
  if (losses == reported_losses_) return;
  next_losses_ = now + kReportEvery;
  EventFields fields;
  fields["since"] = utc_timestamp(losses_since_us_);
  add_losses(reported_losses_, losses, fields);
  parts_.log.emit(LogLevel::kWarn, event::kLoss, "not everything that was sent is in the output",
                  fields);
  reported_losses_ = losses;
  losses_since_us_ = wall_clock_us();
}

void Reporter::report_statistics(Clock::time_point now) {
  const milliseconds interval(parts_.config.stats_interval_ms);
  const double elapsed = std::chrono::duration<double>(interval + (now - next_statistics_)).count();
  next_statistics_ = now + interval;
  Totals current = totals();
  EventFields fields;
  const auto rate = [&](uint64_t before, uint64_t after) {
    return std::round(static_cast<double>(after - before) / elapsed);
  };
  const bool first = last_statistics_.frames.empty();
  const auto frames_before = first ? 0 : last_statistics_.of(FrameCounter::received);
  const auto bytes_before = first ? 0 : last_statistics_.of(FrameCounter::received_bytes);
  fields["rates"]["frames_per_second"] = rate(frames_before, current.of(FrameCounter::received));
  fields["rates"]["bytes_per_second"] =
      rate(bytes_before, current.of(FrameCounter::received_bytes));
  fields["rates"]["messages_per_second"] = rate(last_statistics_.written, current.written);
  add_ledger(current, parts_.config.log_format == LogFormat::kText, fields);
  parts_.log.emit(LogLevel::kInfo, event::kStats, "running", fields);
  last_statistics_ = std::move(current);
}

Totals Reporter::report_end() {
  parts_.mode.end_report();
  report_limits();
  report_losses(Clock::now(), true);
  Totals ending = totals();
  // If the output ended by itself, the reader was not too slow. What Kafka rejected was reported.
  const uint64_t late = ending.discarded_messages() - ending.rejected_messages();
  if (late == 0 || parts_.outputs.ended_by_itself()) return ending;
  EventFields fields;
  fields["discarded"] = late;
  parts_.log.emit(LogLevel::kWarn, event::kDrainIncomplete,
                  "the reader of the output did not take everything in time", fields);
  return ending;
}

// A flood of them may have hidden one that matters.
void Reporter::report_lost_events(const Totals& ending) {
  const uint64_t lost = ending.of(ShardCounter::events_dropped);
  if (lost == 0) return;
  EventFields fields;
  fields["dropped"] = lost;
  parts_.log.emit(LogLevel::kWarn, event::kEventsDropped, "events of connections found no room",
                  fields);
}

void report_stopped(const Config& config, EventLog& log, const Totals& ending, const RunEnd& end) {
  EventFields fields = EventFields::object();
  if (!end.unfinished.empty()) fields["unfinished"] = end.unfinished;
  if (config.log_format == LogFormat::kText) {
    log.emit_stopped("after " + duration_text(end.seconds), fields,
                     summary_of(ending, config.columns));
    return;
  }
  fields["deterministic"] = ending.deterministic() && end.unfinished.empty() && !end.fault;
  fields["seconds"] = end.seconds;
  add_ledger(ending, false, fields);
  log.emit(LogLevel::kInfo, event::kStopped, "stopped", fields);
}

}  // namespace tcp_sniffer
