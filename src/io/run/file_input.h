#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "io/capture/capture_filter.h"
#include "io/capture/dispatcher.h"
#include "io/file/file_source.h"
#include "io/file/piece_pool.h"
#include "io/run/progress_line.h"
#include "io/run/run_mode.h"

namespace tcp_sniffer {

// The capture files of a run: what FileRun and TeamRun have in common. The host outlives it.
class FileInput {
 public:
  FileInput(const RunHost& host, std::vector<std::string> files);

  // Finds the problems that can be found at once. With `parts`, which outlive this, a team reads
  // the files.
  std::optional<Problem> open(FileParts* parts);
  FileSource& source() { return *source_; }
  // Between the files and the lanes, which outlive it. After open.
  std::unique_ptr<Dispatcher> make_dispatcher(const std::vector<PacketLane*>& lanes);
  // Any thread, after open.
  void wake() noexcept { source_->wake(); }
  // Why reading failed.
  const Problem& problem() const { return source_->problem(); }

  void describe(EventFields& fields) const;
  // With `format: pretty`, shows how far the files are read.
  void show_progress(std::chrono::steady_clock::time_point now);
  void clear_progress() { progress_->clear(); }

 private:
  const RunHost& host_;
  const std::vector<std::string> files_;  // in the order in which they are read
  PiecePool pieces_;
  std::unique_ptr<FileSource> source_;
  std::unique_ptr<CaptureFilter> filter_;
  std::optional<ProgressLine> progress_;
};

}  // namespace tcp_sniffer
