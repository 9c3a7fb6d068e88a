// Capture files as people and scripts give them: missing, cut, compressed, several.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::input_test {
namespace {

TEST(Input, AMissingFileIsNamedAndTheExitCodeIs6) {
  const Finished run = run_sniffer({"-r", "/nowhere/at-all.pcap"});
  EXPECT_EQ(run.exit.code, 6);
  const Json fatal = fatal_of(run);
  EXPECT_EQ(fatal["code"], "INPUT_FILE");
  EXPECT_NE(fatal["message"].get<std::string>().find("/nowhere/at-all.pcap"), std::string::npos);
}

TEST(Input, AMissingFileIsToldBeforeTheFirstOneIsRead) {
  for (const char* order : {"time", "given"}) {
    const Finished run = run_sniffer({"-r", kShop, "/nowhere/at-all.pcap", "--file-order", order});
    EXPECT_EQ(run.exit.code, 6);
    const Json fatal = fatal_of(run);  // and no message
    EXPECT_EQ(fatal["code"], "INPUT_FILE");
    EXPECT_NE(fatal["message"].get<std::string>().find("/nowhere/at-all.pcap"), std::string::npos);
    EXPECT_TRUE(events_named(run.err, "started").empty());
  }
}

TEST(Input, ATextFileIsNoCaptureAndTheExitCodeIs6) {
  const Finished run = run_sniffer({"-r", (source_dir() / "LICENSE").string()});
  EXPECT_EQ(run.exit.code, 6);
  EXPECT_NE(fatal_of(run)["message"].get<std::string>().find("LICENSE"), std::string::npos);
}

TEST(Input, AFolderIsNoCaptureAndTheExitCodeIs6) {
  const Finished run = run_sniffer({"-r", source_dir().string()});
  EXPECT_EQ(run.exit.code, 6);
  EXPECT_EQ(fatal_of(run)["code"], "INPUT_FILE");
}

TEST(Input, OfACaptureCutInTheMiddleTheEarlierMessagesAreDeliveredAndTheExitCodeIs6) {
  const TemporaryFolder folder;
  const std::string whole = content_of(std::filesystem::path(kShop));
  const std::string path = (folder / "cut.pcap").string();
  write_file(path, whole.substr(0, whole.size() * 2 / 3));
  const Finished run = run_sniffer({"-r", path, "--format", "ndjson"});
  EXPECT_EQ(run.exit.code, 6);
  const Json fatal = event_named(run.err, "fatal");
  EXPECT_NE(fatal["message"].get<std::string>().find(path), std::string::npos);
  EXPECT_NE(fatal["message"].get<std::string>().find("byte"), std::string::npos) << fatal;
  expect_ledger_closes(event_named(run.err, "stopped"));
  EXPECT_TRUE(all_lines_whole(run.out));
  const std::vector<std::string> all =
      sorted_lines(run_sniffer({"-r", kShop, "--format", "ndjson"}).out);
  size_t same = 0;
  for (const std::string& line : lines_of(run.out)) {
    same += std::binary_search(all.begin(), all.end(), line) ? 1u : 0u;
  }
  EXPECT_GE(same, kShopMessages / 2);
  EXPECT_LT(same, kShopMessages);
}

TEST(Input, IsReadFromStandardInputToo) {
  const std::string expected = run_sniffer({"-r", kShop, "--format", "ndjson"}).out;
  EXPECT_EQ(lines_of(expected).size(), kShopMessages);
  const Finished run =
      run_sniffer({"-r", "-", "--format", "ndjson"}, content_of(std::filesystem::path(kShop)));
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_EQ(sorted_lines(run.out), sorted_lines(expected));
}

TEST(Input, IsUncompressedByItsContentWhateverItsName) {
  const TemporaryFolder folder;
  const std::string expected = run_sniffer({"-r", kShop, "--format", "ndjson"}).out;
  for (const char* program : {"gzip", "zstd"}) {
    SCOPED_TRACE(program);
    const Finished packed = run({program, "-c", kShop});
    if (packed.exit.code != 0) {
      std::printf("%s is not installed: NOT TESTED\n", program);
      continue;
    }
    const std::string path = (folder / "capture.pcap").string();
    write_file(path, packed.out);
    const Finished from_file = run_sniffer({"-r", path, "--format", "ndjson"});
    EXPECT_EQ(from_file.exit.code, 0) << from_file.err;
    EXPECT_EQ(sorted_lines(from_file.out), sorted_lines(expected));
    const Finished from_input = run_sniffer({"-r", "-", "--format", "ndjson"}, packed.out);
    EXPECT_EQ(sorted_lines(from_input.out), sorted_lines(expected));
  }
}

TEST(Input, SeveralFilesAreOneStreamInTheOrderGiven) {
  const std::string ipv6 = capture("ipv6.pcap").string();
  const Finished both = run_sniffer({"-r", kShop, ipv6, "--format", "ndjson"});
  EXPECT_EQ(both.exit.code, 0) << both.err;
  std::vector<std::string> expected =
      lines_of(run_sniffer({"-r", kShop, "--format", "ndjson"}).out);
  for (std::string& line : lines_of(run_sniffer({"-r", ipv6, "--format", "ndjson"}).out)) {
    expected.push_back(std::move(line));
  }
  std::sort(expected.begin(), expected.end());
  EXPECT_EQ(sorted_lines(both.out), expected);
}

TEST(Input, AConnectionGoesOnInTheNextFile) {
  const TemporaryFolder folder;
  const std::string whole = content_of(std::filesystem::path(kShop));
  // The header of the file, then records: cut behind the 20th.
  size_t at = 24;
  for (int i = 0; i < 20; i++) {
    uint32_t size = 0;
    std::memcpy(&size, whole.data() + at + 8, 4);
    at += 16 + size;
  }
  write_file(folder / "1.pcap", whole.substr(0, at));
  write_file(folder / "2.pcap", whole.substr(0, 24) + whole.substr(at));
  const Finished parts = run_sniffer(
      {"-r", (folder / "1.pcap").string(), (folder / "2.pcap").string(), "--format", "ndjson"});
  EXPECT_EQ(sorted_lines(parts.out),
            sorted_lines(run_sniffer({"-r", kShop, "--format", "ndjson"}).out));
}

}  // namespace
}  // namespace tcp_sniffer::input_test
