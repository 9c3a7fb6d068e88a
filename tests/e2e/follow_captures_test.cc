// Every recorded capture, followed while it grows.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>

#include "packets/pcap.h"
#include "support/follow_lab.h"
#include "support/run_engine.h"
#include "support/run_program.h"

namespace tcp_sniffer::follow_captures_test {
namespace {

constexpr size_t kHeader = packets::kPcapFileHeaderBytes;

// Every capture, grown in random steps over random borders of files, gives the lines of the whole
// file. Of the classic format, whose files can be cut between any two packets.
TEST(FollowEveryCapture, GivesTheSameLinesHoweverItGrowsAndRotates) {
  std::mt19937 random(20261130);
  size_t captures = 0;
  for (const auto& path : captures_in(source_dir() / "pcaps")) {
    const std::string whole = content_of(path);
    if (path.extension() != ".pcap" || whole.size() > 2'000'000) continue;
    SCOPED_TRACE(path.filename());
    captures++;
    const TemporaryFolder folder;
    FollowRunning run({folder.path().string(), "--shards", std::to_string(captures % 3)});
    const std::string header = whole.substr(0, kHeader);
    std::string file = header;
    size_t number = 0;
    const auto write_out = [&] {
      const auto name = folder / ("part" + std::to_string(number++));
      std::string_view rest = file;
      while (!rest.empty()) {
        const size_t step = std::min<size_t>(rest.size(), 1 + random() % (1 + whole.size() / 8));
        append_to(name, rest.substr(0, step));
        rest.remove_prefix(step);
      }
      file = header;
    };
    for (size_t at = kHeader; at < whole.size();) {
      const auto* record = reinterpret_cast<const uint8_t*>(whole.data()) + at;
      const size_t size =
          packets::kPcapRecordHeaderBytes + packets::read_pcap_record(record, false).captured;
      file.append(whole, at, size);
      at += size;
      if (random() % 200 == 0) write_out();
    }
    if (file.size() > kHeader) write_out();
    const Finished expected = run_engine({"-r", path.string(), "--format", "ndjson"});
    const Json figures = event_named(expected.err, "stopped");
    // Connections that never end give their last lines at the end.
    ASSERT_TRUE(until([&] { return run.events("follow_begun") >= 1; }));
    const Json stopped = run.stop();
    EXPECT_EQ(sorted_lines(run.out()), sorted_lines(expected.out));
    EXPECT_EQ(stopped["frames"]["received"], figures["frames"]["received"]);
    EXPECT_EQ(stopped["follow"]["read"], number);
  }
  EXPECT_GT(captures, 20u);
}

// Pcapng, a byte at a time where it is short.
TEST(FollowEveryCapture, OfPcapngGivesTheSameLinesHoweverItGrows) {
  std::mt19937 random(7);
  size_t captures = 0;
  for (const auto& path : captures_in(source_dir() / "pcaps")) {
    if (path.extension() != ".pcapng") continue;
    SCOPED_TRACE(path.filename());
    captures++;
    const std::string whole = content_of(path);
    const TemporaryFolder folder;
    const auto growing = folder / "growing";
    FollowRunning run({growing.string()});
    std::string_view rest = whole;
    while (!rest.empty()) {
      const size_t most = whole.size() < 20'000 ? 1 : 1 + random() % 5000;
      const size_t step = std::min(rest.size(), most);
      append_to(growing, rest.substr(0, step));
      rest.remove_prefix(step);
    }
    const Finished expected = run_engine({"-r", path.string(), "--format", "ndjson"});
    ASSERT_TRUE(run.reports("follow_begun"));
    run.stop();
    EXPECT_EQ(sorted_lines(run.out()), sorted_lines(expected.out));
  }
  EXPECT_GT(captures, 0u);
}

}  // namespace
}  // namespace tcp_sniffer::follow_captures_test
