#include "io/run/file_mode.h"

#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "io/base/random_number.h"
#include "io/file/file_head.h"
#include "io/file/file_source.h"
#include "io/run/engine_settings.h"
#include "io/run/report.h"

namespace tcp_sniffer {

namespace {

// Pieces of capture files in memory: one being read and cut, and those of the segments that the
// shards' threads work on. A team has pieces of its own, and these for large
// frames and for what cannot be read in parts.
size_t piece_count(uint64_t shards) {
  return shards == 0 ? 2 : 4 + 4 * static_cast<size_t>(shards);
}

}  // namespace

FileMode::FileMode(const RunHost& host, std::vector<std::string> files)
    : host_(host), files_(std::move(files)), pieces_(piece_count(host.config.shards), kPieceSize) {}

std::optional<Problem> FileMode::open() {
  auto filter = CaptureFilter::make(filter_options(host_.config));
  if (const auto* problem = std::get_if<Problem>(&filter)) return *problem;
  Opened opened = open_input(pieces_);
  if (auto* problem = std::get_if<Problem>(&opened)) return std::move(*problem);
  input_ = std::get<std::unique_ptr<FileInput>>(std::move(opened));
  filter_ = std::make_unique<CaptureFilter>(std::get<CaptureFilter>(std::move(filter)));
  if (!host_.config.follow) progress_.emplace(*input_, host_.started_at);
  return {};
}

// What comes before a bad file is still delivered; one that is not there is reported at once.
std::optional<Problem> FileMode::problem_of_files() const {
  if (auto problem = FileSource::problem_of(files_[0])) return problem;
  for (size_t i = 1; i < files_.size(); i++) {
    if (auto problem = FileSource::missing(files_[i])) return problem;
  }
  return {};
}

void FileMode::connect_lanes(std::vector<PacketLane*> lanes) {
  lanes_ = std::move(lanes);
  dispatcher_ =
      std::make_unique<Dispatcher>(dispatcher_settings(host_.config, random_number()), lanes_,
                                   filter_->passes_everything() ? nullptr : filter_.get());
  dispatcher_->set_on_unsupported([this](LinkType link_type, const std::string& file) {
    report_unsupported(host_.log, link_type, "file", file);
  });
  dispatcher_->set_on_out_of_order([this](const std::string& file, int64_t behind_ns) {
    EventFields fields;
    fields["file"] = file;
    fields["behindMs"] = behind_ns / 1'000'000;
    host_.log.emit(LogLevel::kWarn, event::kFileOutOfOrder,
                   "this file begins before the one before it ended: connections in both of them "
                   "lose messages (fileOrder, or merge the files first)",
                   fields);
  });
  filter_->set_on_problem([this](LinkType link_type, const std::string& why) {
    report_unsupported(host_.log, link_type, "error", why);
  });
}

void FileMode::disconnect() {
  dispatcher_.reset();
  input_.reset();
}

void FileMode::start_thread(std::function<bool()> run, std::function<void()> end_after_fault,
                            int cpu) {
  CaptureThread::Work work;
  work.run = std::move(run);
  work.end_after_fault = std::move(end_after_fault);
  work.on_end = host_.on_end;
  work.on_fault = host_.on_fault;
  thread_.start(std::move(work), cpu);
}

void FileMode::stop() noexcept {
  stop_.store(true, std::memory_order_release);
  input_->wake();
}

std::vector<Problem> FileMode::problems() const {
  if (!thread_.failed()) return {};
  return {input_->problem()};
}

std::vector<MetricsSources::Capture> FileMode::statistics() const {
  MetricsSources::Capture view{&dispatcher_->counters()};
  view.lanes.assign(lanes_.begin(), lanes_.end());
  return {std::move(view)};
}

void FileMode::see(std::vector<ThreadSight>& threads) const {
  if (!thread_.done()) threads.push_back({"capture", beats()});
}

void FileMode::describe(EventFields& fields) const {
  fields["files"] = files_;
  if (const auto link_type = read_file_head(files_[0]).link_type) {
    fields["linkType"] = static_cast<int>(*link_type);
  }
  fields["filter"] = host_.config.filter;
}

void FileMode::report(std::chrono::steady_clock::time_point now) {
  if (progress_ && host_.config.format == OutputFormat::kPretty && !host_.config.quiet) {
    progress_->show(now);
  }
}

void FileMode::end_report() {
  if (progress_) progress_->clear();
}

}  // namespace tcp_sniffer
