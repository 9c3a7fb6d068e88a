#include "io/config/reload.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/config/options.h"
#include "support/run_program.h"

namespace tcp_sniffer::config_reload_test {
namespace {

using Names = std::vector<std::string>;

// A run with a configuration file, which the test writes anew.
class ReloadedRun {
 public:
  explicit ReloadedRun(std::string_view json, Names flags = {"-r", "a.pcap"},
                       Environment environment = {.cpus = 4})
      : environment_(environment), words_(std::move(flags)) {
    write(json);
    words_.insert(words_.end(), {"--config", path().string()});
    for (const std::string& word : words_) arguments_.push_back(word.c_str());
    const ParseResult parsed = parse_command_line(arguments_, environment_);
    if (const auto* wrong = std::get_if<Rejection>(&parsed)) {
      ADD_FAILURE() << wrong->problem.message();
      return;
    }
    invocation = std::get<Invocation>(parsed);
  }

  std::filesystem::path path() const { return folder_ / "config.json"; }
  std::filesystem::path file(std::string_view name) const { return folder_ / name; }
  void write(std::string_view json) const { write_file(path(), json); }

  std::variant<Reload, Problem> read_again() const {
    return ConfigFile(arguments_, environment_, path().string()).read_again(invocation.config);
  }
  std::variant<Reload, Problem> read_again(std::string_view json) const {
    write(json);
    return read_again();
  }
  Reload taken(std::string_view json) const {
    auto result = read_again(json);
    if (const auto* wrong = std::get_if<Problem>(&result)) {
      ADD_FAILURE() << wrong->message();
      return {};
    }
    return std::get<Reload>(result);
  }
  std::string refused(std::string_view json) const {
    const auto result = read_again(json);
    const auto* wrong = std::get_if<Problem>(&result);
    return wrong == nullptr ? "" : wrong->message();
  }
  std::string refused_at_start(std::string_view json) const {
    write(json);
    const ParseResult parsed = parse_command_line(arguments_, environment_);
    const auto* wrong = std::get_if<Rejection>(&parsed);
    return wrong == nullptr ? "" : wrong->problem.message();
  }

  Invocation invocation;

