// The program as people and scripts use it: what it refuses, how it begins and how it ends.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::cli_test {
namespace {

using testing::Test;

// ------------------------------------------------------------------ refused

TEST(RefusedConfiguration, NamesKeyValueAndWhatIsAllowedAndExitsWith2) {
  struct Refused {
    std::vector<std::string> arguments;
    std::string config;
    std::vector<std::string> says;
  };
  const Refused table[] = {
      {{"--config", "-"}, R"({"portz": [80]})", {"portz"}},
      {{"-r", kShop, "-p", "0"}, "", {"ports", "0", "1", "65535"}},
      {{"-r", kShop, "--sample-rate", "2"}, "", {"sampleRate", "2", "0", "1"}},
      {{"--config", "-"}, R"({"sampleRate": "all", "ports": [80]})", {"sampleRate", "all"}},
      {{"--config", "-"}, R"({"files": ["-"]})", {"files", "-"}},
      {{"--config", "-"}, "{", {}},
      {{"--no-such-flag"}, "", {"no-such-flag"}},
  };
  for (const Refused& refused : table) {
    SCOPED_TRACE(testing::PrintToString(refused.arguments) + refused.config);
    const Finished run = run_sniffer(refused.arguments, refused.config + "\n");
    EXPECT_EQ(run.exit.code, 2);
    const Json fatal = fatal_of(run);
    EXPECT_EQ(fatal["code"], "INVALID_CONFIG");
    for (const std::string& word : refused.says) {
      EXPECT_NE(fatal["message"].get<std::string>().find(word), std::string::npos)
          << word << " in: " << fatal["message"];
    }
  }
}

TEST(RefusedConfiguration, OfTheCpusOnlyThoseThatTheProcessMayUseAreTaken) {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
  int first = 0;
  while (!CPU_ISSET(first, &set)) first++;
  const std::string usable = std::to_string(first);
  const std::string other = std::to_string(first + 1);
  const auto run_on_first = [&](const std::string& cpus) {
    return run({"taskset", "--cpu-list", usable, TCP_SNIFFER_BINARY, "-r", kShop, "--output",
                "/dev/null", "--pin-cpus", cpus});
  };
  EXPECT_EQ(run_on_first(usable).exit.code, 0);
  const Finished refused = run_on_first(usable + "," + other);
  EXPECT_EQ(refused.exit.code, 2);
  EXPECT_EQ(fatal_of(refused)["message"],
            "pinCpus: " + other + " is no CPU that this process may use; allowed: " + usable);
}

// The engine as a user who may have `threads` threads.
Finished run_with_threads(int threads) {
  const std::string limit = "--nproc=" + std::to_string(threads) + ":" + std::to_string(threads);
  std::vector<std::string> command = {"prlimit", limit, "setpriv", "--reuid=54321",
                                      "--clear-groups"};
  for (const std::string& word : sniffer({"-r", kShop, "--shards", "2"})) command.push_back(word);
  return run(command);
}

TEST(Fault, AThreadThatTheSystemRefusesIsToldAndTheExitCodeIs70) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become a user of one thread";
  if (kSanitized) GTEST_SKIP() << "the sanitizers need threads of their own";
  int threads = 1;
  for (Finished refused = run_with_threads(threads); refused.exit.code == 70;
       refused = run_with_threads(++threads)) {
    ASSERT_LT(threads, 10);
    const Json fatal = fatal_of(refused);
    EXPECT_EQ(fatal["code"], "INTERNAL");
    EXPECT_EQ(fatal["level"], "error");
    EXPECT_TRUE(fatal["message"].get<std::string>().starts_with("a fault of this program: "));
    EXPECT_TRUE(fatal["timestamp"].get<std::string>().ends_with("Z"));
  }
  // Threads of a team are no must: those that there are do the work.
  EXPECT_GT(threads, 1);
  const Finished fewest = run_with_threads(threads);
  EXPECT_EQ(fewest.exit.code, 0) << fewest.err;
  const Finished whole = run_sniffer({"-r", kShop, "--shards", "2"});
  EXPECT_EQ(sorted_lines(fewest.out), sorted_lines(whole.out));
}

