#include "io/run/live_run.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "core/net/link_type.h"
#include "io/base/random_number.h"
#include "io/capture/capture_priority.h"
#include "io/run/engine_settings.h"
#include "io/run/report.h"

namespace tcp_sniffer {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How often the shards learn the time when no packet brings it to them.
constexpr milliseconds kTick{100};

// With several interfaces the packets of one wait until the others have reported that they have
// none from before: when nothing comes, and while packets come, which may all be for other shards.
constexpr milliseconds kTickOfSeveral{5};
constexpr milliseconds kBusyTickOfSeveral{2};

// When nothing came on any of them for a while, the first packet may wait longer.
constexpr milliseconds kQuietTickOfSeveral{20};
constexpr milliseconds kQuietAfter{1000};

// Parts of messages are due in time, too.
milliseconds tick_of(const Config& config) {
  constexpr milliseconds kTickMin{10};
  if (config.partial_after_ms == 0) return kTick;
  const milliseconds quarter(static_cast<int64_t>(config.partial_after_ms / 4));
  return std::clamp(quarter, kTickMin, kTick);
}

int64_t wall_clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

std::variant<std::vector<std::string>, Problem> interfaces_of(const Config& config) {
  if (!config.interfaces.empty()) return config.interfaces;
  auto chosen = interface_or_default("");
  if (auto* problem = std::get_if<Problem>(&chosen)) return std::move(*problem);
  return std::vector{std::get<std::string>(std::move(chosen))};
}

EventFields opened_fields(const LiveSource& source) {
  EventFields fields;
  fields["interface"] = source.interface();
  fields["linkType"] = static_cast<int>(source.link_type());
  fields["filter"] = source.filter_text();
  fields["filterInstructions"] = source.filter_instructions();
  fields["nanoseconds"] = source.has_nanoseconds();
  return fields;
}

void add_warning(const LiveSource& source, EventFields& fields) {
  if (!source.warning().empty()) fields["warning"] = source.warning();
}

}  // namespace

LiveRun::LiveRun(const RunHost& host) : host_(host), hash_secret_(random_number()) {}

std::optional<Problem> LiveRun::open() {
  auto made = CaptureFilter::make(filter_options(host_.config));
  if (const auto* problem = std::get_if<Problem>(&made)) return *problem;
  const auto& filter = std::get<CaptureFilter>(made);
  auto interfaces = interfaces_of(host_.config);
  if (auto* problem = std::get_if<Problem>(&interfaces)) return std::move(*problem);
  interfaces_ = std::get<std::vector<std::string>>(std::move(interfaces));
  for (const std::string& interface : interfaces_) {
    if (auto problem = open(interface, filter)) return problem;
    watches_.emplace_back(host_, has_several());
  }
  return {};
}

// Every thread of an interface has a handle of its own.
std::optional<Problem> LiveRun::open(const std::string& interface, const CaptureFilter& filter) {
  LiveOptions options = live_options(host_.config, interface);
  options.link_id = link_names_->add(interface);
  options.may_return = has_several();
  // Handles of other runs on this interface must not be in the group.
  const uint64_t threads = host_.config.capture_threads;
  if (threads > 1) options.fanout_group = static_cast<uint16_t>(random_number());
  for (uint64_t i = 0; i < threads; i++) {
    auto opened = LiveSource::open(options, filter);
    if (auto* problem = std::get_if<Problem>(&opened)) return std::move(*problem);
    captures_.push_back(std::make_unique<Capture>());
    Capture& capture = *captures_.back();
    capture.index = captures_.size() - 1;
    capture.leads = i == 0;
    capture.source = std::get<std::unique_ptr<LiveSource>>(std::move(opened));
    if (!filter.passes_everything()) {
      capture.filter = std::make_unique<CaptureFilter>(filter.fresh());
    }
  }
  return {};
}

ShardPlan LiveRun::shard_plan() const {
  return {.count = shard_count(host_.config, false),
          .own_threads = host_.config.shards > 0,
          .in_order = has_several(),
          .link_names = link_names_};
}