 private:
  const TemporaryFolder folder_;
  const Environment environment_;
  Names words_;
  std::vector<const char*> arguments_;
};

TEST(ReloadedConfig, NamesWhatIsNewAndTakesNothingElse) {
  const ReloadedRun run(R"({"where": "status >= 500", "shards": 2})");
  EXPECT_EQ(run.invocation.config_file, run.path().string());
  const Reload reload = run.taken(
      R"({"where": "status >= 400", "select": ["path"], "alwaysKeep": "orphan",
          "sampleExchanges": 0.5, "redactHeaders": ["Cookie"], "redactQuery": ["t"],
          "redactBody": ["p"], "redactPattern": ["x+"], "logLevel": "debug", "shards": 2})");
  EXPECT_EQ(reload.changed,
            (Names{"where", "sampleExchanges", "alwaysKeep", "select", "redactHeaders",
                   "redactQuery", "redactBody", "redactPattern", "logLevel"}));
  EXPECT_EQ(reload.ignored, Names{});
  EXPECT_EQ(reload.config.where, "status >= 400");
  EXPECT_EQ(reload.config.redact_headers, Names{"cookie"});
  EXPECT_EQ(reload.config.log_level, LogLevel::kDebug);
  EXPECT_TRUE(is_given(reload.config, "select"));
  EXPECT_EQ(reload.config.shards, 2u);
}

TEST(ReloadedConfig, NamesTheKeysThatCannotChangeAlsoThoseThatAreGone) {
  const ReloadedRun run(R"({"where": "status >= 500", "shards": 2, "maxBodySize": 10})");
  const Reload reload = run.taken(R"({"where": "orphan", "shards": 3, "fields": "extended"})");
  EXPECT_EQ(reload.changed, Names{"where"});
  EXPECT_EQ(reload.ignored, (Names{"fields", "maxBodySize", "shards"}));
  EXPECT_EQ(reload.config.shards, 2u);
  EXPECT_EQ(reload.config.max_body_size, 10u);
}

TEST(ReloadedConfig, WithoutAnyChangeNamesNothing) {
  const ReloadedRun run(R"({"where": "status >= 500", "select": ["path"], "logLevel": "warn"})");
  const Reload reload =
      run.taken(R"({"logLevel": "warn", "select": ["path"], "where": "status >= 500"})");
  EXPECT_EQ(reload.changed, Names{});
  EXPECT_EQ(reload.ignored, Names{});
}

TEST(ReloadedConfig, AKeyThatIsGoneHasItsDefaultAgain) {
  const ReloadedRun run(R"({"where": "status >= 500", "redactHeaders": ["cookie"]})");
  const Reload reload = run.taken("{}");
  EXPECT_EQ(reload.changed, (Names{"where", "redactHeaders"}));
  EXPECT_EQ(reload.config.where, "");
  EXPECT_FALSE(is_given(reload.config, "where"));
}

TEST(ReloadedConfig, AFlagBeatsTheFileAsAtTheStart) {
  const ReloadedRun run(R"({"logLevel": "warn"})",
                        {"-r", "a.pcap", "--where", "status >= 500", "--shards", "1"});
  const Reload reload =
      run.taken(R"({"logLevel": "error", "where": "status >= 400", "shards": 3})");
  EXPECT_EQ(reload.changed, Names{"logLevel"});
  EXPECT_EQ(reload.ignored, Names{});
  EXPECT_EQ(reload.config.where, "status >= 500");
}

TEST(ReloadedConfig, AWrongFileIsRejectedInTheWordsOfAStart) {
  const ReloadedRun run(R"({"where": "status >= 500"})");
  for (const std::string_view json :
       {R"({"where": "status >= "})", R"({"where": "staus = 1"})", R"({"select": ["pth"]})",
        R"({"redactPattern": ["("]})", R"({"logLevel": "loud"})", R"({"sampleExchanges": 2})",
        R"({"wher": "1"})", R"({"shards": 1000})", "{", "", "[]",
        R"({"redactHeaders": ["a"], "redactMode": "hash"})",
        R"({"redactHeaders": ["a"], "redactMode": "hash", "redactKeyFile": "/none"})",
        R"({"redactHeaders": ["a"], "hexDump": true})"}) {
    const std::string words = run.refused_at_start(json);
    EXPECT_NE(words, "") << json;
    EXPECT_EQ(run.refused(json), words);
  }
}

TEST(ReloadedConfig, WhatDoesNotFitTheRunIsRejectedEvenIfAStartWouldTakeIt) {
  const ReloadedRun run(R"({"hexDump": true, "debugLog": "x"})");
  const std::string words = run.refused(R"({"redactHeaders": ["cookie"]})");
  EXPECT_TRUE(words.starts_with("hexDump: true together with something to redact")) << words;
  EXPECT_NE(words.find("other keys keep their values"), std::string::npos) << words;
}

TEST(ReloadedConfig, AFileThatIsGoneUnreadableOrNoFileIsRejectedAtOnce) {
  const ReloadedRun run(R"({"where": "status >= 500"})");
  const auto refusal = [&] {
    const auto result = run.read_again();
    const auto* wrong = std::get_if<Problem>(&result);
    return wrong == nullptr ? "" : wrong->message();
  };
  std::filesystem::remove(run.path());
  EXPECT_NE(refusal().find("No such file or directory"), std::string::npos) << refusal();
  std::filesystem::create_directory(run.path());
  EXPECT_NE(refusal().find("is no file"), std::string::npos) << refusal();
  std::filesystem::remove(run.path());
  ASSERT_EQ(::mkfifo(run.path().c_str(), 0600), 0);
  EXPECT_NE(refusal().find("is no file"), std::string::npos) << "it would wait for a writer";
}

TEST(ReloadedConfig, TheColumnsOfATableStay) {
  for (const std::string_view format : {"tsv", "csv"}) {
    const std::string head = R"({"format": ")" + std::string(format) + "\"";
    const ReloadedRun run(head + R"(, "select": ["path"]})");
    const Reload reload = run.taken(head + R"(, "select": ["host"], "where": "orphan"})");
    EXPECT_EQ(reload.changed, Names{"where"});
    EXPECT_EQ(reload.ignored, Names{"select"});
    EXPECT_EQ(reload.config.select, Names{"path"});
  }
  const ReloadedRun usual(R"({"format": "tsv"})");
  EXPECT_EQ(usual.taken(R"({"format": "tsv", "where": "orphan"})").ignored, Names{});
}

// Without a format a selection decides about it at a terminal.
TEST(ReloadedConfig, AFormatThatNobodyNamedStaysWithoutAWord) {
  Environment terminal = {.cpus = 4};
  terminal.stdout_is_terminal = true;
  const ReloadedRun lines(R"({"select": ["path"]})", {"-r", "a.pcap"}, terminal);
  const Reload reload = lines.taken("{}");
  EXPECT_EQ(reload.ignored, Names{});
  EXPECT_EQ(reload.config.format, OutputFormat::kNdjson);
  const ReloadedRun pretty("{}", {"-r", "a.pcap"}, terminal);
  EXPECT_TRUE(pretty.refused(R"({"select": ["path"]})")
                  .starts_with("select: \"path\" together with format: pretty"));
}

TEST(ReloadedConfig, QuietIsALogLevel) {
  const ReloadedRun run("{}");
  const Reload reload = run.taken(R"({"quiet": true})");
  EXPECT_EQ(reload.changed, (Names{"quiet", "logLevel"}));
  EXPECT_EQ(reload.config.log_level, LogLevel::kWarn);
}

TEST(ReloadedConfig, TheKeyOfHashesIsReadAgain) {
  const TemporaryFolder folder;
  const std::filesystem::path key = folder / "key";
  const auto write_key = [&](std::string_view text) {
    write_file(key, text);
    std::filesystem::permissions(
        key, std::filesystem::perms::owner_read | std::filesystem::perms::owner_write);
  };
  write_key("one");
  const std::string hashing =
      R"({"redactQuery": ["t"], "redactMode": "hash", "redactKeyFile": ")" + key.string() + "\"}";
  const ReloadedRun masking(R"({"redactQuery": ["t"]})");
  const Reload reload = masking.taken(hashing);
  EXPECT_EQ(reload.changed, (Names{"redactMode", "redactKeyFile"}));
  EXPECT_EQ(reload.config.redact_key, "one");

