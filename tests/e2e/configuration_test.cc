// What keys change in a run, by a file, standard input and flags.

#include <gtest/gtest.h>

#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::configuration_test {
namespace {

TEST(Configuration, ComesFromAFileOrFromStandardInputAndFlagsBeatIt) {
  const TemporaryFolder folder;
  const Json config = {{"files", {kShop}}, {"format", "ndjson"}, {"maxBodySize", 0}};
  write_file(folder / "config.json", config.dump());
  const Finished by_flags =
      run_sniffer({"-r", kShop, "--format", "ndjson", "--max-body-size", "0"});
  const Finished by_file = run_sniffer({"--config", (folder / "config.json").string()});
  const Finished by_input = run_sniffer({"--config", "-"}, config.dump() + "\n");
  EXPECT_EQ(by_flags.exit.code, 0) << by_flags.err;
  EXPECT_EQ(by_flags.out.find("\"body\":"), std::string::npos);
  EXPECT_EQ(sorted_lines(by_file.out), sorted_lines(by_flags.out));
  EXPECT_EQ(sorted_lines(by_input.out), sorted_lines(by_flags.out));
  const Finished beaten =
      run_sniffer({"--config", (folder / "config.json").string(), "--max-body-size", "10"});
  EXPECT_NE(beaten.out.find("\"bodyTruncated\":true"), std::string::npos);
}

TEST(Configuration, TheFilterChoosesPacketsOfFiles) {
  const std::string mixed = capture("pipelining.pcap").string();
  const Finished all = run_sniffer({"-r", mixed, "--format", "ndjson"});
  const Finished some = run_sniffer({"-r", mixed, "--format", "ndjson", "--filter", "port 8080"});
  EXPECT_EQ(some.exit.code, 0) << some.err;
  std::vector<std::string> expected;
  for (const std::string& line : sorted_lines(all.out)) {
    if (Json::parse(line)["receiver"]["port"] == 8080) expected.push_back(line);
  }
  EXPECT_FALSE(expected.empty());
  EXPECT_EQ(sorted_lines(some.out), expected);
  const Json stopped = event_named(some.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_GT(stopped["frames"]["filtered"], 0);
}

TEST(Configuration, WordsAreFilesAndAFilterAsWithTcpdump) {
  const Finished flags = run_sniffer({"-r", kShop, "--filter", "host 10.77.0.2", "--shards", "0"});
  const Finished words = run_sniffer({kShop, "host", "10.77.0.2", "--shards", "0"});
  EXPECT_EQ(words.exit.code, 0) << words.err;
  EXPECT_FALSE(words.out.empty());
  EXPECT_EQ(words.out, flags.out);
  EXPECT_EQ(run_sniffer({kShop, "not host 10.77.0.2"}).out, "");

  const Finished missing = run_sniffer({"no/such.pcap", "host 10.77.0.2"});
  EXPECT_EQ(missing.exit.code, 6);
  EXPECT_NE(missing.err.find("no/such.pcap"), std::string::npos) << missing.err;
  const Finished wrong = run_sniffer({kShop, "hots 10.77.0.2"});
  EXPECT_EQ(wrong.exit.code, 2);
  EXPECT_NE(wrong.err.find("hots 10.77.0.2"), std::string::npos) << wrong.err;
}

TEST(Configuration, ThePortsChooseConnections) {
  const std::string mixed = capture("pipelining.pcap").string();
  const Finished some = run_sniffer({"-r", mixed, "--format", "ndjson", "-p", "8080,1234"});
  EXPECT_FALSE(some.out.empty());
  for (const Json& line : json_lines(some.out)) EXPECT_EQ(line["receiver"]["port"], 8080);
  const Json stopped = event_named(some.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_GT(stopped["frames"]["other_port"], 0);
}

TEST(Configuration, TheSampleIsAFractionOfWholeConnectionsAndTheSameInEveryRun) {
  CaptureMaker maker;
  constexpr size_t kConnections = 2000;
  for (size_t i = 0; i < kConnections; i++) {
    auto connection = maker.open();
    maker.exchange(connection, "/" + std::to_string(i), "x");
    maker.close(connection);
  }
  const auto sample = [&](const char* rate, const char* shards, const char* seed = "0") {
    const Finished run = run_sniffer({"-r", "-", "--format", "ndjson", "--sample-rate", rate,
                                      "--shards", shards, "--sample-seed", seed},
                                     maker.bytes());
    expect_ledger_closes(event_named(run.err, "stopped"));
    return sorted_lines(run.out);
  };
  const std::vector<std::string> tenth = sample("0.1", "0");
  // 200 connections expected, standard deviation 13.4.
  EXPECT_GT(tenth.size(), 2 * 140u);
  EXPECT_LT(tenth.size(), 2 * 260u);
  std::map<std::string, size_t> messages;
  for (const std::string& line : tenth) messages[Json::parse(line)["connectionId"]]++;
  for (const auto& [id, count] : messages) EXPECT_EQ(count, 2u) << id;
  for (const char* shards : {"1", "2", "4"}) EXPECT_EQ(sample("0.1", shards), tenth);
  EXPECT_NE(sample("0.1", "1", "7"), tenth);
  EXPECT_EQ(sample("1", "1").size(), 2 * kConnections);
  EXPECT_EQ(sample("0", "1").size(), 0u);
}

TEST(Configuration, BodiesAreCutAtMaxBodySize) {
  const std::string download = capture("download.pcap").string();
  const Finished run =
      run_sniffer({"-r", download, "--format", "ndjson", "--max-body-size", "1000"});
  size_t cut = 0;
  for (const Json& line : json_lines(run.out)) {
    const bool truncated = line.value("bodyTruncated", false);
    EXPECT_EQ(truncated, line["bodySize"] > 1000) << line["bodySize"];
    if (line.contains("body")) {
      EXPECT_LE(line["body"].get<std::string>().size(), 1000u);
      EXPECT_TRUE(!truncated || line["body"].get<std::string>().size() == 1000);
    }
    EXPECT_FALSE(line.contains("incomplete"));
    cut += truncated ? 1u : 0u;
  }
  EXPECT_GE(cut, 2u);
}

TEST(Configuration, WhatIsRedactedStandsNowhere) {
  const Finished run =
      run_sniffer({"-r", kShop, "--format", "ndjson", "--raw-headers", "--redact-headers",
                   "cookie,set-cookie", "--redact-query", "limit"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  bool cookie = false;
  bool query = false;
  for (const Json& line : json_lines(run.out)) {
    for (const auto& [name, value] : line["headers"].items()) {
      if (name != "cookie" && name != "set-cookie") continue;
      cookie = true;
      if (value.is_array()) {
        for (const Json& each : value) EXPECT_EQ(each, "[redacted]");
      } else {
        EXPECT_EQ(value, "[redacted]");
      }
    }
    ASSERT_TRUE(line.contains("rawHeaders"));
    for (const Json& pair : line["rawHeaders"]) {
      const bool secret = pair[0] == "Cookie" || pair[0] == "Set-Cookie";
      EXPECT_TRUE(!secret || pair[1] == "[redacted]") << pair;
    }
    const std::string path = line.value("path", "");
    EXPECT_EQ(path.find("limit=3"), std::string::npos);
    query |= path.find("limit=[redacted]") != std::string::npos;
  }
  EXPECT_TRUE(cookie);
  EXPECT_TRUE(query);
}

TEST(Configuration, ExtendedFieldsAreThereWhenAskedFor) {
  const Finished run = run_sniffer(
      {"-r", capture("vlan.pcap").string(), "--format", "ndjson", "--fields", "extended"});
  const std::vector<Json> lines = json_lines(run.out);
  ASSERT_FALSE(lines.empty());
  for (const Json& line : lines) {
    EXPECT_GT(line["firstFrame"], 0);
    EXPECT_GE(line["lastFrame"], line["firstFrame"]);
    EXPECT_GT(line["headersSize"], 0);
    EXPECT_EQ(line["vlan"], 100);
    EXPECT_TRUE(line["communityId"].get<std::string>().starts_with("1:")) << line;
    EXPECT_GE(line["connectMs"], 0);
  }
}

}  // namespace
}  // namespace tcp_sniffer::configuration_test