// ------------------------------------------------------------------ input

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

// ------------------------------------------------------------------ configuration

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

// ------------------------------------------------------------------ forms of output

uint32_t le32_at(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; i++) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(text[at + i])) << (8 * i);
  }
  return value;
}

TEST(Framed, HoldsTheSameMessagesWithTheirBodiesRaw) {
  const std::string posts = capture("posts.pcap").string();
  const Finished framed = run_sniffer({"-r", posts, "--format", "framed", "--shards", "0"});
  ASSERT_TRUE(framed.out.starts_with("TCPSNIF1"));
  const std::vector<Json> expected = json_lines(
      run_sniffer({"-r", posts, "--format", "ndjson", "--binary-body", "base64", "--shards", "0"})
          .out);
  size_t at = 8;
  for (const Json& line : expected) {
    ASSERT_LE(at + 8, framed.out.size());
    const size_t json_size = le32_at(framed.out, at);
    const size_t body_size = le32_at(framed.out, at + 4);
    ASSERT_LE(at + 8 + json_size + body_size, framed.out.size());
    Json message = Json::parse(framed.out.substr(at + 8, json_size));
    const std::string body = framed.out.substr(at + 8 + json_size, body_size);
    at += 8 + json_size + body_size;
    EXPECT_FALSE(message.contains("body"));
    Json wanted = line;
    if (wanted.value("bodyEncoding", "") == "base64") {
      EXPECT_EQ(message["bodyEncoding"], "binary");
      EXPECT_EQ(body.size(), line["bodySize"]);
    } else {
      EXPECT_EQ(message["bodyEncoding"], "utf8");
      EXPECT_EQ(body, line["body"]);
    }
    for (Json* value : {&message, &wanted}) {
      value->erase("bodyEncoding");
      value->erase("body");
    }
    EXPECT_EQ(message, wanted);
  }
  EXPECT_EQ(at, framed.out.size());
}