  const ReloadedRun run(hashing);
  EXPECT_EQ(run.taken(hashing).changed, Names{});
  write_key("two");
  const Reload other = run.taken(hashing);
  EXPECT_EQ(other.changed, Names{"redactKeyFile"});
  EXPECT_EQ(other.config.redact_key, "two");
  std::filesystem::remove(key);
  EXPECT_NE(run.refused(hashing).find("No such file"), std::string::npos);
}

// Whoever reads the file again may be another user than at the start.
TEST(ReloadedConfig, AKeyFileThatMayNotBeReadAnyMoreKeepsItsKey) {
  if (::geteuid() != 0) GTEST_SKIP() << "needs root, to become another user";
  const TemporaryFolder folder;
  const std::filesystem::path key = folder / "key";
  write_file(key, "one");
  std::filesystem::permissions(key, std::filesystem::perms::owner_read);
  const std::string hashing =
      R"({"redactQuery": ["t"], "redactMode": "hash", "redactKeyFile": ")" + key.string() + "\"}";
  const ReloadedRun run(hashing);
  std::filesystem::permissions(run.path().parent_path(), std::filesystem::perms::all);
  std::filesystem::permissions(folder.path(), std::filesystem::perms::all);
  ASSERT_EQ(::seteuid(65534), 0);
  const auto result = run.read_again();
  ASSERT_EQ(::seteuid(0), 0);
  ASSERT_TRUE(std::holds_alternative<Reload>(result)) << std::get<Problem>(result).message();
  EXPECT_EQ(std::get<Reload>(result).config.redact_key, "one");
}

TEST(ReloadedConfig, APipeIsNoFileThatCanBeReadAgain) {
  const TemporaryFolder folder;
  const std::string path = (folder / "pipe").string();
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  std::thread writer([&] { write_file(path, R"({"where": "orphan"})"); });
  const ParseResult parsed = parse_command_line(
      std::vector<const char*>{"-r", "a.pcap", "--config", path.c_str()}, Environment{});
  writer.join();
  ASSERT_TRUE(std::holds_alternative<Invocation>(parsed));
  EXPECT_EQ(std::get<Invocation>(parsed).config.where, "orphan");
  EXPECT_EQ(std::get<Invocation>(parsed).config_file, "");
}

}  // namespace
}  // namespace tcp_sniffer::config_reload_test
