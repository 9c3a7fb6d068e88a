// The corpus beside the repository: real captures made by others, with the messages they contain.
// It is not part of the project; without it these tests are skipped.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <regex>
#include <string>
#include <vector>

#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::corpus_test {
namespace {

// What the comparison holds against a capture though the engine is right: the beginning of the
// comparison's line, and why it is wrong. An entry that no longer occurs fails the test, too.
struct WrongExpectation {
  const char* file;
  const char* line;
  const char* reason;
};

constexpr WrongExpectation kWrongExpectations[] = {
    {"zeek.zeek__testing_btest_Traces_http_byteranges.pcap",
     "MISMATCH[should] 192.168.1.105:49219>198.189.255.75:80 response  206 frames 6-64",
     "frame 65 carries the last 1301 bytes of the body beside the FIN, and frame 66 acknowledges "
     "them; the expectation ends with frame 64"},
    {"seladb.PcapPlusPlus__Tests_Pcap__Test_PcapExamples_650HttpResponses.pcap",
     "MISMATCH[should] 10.0.0.1:61222>173.194.113.97:80 response  302 frames 110-111",
     "frame 110 is a head alone and frame 111, which acknowledges a second request, begins with "
     "the next status line: the answer to a HEAD; the expectation takes the first 689 bytes of "
     "the second head for the body of the first"},
    {"zeek.zeek__testing_btest_Traces_mixed-vlan-mpls.pcap",
     "EXTRA 10.20.80.1:50343>10.0.0.15:80 response",
     "frame 37 is a request of HTTP/0.9, and what follows it is the answer, a body alone; the "
     "expectation holds no answer"},
};

// Captures that are cut in the middle of a record: the engine says so with exit code 6, behind
// every message that was whole.
constexpr const char* kCutFiles[] = {"OISF.suricata-verify__tests_http-mime-truncated_input.pcap"};

bool counts(const std::string& line) {
  return line.starts_with("MISSING[") || line.starts_with("MISMATCH[") ||
         line.starts_with("EXTRA line") || line.starts_with("BADJSON");
}

// What the comparison complains about; nothing when it could not compare, which fails the test.
std::vector<std::string> complaints_about(const std::filesystem::path& file,
                                          const std::string& lines) {
  const TemporaryFolder folder;
  write_file(folder / "got.ndjson", lines);
  const Finished compared =
      run({"python3", (corpus_dir() / "compare.py").string(), file.string() + ".expected.ndjson",
           (folder / "got.ndjson").string(), "--strict", "--need-body", "--max", "1000"});
  EXPECT_NE(compared.out.find("RESULT"), std::string::npos) << compared.out << compared.err;
  std::vector<std::string> complaints = lines_of(compared.out);
  std::erase_if(complaints, [](const std::string& line) { return !counts(line); });
  // In which line a message stands is not fixed: the connections have no order among each other.
  for (std::string& complaint : complaints) {
    complaint = std::regex_replace(complaint, std::regex("^EXTRA line [0-9]+"), "EXTRA");
  }
  return complaints;
}

Finished read_corpus_file(const std::filesystem::path& file, const char* shards) {
  return run_sniffer({"-r", file.string(), "--format", "ndjson", "--binary-body", "base64",
                      "--max-body-size", "64M", "--shards", shards});
}

bool is_cut(const std::string& name) {
  return std::find(std::begin(kCutFiles), std::end(kCutFiles), name) != std::end(kCutFiles);
}

// The captures, so that a failing test names its capture.
class Corpus : public testing::TestWithParam<std::filesystem::path> {};

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& capture) {
  std::string name = capture.param.filename();
  std::replace_if(
      name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Of, Corpus, testing::ValuesIn(captures_in(corpus_dir())), name_of);
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Corpus);

TEST(CorpusFolder, IsThere) {
  if (!std::filesystem::exists(corpus_dir() / "compare.py")) {
    GTEST_SKIP() << "there is no corpus at " << corpus_dir() << ": NOT TESTED";
  }
  EXPECT_FALSE(captures_in(corpus_dir()).empty());
}

TEST_P(Corpus, EveryMessageThatDecodersAgreeOnComesOutAndNoOther) {
  const std::string name = GetParam().filename();
  const Finished run = read_corpus_file(GetParam(), "1");
  EXPECT_EQ(run.exit.code, is_cut(name) ? 6 : 0) << run.err;
  if (kSanitized) return;  // the release build compares: the lines are the same
  std::vector<std::string> complaints = complaints_about(GetParam(), run.out);
  for (const WrongExpectation& wrong : kWrongExpectations) {
    if (name != wrong.file) continue;
    EXPECT_EQ(std::erase_if(complaints,
                            [&](const std::string& line) { return line.starts_with(wrong.line); }),
              1u)
        << "no longer so, take it off the list: " << wrong.line;
  }
  EXPECT_TRUE(complaints.empty()) << testing::PrintToString(complaints);
}

TEST_P(Corpus, TheSameLinesComeOutForEveryNumberOfShardsAndTheLedgerCloses) {
  const Finished inline_run = read_corpus_file(GetParam(), "0");
  const Json stopped = event_named(inline_run.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["messages"]["written"], lines_of(inline_run.out).size());
  EXPECT_TRUE(stopped["deterministic"]) << stopped;
  const std::vector<std::string> lines = sorted_lines(inline_run.out);
  for (const char* shards : {"1", "4"}) {
    SCOPED_TRACE("shards: " + std::string(shards));
    const Finished run = read_corpus_file(GetParam(), shards);
    EXPECT_EQ(run.exit.code, inline_run.exit.code);
    expect_ledger_closes(event_named(run.err, "stopped"));
    EXPECT_TRUE(sorted_lines(run.out) == lines) << "other lines than with shards: 0";
  }
}

}  // namespace
}  // namespace tcp_sniffer::corpus_test