TEST(Pretty, HasALineForEachExchangeWithoutColoursWhenItIsNoTerminal) {
  const Finished run = run_sniffer({"-r", kShop, "--format", "pretty", "--utc"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_EQ(run.out.find('\033'), std::string::npos);
  constexpr std::string_view kDay = "2026-11-20, UTC\n";
  ASSERT_TRUE(run.out.starts_with(kDay)) << run.out;
  // Across connections lines have no order, so they are looked at in that of their times.
  const std::vector<std::string> lines = sorted_lines(run.out.substr(kDay.size()));
  ASSERT_EQ(lines.size(), kShopMessages / 2);
  EXPECT_EQ(lines.front(),
            "18:58:15.519472  10.77.0.1        GET      200    0.124 ms       0 B     618 B  "
            "10.77.0.2/");
  EXPECT_EQ(lines.back(),
            "18:58:15.535862  10.77.0.1        HEAD     301    0.017 ms       0 B       0 B  "
            "10.77.0.2/shop");
}

TEST(Pretty, IsInColourForAPagerThatShowsColours) {
  const Finished run = run_sniffer({"-r", kShop, "--format", "pretty", "--color", "always"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_NE(run.out.find("\033[32m200\033[0m"), std::string::npos) << run.out;
}

// ------------------------------------------------------------------ bodies as files

class Extracted : public Test {
 protected:
  // 20 response bodies of 100 bytes each.
  Finished run_with(std::vector<std::string> arguments) {
    const std::filesystem::path bodies = folder_ / "bodies";
    std::filesystem::remove_all(bodies);
    std::filesystem::create_directory(bodies);
    write_file(folder_ / "many.pcap", many_exchanges(20));
    arguments.insert(arguments.end(), {"-r", (folder_ / "many.pcap").string(), "--extract-dir",
                                       bodies.string(), "--output", "/dev/null"});
    Finished finished = run_sniffer(arguments);
    EXPECT_EQ(finished.exit.code, 0) << finished.err;
    return finished;
  }
  static Json extracted(const Finished& run) {
    return event_named(run.err, "stopped")["extracted"];
  }

  const TemporaryFolder folder_;
};

TEST_F(Extracted, EachLimitOfTheRunIsSaidOnceWhenABodyIsLeftOutForIt) {
  for (const char* shards : {"0", "2"}) {
    const Finished files = run_with({"--extract-max-files", "5", "--shards", shards});
    const Json said = event_named(files.err, "limit");
    EXPECT_EQ(said["limit"], "extractMaxFiles");
    EXPECT_EQ(said["value"], 5);
    EXPECT_EQ(said["level"], "warn");
    EXPECT_EQ(extracted(files)["files"], 5);
    EXPECT_EQ(extracted(files)["limited"], 15);
    const Finished bytes = run_with({"--extract-max-bytes", "950", "--shards", shards});
    EXPECT_EQ(event_named(bytes.err, "limit")["limit"], "extractMaxBytes");
    EXPECT_EQ(event_named(bytes.err, "limit")["value"], 950);
    EXPECT_EQ(extracted(bytes)["files"], 9);
  }
}

TEST_F(Extracted, ALimitThatIsJustReachedIsNotSaidForNothingIsLeftOut) {
  const Finished run = run_with({"--extract-max-files", "20", "--extract-max-bytes", "2000"});
  EXPECT_EQ(extracted(run)["files"], 20);
  EXPECT_TRUE(events_named(run.err, "limit").empty()) << run.err;
}

TEST_F(Extracted, ABodyLargerThanMaxBodySizeIsWrittenInPartOnlyWhenIncompleteOnesAreAskedFor) {
  const Finished without = run_with({"--max-body-size", "99"});
  EXPECT_EQ(extracted(without)["files"], 0);
  EXPECT_EQ(extracted(without)["incomplete"], 20);
  const Finished with = run_with({"--max-body-size", "99", "--write-incomplete"});
  EXPECT_EQ(extracted(with)["files"], 20);
  EXPECT_EQ(extracted(with)["bytes"], 20 * 99);
}

// ------------------------------------------------------------------ questions

TEST(Questions, HelpAndVersionAreAnsweredOnStandardOutput) {
  const Finished help = run_sniffer({"--help"});
  EXPECT_EQ(help.exit.code, 0);
  EXPECT_NE(help.out.find("--max-body-size"), std::string::npos);
  const Finished version = run_sniffer({"--version"});
  EXPECT_EQ(version.exit.code, 0);
  for (const char* part : {"libpcap", "llhttp", "xxHash"}) {
    EXPECT_NE(version.out.find(part), std::string::npos) << version.out;
  }
}

TEST(Questions, CheckSaysWhatWouldBeReadAndReadsNothing) {
  const Finished run = run_sniffer({"--check", "-r", kShop});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_NE((run.out + run.err).find("site_and_api.pcap"), std::string::npos);
  EXPECT_EQ(run.out.find("connectionId"), std::string::npos);
}

TEST(Questions, CheckRefusesAFileAsTheRunWould) {
  const TemporaryFolder folder;
  write_file(folder / "empty.pcap", "");
  const std::string no_captures[] = {
      (source_dir() / "LICENSE").string(),
      (folder / "empty.pcap").string(),
      folder.path().string(),
      (folder / "absent.pcap").string(),
  };
  for (const std::string& path : no_captures) {
    SCOPED_TRACE(path);
    const Finished run = run_sniffer({"-r", path});
    const Finished check = run_sniffer({"--check", "-r", kShop, path});
    EXPECT_EQ(check.exit.code, run.exit.code);
    const std::string refusal = "INPUT_FILE: " + fatal_of(run)["message"].get<std::string>();
    EXPECT_NE(check.out.find(refusal), std::string::npos) << refusal << "\nin: " << check.out;
    EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
  }
}

TEST(Questions, CheckRefusesBuffersLargerThanTheMachinesMemory) {
  const Finished usual = run_sniffer({"--check", "-i", "lo", "-p", "80"});
  if (usual.exit.code == 4) GTEST_SKIP() << "no right to capture";
  EXPECT_EQ(usual.exit.code, 0) << usual.out;
  const Finished check = run_sniffer(
      {"--check", "-i", "lo", "-p", "80", "--capture-threads", "64", "--buffer-size-mib", "2047"});
  EXPECT_EQ(check.exit.code, 5);
  EXPECT_NE(check.out.find("take 131008 MiB"), std::string::npos) << check.out;
  EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
}

TEST(Questions, CheckFindsWhatStandsInTheWayOfTheOutputsInTheWordsOfTheRun) {
  const TemporaryFolder folder;
  std::filesystem::create_symlink(folder / "victim", folder / "link");
  write_file(folder / "file", "");
  const Descriptor taken(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  ASSERT_EQ(::bind(taken.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(::listen(taken.get(), 1), 0);
  ASSERT_EQ(::getsockname(taken.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  const std::string port = std::to_string(ntohs(address.sin_port));
  struct Obstacle {
    std::vector<std::string> arguments;
    int code;
    std::string says;
  };
  const Obstacle table[] = {
      {{"--output", (folder / "no/where").string()}, 7, "No such file or directory"},
      {{"--output", folder.path().string()}, 7, "Is a directory"},
      {{"--output", (folder / "file/x").string()}, 7, "Not a directory"},
      {{"--extract-dir", (folder / "nowhere").string()}, 7, "No such file or directory"},
      {{"--debug", "--debug-log", (folder / "no/where").string()}, 7, "No such file or directory"},
      {{"--debug", "--debug-log", (folder / "link").string()}, 7, "symbolic links"},
      {{"--metrics-listen", port}, 2, "Address already in use"},
  };
  for (const Obstacle& obstacle : table) {
    SCOPED_TRACE(testing::PrintToString(obstacle.arguments));
    std::vector<std::string> arguments = {"-r", kShop};
    arguments.insert(arguments.end(), obstacle.arguments.begin(), obstacle.arguments.end());
    const Finished run = run_sniffer(arguments);
    EXPECT_EQ(run.exit.code, obstacle.code);
    const Json fatal = fatal_of(run);
    const std::string words = fatal["message"];
    EXPECT_NE(words.find(obstacle.says), std::string::npos) << words;
    arguments.insert(arguments.begin(), "--check");
    const Finished check = run_sniffer(arguments);
    EXPECT_EQ(check.exit.code, obstacle.code);
    const std::string refusal = fatal["code"].get<std::string>() + ": " + words + "\n";
    EXPECT_NE(check.out.find(refusal), std::string::npos) << refusal << "in: " << check.out;
    EXPECT_TRUE(check.out.ends_with("not ready\n")) << check.out;
  }
}

TEST(Questions, CheckMakesNoFileAndEmptiesNone) {
  const TemporaryFolder folder;
  write_file(folder / "old.log", "precious");
  const Finished check =
      run_sniffer({"--check", "-r", kShop, "--output", (folder / "new").string(), "--extract-dir",
                   folder.path().string(), "--hex-dump", "--debug-log",
                   (folder / "old.log").string(), "--metrics-listen", "127.0.0.1:38761"});
  EXPECT_EQ(check.exit.code, 0) << check.out;
  EXPECT_TRUE(check.out.ends_with("ready\n")) << check.out;
  EXPECT_EQ(content_of(folder / "old.log"), "precious");
  EXPECT_FALSE(std::filesystem::exists(folder / "new"));
}

TEST(Questions, CheckShowsTheFilterOfFilesToo) {
  const Finished check = run_sniffer({"--check", "-r", kShop, "--filter", "host 10.77.0.2"});
  EXPECT_NE(check.out.find("filter:     host 10.77.0.2\n"), std::string::npos) << check.out;
}

TEST(Questions, AnAnswerThatAFullDiskDoesNotTakeEndsWith7) {
  const Descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  std::vector<std::vector<std::string>> questions = {
      {"--help"}, {"--version"}, {"--check", "-r", kShop}};
  // Without rights nothing is listed, so there is nothing to write.
  if (::geteuid() == 0) questions.push_back({"--list-interfaces"});
  for (const std::vector<std::string>& question : questions) {
    SCOPED_TRACE(question[0]);
    Child child(sniffer(question), {-1, full.get(), -1});
    EXPECT_EQ(child.wait().code, 7);
  }
}

}  // namespace
}  // namespace tcp_sniffer::cli_test
