// Captures that end anywhere, and captures with any byte changed, through the whole engine: a clear
// error, what was whole before it is delivered, the ledger closes.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "support/capture_files.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::truncated_input_test {
namespace {

// Two connections with two exchanges each, and a FIN.
std::string small_pcap() {
  CaptureMaker maker;
  for (int i = 0; i < 2; i++) {
    auto connection = maker.open();
    maker.exchange(connection, "/first", "one");
    maker.exchange(connection, "/second", "two");
    maker.close(connection);
  }
  return maker.bytes();
}

// The frames of a pcap written by CaptureMaker.
std::vector<Bytes> frames_of(const std::string& pcap) {
  std::vector<Bytes> frames;
  for (size_t at = 24; at < pcap.size();) {
    uint32_t size = 0;
    std::memcpy(&size, pcap.data() + at + 8, sizeof(size));
    frames.emplace_back(pcap.begin() + static_cast<ptrdiff_t>(at + 16),
                        pcap.begin() + static_cast<ptrdiff_t>(at + 16 + size));
    at += 16 + size;
  }
  return frames;
}

std::string small_pcapng() {
  Bytes bytes = section() + interface_block(101);
  uint64_t units = 1'700'000'000'000'000;
  for (const Bytes& frame : frames_of(small_pcap())) bytes = bytes + enhanced(frame, units += 10);
  return {bytes.begin(), bytes.end()};
}

class BrokenInput : public testing::TestWithParam<std::string> {
 protected:
  Finished read(const std::string& bytes) {
    write_file(folder_ / "capture", bytes);
    return run_engine({"-r", (folder_ / "capture").string(), "--format", "ndjson", "--shards", "0",
                       "--memory-limit", "16M"});
  }
  static std::string whole() { return GetParam() == "pcap" ? small_pcap() : small_pcapng(); }
  // Where the file may end without an error: behind each record.
  static std::vector<size_t> record_ends() {
    std::vector<size_t> ends;
    const bool pcap = GetParam() == "pcap";
    size_t at = pcap ? 24 : 0;
    for (const Bytes& frame : frames_of(small_pcap())) {
      if (!pcap && at == 0) at = 28 + 20;  // section and interface
      ends.push_back(at);
      at += pcap ? 16 + frame.size() : 32 + (frame.size() + 3) / 4 * 4;
    }
    ends.push_back(at);
    if (!pcap) ends.push_back(28);
    return ends;
  }

 private:
  TemporaryFolder folder_;
};

// What does not even begin like a capture is refused before the start; what has started also ends.
void expect_ledger_unless_refused(const Finished& run) {
  if (events_named(run.err, "started").empty()) {
    EXPECT_EQ(run.exit.code, 6);
    EXPECT_TRUE(run.out.empty() && events_named(run.err, "stopped").empty()) << run.err;
    return;
  }
  expect_ledger_closes(event_named(run.err, "stopped"));
}

TEST_P(BrokenInput, CutAtEveryByteDeliversWhatWasWholeAndSaysSo) {
  const std::string bytes = whole();
  const std::vector<std::string> all = sorted_lines(read(bytes).out);
  ASSERT_EQ(all.size(), 8u);
  const std::vector<size_t> clean = record_ends();
  ASSERT_TRUE(std::find(clean.begin(), clean.end(), bytes.size()) != clean.end());
  size_t lines_before = 0;
  const size_t step = kSanitized ? 7 : 1;
  for (size_t size = 0; size < bytes.size(); size += step) {
    SCOPED_TRACE("cut behind byte " + std::to_string(size));
    const Finished run = read(bytes.substr(0, size));
    const bool at_record = std::find(clean.begin(), clean.end(), size) != clean.end();
    EXPECT_EQ(run.exit.code, at_record ? 0 : 6) << run.err;
    EXPECT_EQ(events_named(run.err, "fatal").size(), at_record ? 0u : 1u);
    expect_ledger_unless_refused(run);
    const std::vector<std::string> lines = sorted_lines(run.out);
    for (const std::string& line : lines) {
      EXPECT_TRUE(line.find("\"incomplete\"") != std::string::npos ||
                  std::binary_search(all.begin(), all.end(), line))
          << line;
    }
    EXPECT_GE(lines.size(), lines_before) << "a longer file gives fewer messages";
    lines_before = lines.size();
    if (testing::Test::HasFailure()) return;
  }
  EXPECT_EQ(lines_before, all.size());
}

TEST_P(BrokenInput, WithAnyByteChangedItEndsInOrder) {
  const std::string bytes = whole();
  const size_t step = kSanitized ? 11 : 1;
  for (size_t at = 0; at < bytes.size(); at += step) {
    SCOPED_TRACE("byte " + std::to_string(at) + " changed");
    std::string changed = bytes;
    changed[at] = static_cast<char>(~changed[at]);
    const Finished run = read(changed);
    EXPECT_TRUE(run.exit.code == 0 || run.exit.code == 6) << run.exit.code;
    EXPECT_EQ(events_named(run.err, "fatal").size(), run.exit.code == 0 ? 0u : 1u);
    expect_ledger_unless_refused(run);
    for (const std::string& line : lines_of(run.out)) {
      EXPECT_FALSE(Json::parse(line, nullptr, false).is_discarded()) << line;
    }
    if (testing::Test::HasFailure()) return;
  }
}

INSTANTIATE_TEST_SUITE_P(Formats, BrokenInput, testing::Values("pcap", "pcapng"),
                         [](const auto& of) { return of.param; });

}  // namespace
}  // namespace tcp_sniffer::truncated_input_test
