#include "io/run/shard_set.h"

#include <algorithm>

#include "io/run/engine_settings.h"

namespace tcp_sniffer {

ShardSet::ShardSet(const Config& config, const ShardPlan& plan, Outputs& outputs, LineQueue& lines,
                   EventQueue& events)
    : plan_(plan), outputs_(outputs), census_(plan.count) {
  ShardSettings settings = settings_of(config);
  if (config.count > 0) settings.limit = &limit_.emplace(config.count);
  // A shard with a thread of its own may always wait for the output: then its inbox fills, and the
  // capture thread waits or drops. On the capture thread itself waiting means to lose packets.
  const bool may_wait = plan.own_threads || config.overload == Overload::kBlock;
  if (const auto counted = series_settings(config)) {
    requests_ = std::make_unique<RequestSeries>(*counted);
  }
  for (uint32_t i = 0; i < plan.count; i++) {
    settings.trace = outputs.make_trace();
    if (requests_) {
      meters_.push_back(std::make_unique<RequestMeter>(*requests_));
      settings.protocols.http.meter = meters_.back().get();
    }
    shards_.push_back(std::make_unique<Shard>(i, settings, census_, lines, may_wait, events));
    if (plan.own_threads) threads_.push_back(std::make_unique<ShardThread>(*shards_.back()));
  }
}

ShardSettings ShardSet::settings_of(const Config& config) {
  ShardSettings settings = shard_settings(config, plan_.count);
  settings.lines.pretty.day = &shown_day_;
  settings.lines.link_names = plan_.link_names;
  settings.bodies.extract = outputs_.bodies();
  return settings;
}

void ShardSet::change(const Config& config) {
  const ShardSettings settings = settings_of(config);
  for (const auto& shard : shards_) shard->change(settings);
  if (requests_) requests_->hide(*series_settings(config));
}

std::vector<std::unique_ptr<PacketLane>> ShardSet::make_lanes(size_t capture) {
  std::vector<std::unique_ptr<PacketLane>> lanes;
  for (const auto& thread : threads_)
    lanes.push_back(std::make_unique<ThreadLane>(thread->inbox(), static_cast<uint32_t>(capture)));
  if (!have_threads()) lanes.push_back(std::make_unique<InlineLane>(*shards_[capture]));
  return lanes;
}

void ShardSet::flush(size_t capture) {
  if (!have_threads()) shards_[capture]->output().flush();
}

void ShardSet::flush_when_idle(size_t capture) {
  if (!have_threads()) shards_[capture]->output().flush_when_idle();
}

bool ShardSet::has_unsent(size_t capture) const {
  return !have_threads() && shards_[capture]->output().has_unsent();
}

void ShardSet::start(uint32_t captures, const std::function<int(size_t)>& cpu_of,
                     const std::function<void()>& on_done,
                     const std::function<void(const char*)>& on_fault) {
  for (size_t i = 0; i < threads_.size(); i++) {
    if (plan_.in_order) threads_[i]->merge(captures);
    threads_[i]->start(captures, cpu_of(i), on_done, on_fault);
  }
}

bool ShardSet::done() const {
  return std::all_of(threads_.begin(), threads_.end(),
                     [](const auto& thread) { return thread->done(); });
}

void ShardSet::join() {
  for (const auto& thread : threads_) thread->join();
}

void ShardSet::abandon_lines() {
  for (const auto& shard : shards_) shard->output().abandon();
}

void ShardSet::see(std::vector<ThreadSight>& threads) const {
  for (size_t i = 0; i < threads_.size(); i++) {
    if (threads_[i]->done()) continue;
    threads.push_back(
        {"shard " + std::to_string(i), threads_[i]->beats() + shards_[i]->output().beats()});
  }
}

uint64_t ShardSet::beats_of_waits() const {
  uint64_t beats = 0;
  for (const auto& shard : shards_) beats += shard->output().beats();
  return beats;
}

std::vector<const ShardCounters*> ShardSet::counters() const {
  std::vector<const ShardCounters*> counters;
  for (const auto& shard : shards_) counters.push_back(&shard->counters());
  return counters;
}

std::optional<ExchangeNotes> ShardSet::notes() const {
  std::optional<ExchangeNotes> all;
  for (const auto& shard : shards_) {
    if (shard->notes() == nullptr) continue;
    if (!all) all.emplace();
    all->add(*shard->notes());
  }
  return all;
}

std::vector<MetricsSources::ShardView> ShardSet::views() const {
  std::vector<MetricsSources::ShardView> views;
  for (size_t i = 0; i < shards_.size(); i++) {
    views.push_back({&shards_[i]->counters(), &shards_[i]->latencies(),
                     requests_ ? meters_[i].get() : nullptr});
  }
  return views;
}

}  // namespace tcp_sniffer
