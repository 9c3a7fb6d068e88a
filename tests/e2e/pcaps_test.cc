// Golden lines of the captures in pcaps/, and the ledger over each.

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <string>
#include <vector>

#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::pcaps_test {
namespace {

class EveryCapture : public testing::TestWithParam<std::filesystem::path> {};

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

// How a capture is read: those named after another protocol than HTTP with that protocol, too.
std::vector<std::string> reading(const std::filesystem::path& path,
                                 std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"-r", path.string(), "--format", "ndjson"};
  if (path.filename().string().starts_with("pop3")) {
    more.insert(more.end(), {"--protocols", "http,pop3"});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  return text;
}

// With TCP_SNIFFER_WRITE_EXPECTED=1 the golden lines are written instead. First verify them:
//   tools/record/reference.py --all build/release/tcp-sniffer
TEST_P(EveryCapture, GivesItsExpectedLines) {
  const Finished run = run_sniffer(reading(GetParam()));
  EXPECT_EQ(run.exit.code, 0) << run.err;
  const std::filesystem::path golden =
      GetParam().parent_path() / (GetParam().filename().string() + ".expected.ndjson");
  const std::vector<std::string> lines = sorted_lines(run.out);
  if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) {
    write_file(golden, joined(lines));
    return;
  }
  const std::vector<std::string> expected = lines_of(content_of(golden));
  EXPECT_FALSE(expected.empty()) << golden << " has no lines";
  EXPECT_EQ(lines, expected);
}

// What the load balancer sends, with the clients and without the secrets.
TEST(ForwardedCapture, NamesTheClientsAndHidesTheSecrets) {
  const std::filesystem::path path = capture("forwarded.pcap");
  const std::filesystem::path golden = path.string() + ".redacted.ndjson";
  for (const char* shards : {"0", "1", "4"}) {
    const Finished run = run_sniffer(reading(
        path, {"--ports", "8090,8095", "--trusted-proxies", "1", "--redact-headers", "set-cookie",
               "--redact-query", "token", "--redact-body", "password,card.number",
               "--redact-pattern", "[a-z]+@[a-z.]+", "--shards", shards}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const std::vector<std::string> lines = sorted_lines(run.out);
    if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) write_file(golden, joined(lines));
    EXPECT_EQ(lines, lines_of(content_of(golden)));
    for (const char* secret : {"lovelace", "4111", "8f14e45f", "ada@"}) {
      EXPECT_EQ(run.out.find(secret), std::string::npos) << secret;
    }
  }
}

// What nginx sends to the API: two proxies have added to the list, which the client began.
TEST(ForwardedCapture, NamesTheSameClientsBehindTheSecondProxy) {
  const Finished run = run_sniffer(
      reading(capture("forwarded.pcap"), {"--ports", "3000", "--trusted-proxies", "2"}));
  std::multiset<std::string> clients;
  for (const Json& line : json_lines(run.out)) clients.insert(line.value("client", "none"));
  EXPECT_EQ(clients.count("10.77.0.1"), 8u);
  EXPECT_EQ(clients.count("fd77::1"), 4u);
  EXPECT_EQ(clients.size(), 12u);
}

// An answer that streams, in parts.
TEST(EventStreamsCapture, ComesInPartsThatEndWithEvents) {
  const std::filesystem::path path = capture("event_streams.pcap");
  const std::filesystem::path golden = path.string() + ".parts.ndjson";
  for (const char* shards : {"0", "1", "4"}) {
    const Finished run =
        run_sniffer(reading(path, {"--partial-after-ms", "100", "--shards", shards}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const std::vector<std::string> lines = sorted_lines(run.out);
    if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) write_file(golden, joined(lines));
    EXPECT_EQ(lines, lines_of(content_of(golden)));
    for (const Json& line : json_lines(run.out)) {
      const bool ends = line.value("body", "").ends_with("\n\n");
      EXPECT_TRUE(ends || !line.contains("part")) << line;
    }
  }
}

TEST_P(EveryCapture, GivesTheSameLinesForEveryNumberOfShardsAndItsLedgerCloses) {
  const auto read = [&](const char* shards) {
    return run_sniffer(reading(GetParam(), {"--fields", "extended", "--raw-headers",
                                            "--binary-body", "base64", "--shards", shards}));
  };
  const Finished inline_run = read("0");
  for (const char* shards : {"0", "1", "2", "4"}) {
    SCOPED_TRACE("shards: " + std::string(shards));
    const Finished run = read(shards);
    EXPECT_EQ(run.exit.code, 0);
    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], lines_of(run.out).size());
    EXPECT_EQ(stopped["output"]["bytes_written"], run.out.size());
    ASSERT_TRUE(stopped["deterministic"]) << stopped;
    EXPECT_EQ(sorted_lines(run.out), sorted_lines(inline_run.out));
  }
}

INSTANTIATE_TEST_SUITE_P(Pcaps, EveryCapture,
                         testing::ValuesIn(captures_in(source_dir() / "pcaps")), name_of);

}  // namespace
}  // namespace tcp_sniffer::pcaps_test
