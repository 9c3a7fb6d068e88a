// A capture file, of any format, through the whole engine: it ends, the ledger closes, each line is
// valid, and neither the number of shards nor the size of the pieces it is read in matters.

#include <gtest/gtest.h>

#include "fuzz_input.h"
#include "line_oracles.h"
#include "support/capture_files.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::fuzz {
namespace {

std::string path_of(const Descriptor& file) {
  return "/proc/self/fd/" + std::to_string(file.get());
}

struct Outcome {
  std::vector<ReadLine> lines;
  int code = 0;
  bool deterministic = true;
};

Outcome run(const Descriptor& file, const char* shards) {
  const Finished finished =
      run_engine({"-r", path_of(file), "--format", "ndjson", "--shards", shards, "--memory-limit",
                  "64M", "--protocols", "http,pop3"});
  Outcome outcome;
  outcome.code = finished.exit.code;
  EXPECT_TRUE(outcome.code == 0 || outcome.code == 6) << finished.err;
  const std::vector<Json> endings = events_named(finished.err, "stopped");
  if (endings.empty()) {  // it is no capture
    EXPECT_EQ(outcome.code, 6) << finished.err;
    EXPECT_EQ(finished.out, "");
    return outcome;
  }
  const Json& stopped = endings.front();
  expect_ledger_closes(stopped);
  outcome.lines = read_lines(lines_of(finished.out));
  EXPECT_EQ(stopped["messages"]["written"], outcome.lines.size());
  expect_order_and_pairing(outcome.lines);
  outcome.deterministic = stopped["deterministic"] == true;
  return outcome;
}

bool is_compressed(std::string_view bytes) {
  return bytes.starts_with("\x1f\x8b") || bytes.starts_with("\x28\xb5\x2f\xfd");
}

void check(std::string_view bytes) {
  const Descriptor file = memory_file(bytes);
  const ReadAll whole = read_all({path_of(file)});
  const ReadAll small = read_all({path_of(file)}, 600);
  // A decompressor that meets damage gives nothing of what it was asked for last.
  if (whole.error.empty() || !is_compressed(bytes)) {
    EXPECT_EQ(whole.frames, small.frames);
  }
  EXPECT_EQ(whole.error.empty(), small.error.empty());
  const Outcome inline_run = run(file, "0");
  EXPECT_EQ(inline_run.code == 6, !whole.error.empty()) << whole.error;
  if (bytes.size() % 4 != 0) return;  // threads are what takes longest
  const Outcome two = run(file, "2");
  EXPECT_EQ(inline_run.code, two.code);
  if (inline_run.deterministic && two.deterministic) {
    expect_same_lines(inline_run.lines, two.lines, "two shards");
  }
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tcp_sniffer::fuzz::check({reinterpret_cast<const char*>(data), size});
  return 0;
}
