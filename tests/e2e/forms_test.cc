// Messages in frames, for people, and bodies as files.

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::forms_test {
namespace {

using testing::Test;

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

}  // namespace
}  // namespace tcp_sniffer::forms_test
