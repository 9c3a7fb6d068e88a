#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "core/base/link_names.h"
#include "io/capture/capture_filter.h"
#include "io/capture/dispatcher.h"
#include "io/file/file_input.h"
#include "io/file/piece_pool.h"
#include "io/run/capture_thread.h"
#include "io/run/progress_line.h"
#include "io/run/run_mode.h"

namespace tcp_sniffer {

// What the modes that read capture files have in common: the files, the way from them to the lanes,
// and the thread that takes their frames.
class FileMode : public RunMode {
 public:
  // Finds the problems that can be found at once.
  std::optional<Problem> open() override;
  void stop() noexcept override;
  bool done() const override { return thread_.done(); }
  void finish() override { thread_.join(); }
  std::vector<Problem> problems() const override;

  std::vector<MetricsSources::Capture> statistics() const override;
  void see(std::vector<ThreadSight>& threads) const override;
  void describe(EventFields& fields) const override;
  // With `format: pretty`, shows how far the files are read.
  void report(std::chrono::steady_clock::time_point now) override;
  void end_report() override;

 protected:
  // In the order in which they are read.
  FileMode(const RunHost& host, std::vector<std::string> files);

  // Opens what the frames come from, or gives the reason why it cannot be.
  using Opened = std::variant<std::unique_ptr<FileInput>, Problem>;
  virtual Opened open_input(PiecePool& pool) = 0;
  // Why the files cannot be read, as far as it can be known at once.
  std::optional<Problem> problem_of_files() const;

  const std::vector<std::string>& files() const { return files_; }
  FileInput& input() { return *input_; }
  // Of the files' interfaces, as they come.
  const std::shared_ptr<LinkNames>& link_names() const { return link_names_; }
  Dispatcher& dispatcher() { return *dispatcher_; }
  const std::atomic<bool>& stopped() const { return stop_; }
  // One more turn of the thread's loop.
  void beat() noexcept { thread_.beat(); }
  // How often the threads have turned.
  virtual uint64_t beats() const { return thread_.beats(); }
  // Lays the way from the files to the lanes.
  void connect_lanes(std::vector<PacketLane*> lanes);
  // Starts the thread. `cpu` is the one to run on, or -1.
  void start_thread(std::function<bool()> run, std::function<void()> end_after_fault, int cpu);
  // Takes the way apart. A mode calls it in its destructor, because its lanes and parts, to which
  // the way leads, end before this.
  void disconnect();

  const RunHost host_;

 private:
  const std::vector<std::string> files_;
  const std::shared_ptr<LinkNames> link_names_ = std::make_shared<LinkNames>();
  PiecePool pieces_;
  std::unique_ptr<FileInput> input_;
  std::unique_ptr<CaptureFilter> filter_;
  std::optional<ProgressLine> progress_;
  std::vector<PacketLane*> lanes_;
  std::unique_ptr<Dispatcher> dispatcher_;
  CaptureThread thread_;
  std::atomic<bool> stop_{false};
};

}  // namespace tcp_sniffer
