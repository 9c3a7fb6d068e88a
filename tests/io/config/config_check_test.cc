#include "io/config/config_check.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "support/parsed_config.h"

namespace tcp_sniffer::config_check_test {
namespace {

using nlohmann::json;
using namespace parsed_config;

TEST(ConfigTest, DefaultsFollowTheEnvironment) {
  Environment environment = {.cpus = 1};
  EXPECT_EQ(accepted(R"({"ports":[80]})", environment).shards, 1u);
  environment.cpus = 0;
  EXPECT_EQ(accepted(R"({"ports":[80]})", environment).shards, 1u);
  environment.cpus = 8;
  EXPECT_EQ(accepted(R"({"ports":[80]})", environment).shards, 7u);
  EXPECT_EQ(accepted(R"({"ports":[80],"shards":3})", environment).shards, 3u);
  environment.cpus = 1000;
  EXPECT_EQ(accepted(R"({"ports":[80]})", environment).shards, 256u);

  const Config live = accepted(R"({"ports":[80]})", environment);
  EXPECT_EQ(live.overload, Overload::kDrop);
  EXPECT_FALSE(live.tunnels);
  EXPECT_EQ(live.format, OutputFormat::kNdjson);
  EXPECT_EQ(live.log_format, LogFormat::kJson);
  const Config files = accepted(R"({"files":["a"]})", environment);
  EXPECT_EQ(files.overload, Overload::kBlock);
  EXPECT_TRUE(files.tunnels);
  const Config opposite = accepted(R"({"files":["a"],"overload":"drop","tunnels":false})");
  EXPECT_EQ(opposite.overload, Overload::kDrop);
  EXPECT_FALSE(opposite.tunnels);
}

TEST(ConfigTest, PeopleAtATerminalGetPrettyLinesAndTextEvents) {
  const Environment terminal = {.cpus = 2, .stdout_is_terminal = true, .stderr_is_terminal = true};
  const Config config = accepted(R"({"files":["a"]})", terminal);
  EXPECT_EQ(config.format, OutputFormat::kPretty);
  EXPECT_EQ(config.log_format, LogFormat::kText);
  EXPECT_EQ(accepted(R"({"files":["a"],"format":"ndjson"})", terminal).format,
            OutputFormat::kNdjson);
  EXPECT_EQ(accepted(R"({"files":["a"],"output":"x"})", terminal).format, OutputFormat::kNdjson);
  EXPECT_EQ(accepted(R"({"files":["a"],"logFormat":"json"})", terminal).log_format,
            LogFormat::kJson);
  EXPECT_EQ(accepted(R"({"files":["a"],"output":"-"})", terminal).format, OutputFormat::kPretty);
  EXPECT_EQ(accepted(R"({"files":["a"],"output":"-"})", terminal).output, "");

  Environment program = terminal;
  program.config_from_stdin = true;
  EXPECT_EQ(accepted(R"({"files":["a"]})", program).log_format, LogFormat::kJson);
}

TEST(ConfigTest, ColourIsForTerminalsUnlessTheUserOrTheEnvironmentSaysOtherwise) {
  const auto colour = [](const char* keys, const Environment& environment) {
    return accepted(R"({"files":["a"])" + std::string(keys) + "}", environment).color;
  };
  const Environment terminal = {.cpus = 2, .stdout_is_terminal = true};
  Environment quiet = terminal;
  quiet.no_color = true;
  Environment dumb = terminal;
  dumb.terminal_is_dumb = true;
  EXPECT_EQ(colour("", terminal), Color::kAlways);
  EXPECT_EQ(colour("", kServer), Color::kNever);
  EXPECT_EQ(colour(R"(,"output":"x")", terminal), Color::kNever);
  for (const Environment& environment : {quiet, dumb}) {
    EXPECT_EQ(colour("", environment), Color::kNever);
    EXPECT_EQ(colour(R"(,"color":"auto")", environment), Color::kNever);
    EXPECT_EQ(colour(R"(,"color":"always")", environment), Color::kAlways);
  }
  EXPECT_EQ(colour(R"(,"color":"always","output":"x")", kServer), Color::kAlways);
  EXPECT_EQ(colour(R"(,"color":"never")", terminal), Color::kNever);
}

TEST(ConfigTest, ASmallMemoryLimitMakesTheReassemblyBufferSmaller) {
  Config config;
  config.memory_limit = 1 << 20;
  resolve_defaults(config, kServer);
  EXPECT_EQ(config.reassembly_buffer_size, uint64_t{1} << 20);
}

TEST(ConfigTest, ThreadsArePinnedToCpusThatTheProcessMayUseAndNoOthers) {
  Environment environment = kServer;
  Config config = accepted(R"({"files":["a"],"pinCpus":[0,99]})", environment);
  EXPECT_EQ(config.pin_cpus, (std::vector<uint16_t>{0, 99})) << "not known: any may be there";
  for (const size_t cpu : {0, 1, 2, 5, 1023}) environment.usable_cpus.set(cpu);
  EXPECT_EQ(check_config(config, environment).value().message(),
            "pinCpus: 99 is no CPU that this process may use; allowed: 0-2, 5, 1023");
  config.pin_cpus = {5, 1023};
  EXPECT_FALSE(check_config(config, environment).has_value());
}

TEST(ConfigTest, SelectNamesFieldsAndATableHasColumns) {
  const Config config = accepted(R"({"ports":[80],"select":["path","headers.X-A"]})");
  EXPECT_EQ(config.select, (std::vector<std::string>{"path", "headers.x-a"}));
  EXPECT_GT(accepted(R"({"ports":[80],"format":"csv"})").select.size(), 8u);
  EXPECT_TRUE(accepted(R"({"ports":[80]})").select.empty());
  Config refused;
  EXPECT_EQ(refusal(R"({"ports":[80],"select":["path","path"]})", refused, kServer),
            "select: \"path\" is given twice; allowed: a list of fields that --help-fields lists, "
            "none twice");
  EXPECT_EQ(refusal(R"({"ports":[80],"select":["stats"]})", refused, kServer),
            "select: \"stats\" is no field; did you mean \"status\"?");
  Config pretty;
  const std::string message =
      refusal(R"({"ports":[80],"select":["path"],"format":"pretty"})", pretty, kServer);
  EXPECT_NE(message.find("together with format: pretty"), std::string::npos) << message;
}

TEST(ConfigTest, ExchangesHaveNoParts) {
  Config refused;
  EXPECT_EQ(
      refusal(R"({"ports":[80],"partialAfterMs":500,"records":"exchange"})", refused, kServer),
      "partialAfterMs: 500 together with records: exchange, whose lines are written when the "
      "exchange has ended; allowed: records message");
  EXPECT_EQ(accepted(R"({"ports":[80],"partialAfterMs":500,"where":"status >= 500","count":3})")
                .partial_after_ms,
            500u);
  // People see exchanges anyway, each when it has ended.
  EXPECT_EQ(
      keys_without_effect(accepted(R"({"files":["a"],"format":"pretty","partialAfterMs":500})")),
      std::vector<std::string>{"partialAfterMs"});
}

TEST(ConfigTest, KeysThatChangeNothingInThisRunAreFound) {
  EXPECT_EQ(keys_without_effect(accepted(
                R"({"files":["a"],"select":["path"],"fields":"extended","rawHeaders":true})")),
            (std::vector<std::string>{"fields", "rawHeaders"}));
  EXPECT_EQ(keys_without_effect(accepted(
                R"({"files":["a"],"snaplen":100,"debugLog":"x","sampleSeed":1,"ports":[80]})")),
            (std::vector<std::string>{"snaplen", "debugLog", "sampleSeed"}));
  EXPECT_TRUE(
      keys_without_effect(accepted(R"({"ports":[80],"snaplen":100,"debug":true,"debugLog":"x"})"))
          .empty());
}

TEST(ConfigTest, RoutesOfMetricsArePatternsOfPathsAndNotTooMany) {
  EXPECT_EQ(refusal(R"({"metricsRoutes":["/users/{id}","users"]})"),
            "metricsRoutes: \"users\" is no pattern of paths: it does not begin with a slash; "
            "allowed: a list of patterns of paths as /users/{id}, /users/:id or /static/**");
  EXPECT_EQ(refusal(R"({"metricsRoutes":["/a/{b}{c}"]})"),
            "metricsRoutes: \"/a/{b}{c}\" is no pattern of paths: a segment has two placeholders; "
            "allowed: a list of patterns of paths as /users/{id}, /users/:id or /static/**");
  json config = {{"ports", json::array({80})}, {"metricsListen", "9464"}};
  for (int i = 0; i < 256; i++) config["metricsRoutes"].push_back("/" + std::to_string(i));
  EXPECT_EQ(accepted(config.dump()).metrics_routes.size(), 256u);
  config["metricsRoutes"].push_back("/one/more");
  EXPECT_EQ(refusal(config.dump()),
            "metricsRoutes: 257 patterns are too many; allowed: at most 256");
}

TEST(ConfigTest, KeysOfMetricsNeedTheirListener) {
  EXPECT_EQ(keys_without_effect(
                accepted(R"({"ports":[80],"metricsSeriesMax":10,"metricsRoutes":["/a"]})")),
            (std::vector<std::string>{"metricsSeriesMax", "metricsRoutes"}));
  EXPECT_EQ(
      keys_without_effect(accepted(
          R"({"ports":[80],"metricsListen":"1","metricsSeriesMax":0,"metricsRoutes":["/a"]})")),
      (std::vector<std::string>{"metricsRoutes"}));
  EXPECT_TRUE(
      keys_without_effect(
          accepted(
              R"({"ports":[80],"metricsListen":"1","metricsSeriesMax":1,"metricsRoutes":["/a"]})"))
          .empty());
}

TEST(ConfigTest, APatternThatRe2DoesNotTakeIsRejectedWithItsWords) {
  EXPECT_EQ(
      refusal(R"({"redactPattern":["a(b"]})"),
      "redactPattern: \"a(b\" is not a regular expression: missing ): a(b; allowed: a list of "
      "regular expressions of RE2, not empty");
  EXPECT_EQ(accepted(R"({"ports":[80],"redactPattern":["\\d{4,6}"]})").redact_pattern,
            std::vector<std::string>{"\\d{4,6}"});
}

TEST(ConfigTest, WhatCannotBeRedactedIsRejected) {
  EXPECT_NE(refusal(R"({"ports":[80],"hexDump":true,"redactBody":["a"]})").find("hexDump: true"),
            std::string::npos);
  EXPECT_NE(refusal(R"({"ports":[80],"redactMode":"hash","redactBody":["a"]})").find("redactMode"),
            std::string::npos);
  EXPECT_EQ(
      keys_without_effect(accepted(R"({"ports":[80],"redactMode":"hash","redactKeyFile":"x"})")),
      (std::vector<std::string>{"redactMode", "redactKeyFile"}));
}

TEST(ConfigTest, AnOutputToKafkaIsCheckedAndItsKeysNeedOne) {
  const Config config = accepted(
      R"({"ports":[80],"output":"kafka://a,b:1/t","kafkaProperties":["acks=all","linger.ms=5"]})");
  EXPECT_EQ(config.kafka_properties, (std::vector<std::string>{"acks=all", "linger.ms=5"}));
  EXPECT_TRUE(keys_without_effect(config).empty());
  EXPECT_EQ(
      keys_without_effect(accepted(R"({"ports":[80],"sensorName":"s","kafkaProperties":"acks=all",)"
                                   R"("kafkaPropertiesFile":"f"})")),
      (std::vector<std::string>{"sensorName", "kafkaProperties", "kafkaPropertiesFile"}));
  const std::string timeout = R"("output":"kafka://a/t","kafkaConnectTimeoutMs":5})";
  EXPECT_EQ(keys_without_effect(accepted(R"({"ports":[80],)" + timeout)),
            std::vector<std::string>{"kafkaConnectTimeoutMs"});
  EXPECT_EQ(keys_without_effect(accepted(R"({"files":["a"],"follow":true,)" + timeout)),
            std::vector<std::string>{"kafkaConnectTimeoutMs"});
  EXPECT_TRUE(keys_without_effect(accepted(R"({"files":["a"],)" + timeout)).empty());
  Config refused;
  EXPECT_EQ(refusal(R"({"ports":[80],"output":"kafka://a"})", refused, kServer),
            "output: \"kafka://a\" has no topic; allowed: kafka://HOST:PORT,.../TOPIC");
  EXPECT_EQ(refusal(R"({"ports":[80],"output":"kafka://u:hunter2@a/t"})", refused, kServer)
                .find("hunter2"),
            std::string::npos);
  EXPECT_EQ(refusal(R"({"kafkaProperties":["sasl.password=hunter2"]})"),
            "kafkaProperties: \"sasl.password\" is a secret, which may stand in "
            "kafkaPropertiesFile alone; allowed: a list of NAME=VALUE as librdkafka takes them");
  for (const char* wrong : {R"({"sasl.password":"hunter2"})", R"([{"sasl.password":"hunter2"}])",
                            R"("sasl.password=hunter2")"}) {
    EXPECT_EQ(refusal(std::string(R"({"kafkaProperties":)") + wrong + "}").find("hunter2"),
              std::string::npos);
  }
}

}  // namespace
}  // namespace tcp_sniffer::config_check_test