void LiveRun::connect(ShardSet& shards) {
  shards_ = &shards;
  for (const auto& capture : captures_) {
    capture->lanes = shards.make_lanes(capture->index);
    std::vector<PacketLane*> lanes;
    for (const auto& lane : capture->lanes) lanes.push_back(lane.get());
    capture->dispatcher = std::make_unique<Dispatcher>(
        dispatcher_settings(host_.config, hash_secret_), lanes, capture->filter.get());
    capture->dispatcher->set_source(capture->source.get());
  }
}

void LiveRun::start() {
  for (const auto& owned : captures_) {
    Capture& capture = *owned;
    const LiveSource& source = *capture.source;
    if (capture.leads && !is_supported(source.link_type())) {
      report_unsupported(host_.log, source.link_type(), "interface", source.interface());
    }
    CaptureThread::Work work;
    work.run = [this, &capture] { return take_frames(capture); };
    // A shard on this thread may be in no state to be ended.
    work.end_after_fault = [this, &capture] {
      if (shards_->have_threads()) capture.dispatcher->finish();
    };
    work.on_end = host_.on_end;
    work.on_fault = host_.on_fault;
    capture.thread.start(std::move(work), cpu_of(host_.config, capture.index));
  }
}

void LiveRun::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  for (const auto& capture : captures_) capture->source->wake();
}

bool LiveRun::done() const {
  return std::all_of(captures_.begin(), captures_.end(),
                     [](const auto& capture) { return capture->thread.done(); });
}

void LiveRun::finish() {
  for (const auto& capture : captures_) capture->thread.join();
}

std::vector<Problem> LiveRun::problems() const {
  std::vector<Problem> problems;
  for (const auto& capture : captures_) {
    if (capture->source->is_removed()) {
      problems.push_back(capture->source->removal());
    } else if (capture->thread.failed()) {
      problems.push_back(capture->source->problem());
    }
  }
  return problems;
}

std::vector<MetricsSources::Capture> LiveRun::statistics() const {
  std::vector<MetricsSources::Capture> captures;
  for (const auto& capture : captures_) {
    MetricsSources::Capture view{&capture->dispatcher->counters(), capture->source.get()};
    view.one_of_several = has_several();
    for (const auto& lane : capture->lanes) view.lanes.push_back(lane.get());
    captures.push_back(std::move(view));
  }
  return captures;
}

void LiveRun::see(std::vector<ThreadSight>& threads) const {
  for (const auto& capture : captures_) {
    if (capture->thread.done()) continue;
    threads.push_back({"capture " + std::to_string(capture->index), capture->thread.beats()});
  }
}

void LiveRun::describe(EventFields& fields) const {
  if (!has_several()) {
    fields.update(opened_fields(first_source()));
    fields["captureThreads"] = captures_.size();
    add_warning(first_source(), fields);
    return;
  }
  for (const auto& capture : captures_) {
    if (!capture->leads) continue;
    EventFields opened = opened_fields(*capture->source);
    add_warning(*capture->source, opened);
    fields["interfaces"].push_back(std::move(opened));
  }
  fields["captureThreads"] = captures_.size();
}

void LiveRun::report(Clock::time_point now) {
  for (size_t first = 0, i = 0; i < watches_.size(); i++) {
    const Capture& leader = *captures_[first];
    // Neighbour discovery and the like pass the filter with their IPv6 extension headers.
    uint64_t packets = 0;
    for (const size_t end = first + host_.config.capture_threads; first < end; first++) {
      const FrameCounters& counters = captures_[first]->dispatcher->counters();
      packets += counters.published(FrameCounter::dispatched) +
                 counters.published(FrameCounter::dropped_overload);
    }
    const bool has_failed = leader.thread.done() && leader.thread.failed();
    watches_[i].report_interface(*leader.source, has_failed);
    watches_[i].report_no_packets(now, *leader.source, packets);
  }
}

// ---------------------------------------------------------------- the capture threads

bool LiveRun::take_frames(Capture& capture) {
  raise_capture_priority();
  const bool taken = take_until_stop(capture);
  if (taken) empty_kernel_buffer(capture);
  capture.source->update_statistics();
  capture.dispatcher->finish();
  return taken;
}

