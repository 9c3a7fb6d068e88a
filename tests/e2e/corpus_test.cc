// The corpus beside the repository: real captures made by others, with the messages they contain.
// It is not part of the project; without it these tests are skipped.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::corpus_test {
namespace {

// Of all messages that are recoverable as a matter of policy, those that come out. Raise it when
// more do; it never goes down.
constexpr uint64_t kShouldMatched = 1370;

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
     "EXTRA line 4 10.20.80.1:50343>10.0.0.15:80 response",
     "frame 37 is a request of HTTP/0.9, and what follows it is the answer, a body alone; the "
     "expectation holds no answer"},
};

// Captures that are cut in the middle of a record: the engine says so with exit code 6, behind
// every message that was whole.
constexpr const char* kCutFiles[] = {"OISF.suricata-verify__tests_http-mime-truncated_input.pcap"};

struct Comparison {
  std::vector<std::string> complaints;  // of the levels that count
  std::map<std::string, uint64_t> totals;
};

bool counts(const std::string& line) {
  return line.starts_with("MISSING[") || line.starts_with("MISMATCH[") ||
         line.starts_with("EXTRA line") || line.starts_with("BADJSON");
}

Comparison compare(const std::filesystem::path& file, const std::string& lines) {
  const TemporaryFolder folder;
  write_file(folder / "got.ndjson", lines);
  const Finished compared =
      run({"python3", (corpus_dir() / "compare.py").string(), file.string() + ".expected.ndjson",
           (folder / "got.ndjson").string(), "--strict", "--need-body", "--max", "1000"});
  Comparison result;
  for (const std::string& line : lines_of(compared.out)) {
    if (counts(line)) result.complaints.push_back(line);
    if (!line.starts_with("RESULT")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      const size_t equals = word.find('=');
      if (equals == std::string::npos) continue;
      result.totals[word.substr(0, equals)] = std::strtoull(word.c_str() + equals + 1, nullptr, 10);
    }
  }
  EXPECT_TRUE(result.totals.contains("expected")) << compared.out << compared.err;
  return result;
}

Finished read_corpus_file(const std::filesystem::path& file, const char* shards) {
  return run_sniffer({"-r", file.string(), "--format", "ndjson", "--binary-body", "base64",
                      "--max-body-size", "64M", "--shards", shards});
}

bool is_cut(const std::string& name) {
  return std::find(std::begin(kCutFiles), std::end(kCutFiles), name) != std::end(kCutFiles);
}

class Corpus : public testing::Test {
 protected:
  void SetUp() override {
    if (!std::filesystem::exists(corpus_dir() / "compare.py")) {
      GTEST_SKIP() << "there is no corpus at " << corpus_dir() << ": NOT TESTED";
    }
  }
};

TEST_F(Corpus, EveryMessageThatDecodersAgreeOnComesOutAndNoOther) {
  if (kSanitized) GTEST_SKIP() << "the release build compares: the lines are the same";
  std::map<std::string, uint64_t> totals;
  std::vector<bool> met(std::size(kWrongExpectations));
  for (const auto& file : captures_in(corpus_dir())) {
    const std::string name = file.filename();
    SCOPED_TRACE(name);
    const Finished run = read_corpus_file(file, "1");
    EXPECT_EQ(run.exit.code, is_cut(name) ? 6 : 0) << run.err;
    const Comparison comparison = compare(file, run.out);
    for (const auto& [what, count] : comparison.totals) totals[what] += count;
    for (const std::string& complaint : comparison.complaints) {
      const auto known = std::find_if(
          std::begin(kWrongExpectations), std::end(kWrongExpectations), [&](const auto& wrong) {
            return name == wrong.file && complaint.starts_with(wrong.line);
          });
      if (known == std::end(kWrongExpectations)) {
        ADD_FAILURE() << complaint;
      } else {
        met[static_cast<size_t>(known - std::begin(kWrongExpectations))] = true;
      }
    }
  }
  for (size_t i = 0; i < met.size(); i++) {
    EXPECT_TRUE(met[i]) << "no longer so, take it off the list: " << kWrongExpectations[i].file
                        << ": " << kWrongExpectations[i].line;
  }
  EXPECT_GE(totals["matched_should"], kShouldMatched);
  std::printf("must %llu, should %llu, of %llu expected\n",
              static_cast<unsigned long long>(totals["matched_must"]),
              static_cast<unsigned long long>(totals["matched_should"]),
              static_cast<unsigned long long>(totals["expected"]));
}

TEST_F(Corpus, TheSameLinesComeOutForEveryNumberOfShardsAndTheLedgerCloses) {
  for (const auto& file : captures_in(corpus_dir())) {
    SCOPED_TRACE(file.filename().string());
    const Finished inline_run = read_corpus_file(file, "0");
    const Json stopped = event_named(inline_run.err, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], lines_of(inline_run.out).size());
    EXPECT_TRUE(stopped["deterministic"]) << stopped;
    const std::vector<std::string> lines = sorted_lines(inline_run.out);
    for (const char* shards : {"1", "4"}) {
      SCOPED_TRACE("shards: " + std::string(shards));
      const Finished run = read_corpus_file(file, shards);
      EXPECT_EQ(run.exit.code, inline_run.exit.code);
      expect_ledger_closes(event_named(run.err, "stopped"));
      EXPECT_TRUE(sorted_lines(run.out) == lines) << "other lines than with shards: 0";
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::corpus_test