// False: the source failed.
bool LiveRun::take_until_stop(Capture& capture) {
  Dispatcher& dispatcher = *capture.dispatcher;
  milliseconds tick = tick_of(host_.config);
  const milliseconds busy_tick = has_several() ? kBusyTickOfSeveral : tick;
  const bool ticks_when_busy = has_several() || host_.config.partial_after_ms > 0;
  // The time of packets that the kernel holds back is reported no sooner than they would come, and
  // two of its timer's ticks later.
  const milliseconds held_back(has_several() ? block_timeout_ms(host_.config) + 8 : 0);
  Clock::time_point next_tick{};
  Clock::time_point last_packet = Clock::now();
  Clock::time_point next_statistics = last_packet + kTick;
  // The others wait for an interface that is silent from the beginning, too.
  int64_t clock_then = has_several() ? wall_clock_ns() : 0;
  while (!stop_.load(std::memory_order_relaxed)) {
    capture.thread.beat();
    const SourceStatus status = capture.source->poll(dispatcher);
    if (status == SourceStatus::kError) return false;
    dispatcher.flush();
    if (status == SourceStatus::kEnd) break;
    const Clock::time_point now = Clock::now();
    if (status == SourceStatus::kMore) {
      last_packet = now;
      clock_then = dispatcher.clock_ns();
      // A part of a message is due in its shard, and packets of other interfaces wait in theirs,
      // whichever shards the packets are for.
      if (ticks_when_busy && now >= next_tick) {
        dispatcher.tick(clock_then);
        packets_at_.store(now.time_since_epoch().count(), std::memory_order_relaxed);
        next_tick = now + busy_tick;
      }
    } else {
      if (capture.source->is_removed() && all_are_removed()) return false;
      shards_->flush_when_idle(capture.index);
      if (has_several()) tick = idle_tick_of_several(now);
      const bool unsent = shards_->has_unsent(capture.index);
      capture.source->wait(
          static_cast<int>((unsent ? std::min(tick, LineOutput::kAskAgain) : tick).count()));
      const auto silent = Clock::now() - last_packet - held_back;
      // Nothing comes: time goes on all the same, so that timeouts are noticed.
      if (silent >= (has_several() ? milliseconds(0) : tick) && clock_then != 0) {
        dispatcher.tick(clock_then +
                        std::chrono::duration_cast<std::chrono::nanoseconds>(silent).count());
      }
    }
    if (now >= next_statistics) {
      next_statistics = now + kTick;
      capture.source->update_statistics();
      // Under steady load the lines of a shard on this thread must not wait for a full block.
      shards_->flush_when_idle(capture.index);
    }
  }
  return true;
}

bool LiveRun::all_are_removed() const {
  return std::all_of(captures_.begin(), captures_.end(),
                     [](const auto& capture) { return capture->source->is_removed(); });
}

milliseconds LiveRun::idle_tick_of_several(Clock::time_point now) const {
  const Clock::duration then(packets_at_.load(std::memory_order_relaxed));
  return now.time_since_epoch() - then < kQuietAfter ? kTickOfSeveral : kQuietTickOfSeveral;
}

// What had come before the stop is still in the kernel's buffer, the last of it in a block that the
// kernel hands out when its timeout has run. Later frames are not waited for.
void LiveRun::empty_kernel_buffer(Capture& capture) {
  Dispatcher& dispatcher = *capture.dispatcher;
  const int timeout_ms = block_timeout_ms(host_.config);
  // Two ticks of a slow kernel timer on top, because the timeout is rounded up to them.
  const auto patience = std::chrono::milliseconds(timeout_ms + 20);
  const auto begin = Clock::now();
  const int64_t stop_ns = wall_clock_ns();
  auto last_packet = begin;
  while (!aborted_.load(std::memory_order_relaxed) &&
         Clock::now() - begin < std::chrono::seconds(1)) {
    const SourceStatus status = capture.source->poll(dispatcher);
    dispatcher.flush();
    if (status == SourceStatus::kMore) {
      if (dispatcher.clock_ns() >= stop_ns) return;
      last_packet = Clock::now();
    } else if (status != SourceStatus::kIdle || Clock::now() - last_packet >= patience) {
      return;
    } else {
      capture.source->wait(timeout_ms);
    }
  }
}

}  // namespace tcp_sniffer
