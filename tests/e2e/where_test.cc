// `where`, `sampleExchanges`, `alwaysKeep`: what is written of a capture is what an obviously
// correct evaluator selects from its full lines, for every number of shards and in every form.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "support/capture_maker.h"
#include "support/condition_model.h"
#include "support/exchange_lines.h"
#include "support/ledger_check.h"
#include "support/repetitions.h"
#include "support/run_program.h"

namespace tcp_sniffer::where_test {
namespace {

Finished read(const std::filesystem::path& path, std::vector<std::string> more) {
  std::vector<std::string> arguments = {"-r", path.string(), "--protocols", "http,pop3"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  Finished run = run_sniffer(arguments);
  EXPECT_EQ(run.exit.code, 0) << run.err;
  expect_ledger_closes(event_named(run.err, "stopped"));
  return run;
}

// Every message of a capture as a full line, grouped to exchanges.
struct Whole {
  struct Exchange {
    Json request;
    Json response;
    std::vector<std::string> lines;
  };

  explicit Whole(const std::filesystem::path& path) {
    // By connection, and number or time.
    std::map<std::pair<std::string, Json>, Json> ends;
    for (const std::string& line : lines_of(read(path, full({"--records", "exchange"})).out)) {
      const Json exchange = Json::parse(line);
      ends[{exchange["connectionId"], key_of(exchange)}] = exchange;
    }
    std::map<std::pair<std::string, uint64_t>, size_t> known;
    for (const std::string& line : lines_of(read(path, full()).out)) {
      Json message = Json::parse(line);
      condition_model::add_exchange(ends[{message["connectionId"], key_of(message)}], message);
      messages.push_back(message);
      const bool is_request = message["direction"] == "request";
      const int status = message.value("statusCode", 0);
      const bool is_interim = status >= 100 && status < 200 && status != 101;
      size_t at = exchanges.size();
      if (message.contains("exchange")) {
        at = known.try_emplace({message["connectionId"], message["exchange"]}, at).first->second;
      }
      if (at == exchanges.size()) exchanges.emplace_back();
      Exchange& exchange = exchanges[at];
      exchange.lines.push_back(line);
      // An interim response is asked only when it is alone.
      if (is_request) {
        exchange.request = message;
      } else if (!is_interim || !message.contains("exchange")) {
        exchange.response = message;
      }
    }
  }

  static Json key_of(const Json& line) {
    return line.contains("exchange") ? line["exchange"] : line["timestamp"];
  }

  static std::vector<std::string> full(std::vector<std::string> more = {}) {
    std::vector<std::string> arguments = {"--format", "ndjson", "--fields",          "extended",
                                          "--shards", "0",      "--trusted-proxies", "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  std::vector<std::string> lines_where(const condition_model::Meaning& meaning) const {
    std::vector<std::string> lines;
    for (const Exchange& exchange : exchanges) {
      const Json* request = exchange.request.is_null() ? nullptr : &exchange.request;
      const Json* response = exchange.response.is_null() ? nullptr : &exchange.response;
      if (!meaning.holds(request, response)) continue;
      lines.insert(lines.end(), exchange.lines.begin(), exchange.lines.end());
    }
    std::sort(lines.begin(), lines.end());
    return lines;
  }

  // Some of the values that stand in the lines, as far as they can be written in a condition.
  std::vector<Json> values_of(const condition_model::AskedField& field) const {
    std::set<Json> values;
    for (const Json& message : messages) {
      for (const Json& value : condition_model::values_in(message, field.name)) {
        const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
        const bool is_plain =
            std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 0x7f; });
        if (is_plain && text.size() < 200 && (value.is_string() || text.find('e') > text.size())) {
          values.insert(value);
        }
      }
    }
    return {values.begin(), values.end()};
  }

  std::vector<Json> messages;
  std::vector<Exchange> exchanges;
};

// The table of these lines, with its head.
std::vector<std::string> rows_of(const std::vector<std::string>& lines) {
  std::vector<std::string> rows = {"connectionId,timestamp\r"};
  for (const std::string& line : lines) {
    const Json message = Json::parse(line);
    rows.push_back(message["connectionId"].get<std::string>() + "," +
                   message["timestamp"].get<std::string>() + "\r");
  }
  std::sort(rows.begin(), rows.end());
  return rows;
}

TEST(Where, TwoHundredRandomConditionsSelectWhatAnEvaluatorOfTheFullLinesSelects) {
  size_t some = 0;
  unsigned seed = 0;
  for (const char* name :
       {"site_and_api.pcap", "posts.pcap", "loss_random.pcap", "pop3.pcap", "proxied.pcap",
        "pipelining.pcap", "midstream.pcap", "no_body.pcap", "vlan.pcap", "websocket.pcap"}) {
    const Whole whole(capture(name));
    for (uint64_t i = repetitions("CONDITIONS", 20, 20); i > 0; --i) {
      const auto meaning = condition_model::RandomCondition(++seed, [&](const auto& field) {
                             return whole.values_of(field);
                           }).any(3);
      SCOPED_TRACE(std::string(name) + ": " + meaning.text);
      const char* shards = seed % 3 == 0 ? "0" : seed % 3 == 1 ? "1" : "4";
      const std::vector<std::string> expected = whole.lines_where(meaning);
      const auto run_as = [&](std::vector<std::string> form) {
        form.insert(form.end(), {"--shards", shards, "--where", meaning.text});
        return read(capture(name), Whole::full(form));
      };
      const Finished run = run_as({});
      ASSERT_EQ(sorted_lines(run.out), expected);
      if (i % 4 == 0) {
        const Finished exchanges = run_as({"--records", "exchange"});
        ASSERT_EQ(messages_of_exchanges(lines_of(exchanges.out)), sorted_messages(expected));
      } else if (i % 4 == 1) {
        const Finished rows = run_as({"--format", "csv", "--select", "connectionId,timestamp"});
        ASSERT_EQ(sorted_lines(rows.out), rows_of(expected));
      }
      const Json messages = event_named(run.err, "stopped")["messages"];
      EXPECT_EQ(messages["filtered"], whole.messages.size() - expected.size());
      some += !expected.empty() && expected.size() < whole.messages.size() ? 1 : 0;
    }
  }
  EXPECT_GT(some, 40u) << "of most runs all or nothing was selected";
}

class EveryCaptureWhere : public testing::TestWithParam<std::filesystem::path> {};

std::string name_of_capture(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

// Conditions that the request decides, that the response decides, and that need both.
const char* const kConditions[] = {"method in ('GET', 'USER') or request.bodySize > 100",
                                   "status >= 300 or bodySize > 2K or incomplete",
                                   "not (method = 'GET' and status = 200) and receiver.port > 1"};

TEST_P(EveryCaptureWhere, GivesTheSameForEveryNumberOfShardsAndEveryKindOfRecord) {
  for (const char* condition : kConditions) {
    SCOPED_TRACE(condition);
    const auto read_as = [&](const char* records, const char* shards) {
      return read(GetParam(), Whole::full({"--shards", shards, "--records", records, "--where",
                                           condition, "--binary-body", "base64"}));
    };
    const Finished once = read_as("message", "0");
    const std::vector<std::string> messages = sorted_messages(lines_of(once.out));
    const Json counted = event_named(once.err, "stopped")["messages"];
    for (const char* shards : {"1", "4"}) {
      EXPECT_EQ(sorted_lines(read_as("message", shards).out), sorted_lines(once.out));
    }
    for (const char* shards : {"0", "4"}) {
      const Finished run = read_as("exchange", shards);
      EXPECT_EQ(messages_of_exchanges(lines_of(run.out)), messages);
      EXPECT_EQ(event_named(run.err, "stopped")["messages"], counted);
    }
  }
}

// The lines that a run without the condition has, and no others.
TEST_P(EveryCaptureWhere, IsObeyedByEveryForm) {
  for (const char* condition : kConditions) {
    SCOPED_TRACE(condition);
    const size_t messages =
        lines_of(read(GetParam(), Whole::full({"--where", condition})).out).size();
    const auto rows = [&](std::vector<std::string> form) {
      form.insert(form.end(), {"--shards", "0", "--where", condition});
      return lines_of(read(GetParam(), form).out).size();
    };
    EXPECT_EQ(rows({"--format", "tsv", "--select", "method,status"}), messages + 1);
    EXPECT_EQ(rows({"--format", "ndjson", "--select", "status"}), messages);
    EXPECT_EQ(rows({"--format", "ndjson", "--decode-bodies", "--redact-headers", "cookie"}),
              messages);
    const auto pretty_lines = [&](const std::vector<std::string>& more) {
      std::vector<std::string> form = {"--format", "pretty", "--utc", "--shards", "0"};
      form.insert(form.end(), more.begin(), more.end());
      std::vector<std::string> lines = sorted_lines(read(GetParam(), form).out);
      std::erase_if(lines, [](const std::string& line) { return line.ends_with("UTC"); });
      return lines;
    };
    const std::vector<std::string> all = pretty_lines({});
    const std::vector<std::string> some = pretty_lines({"--where", condition});
    EXPECT_TRUE(std::includes(all.begin(), all.end(), some.begin(), some.end()));
    EXPECT_LE(some.size(), messages);
  }
}

INSTANTIATE_TEST_SUITE_P(Pcaps, EveryCaptureWhere,
                         testing::ValuesIn(captures_in(source_dir() / "pcaps")), name_of_capture);

TEST(Where, FramesOfExchangesThatAreLeftOutDoNotCome) {
  const auto frames = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--format", "framed", "--shards", "0"});
    return read(capture("posts.pcap"), more).out;
  };
  const std::string all = frames({});
  EXPECT_EQ(frames({"--where", "status or not status"}), all);
  EXPECT_EQ(frames({"--where", "status = 1"}), all.substr(0, 8));
  EXPECT_LT(frames({"--where", "path ~ '/api/cart*'"}).size(), all.size());
}

TEST(Where, AConditionOnBodiesIsAskedOfWhatTheLineWouldShow) {
  const auto count = [](std::vector<std::string> more) {
    more.insert(more.end(), {"--shards", "0"});
    return lines_of(read(capture("posts.pcap"), more).out).size();
  };
  const size_t found = count({"--format", "ndjson", "--where", "request.body ~ '*user*'"});
  EXPECT_GT(found, 0u);
  // Bodies are kept for it where they are not shown.
  EXPECT_EQ(count({"--format", "ndjson", "--select", "path", "--where", "request.body ~ '*user*'"}),
            found);
  EXPECT_GT(count({"--format", "pretty", "--where", "request.body ~ '*user*'"}), 0u);
  // What is hidden cannot be found out by asking.
  EXPECT_EQ(count({"--format", "ndjson", "--redact-pattern", "us(er)", "--where",
                   "request.body ~ '*user*'"}),
            0u);
}

TEST(Where, AnExchangeThatIsLeftOutLeavesNoFile) {
  const auto files = [](std::vector<std::string> more) {
    const TemporaryFolder folder;
    more.insert(more.end(), {"--format", "ndjson", "--extract-dir", folder.path().string()});
    read(capture("site_and_api.pcap"), more);
    const std::filesystem::directory_iterator entries(folder.path());
    return std::distance(begin(entries), end(entries));
  };
  const auto all = files({});
  const auto some = files({"--where", "response.contentType ~ '*json*'"});
  EXPECT_GT(some, 0);
  EXPECT_LT(some, all);
  EXPECT_EQ(files({"--where", "status = 999"}), 0);
}

TEST(Where, AWrongConditionIsMarkedAndNothingIsOpened) {
  struct Wrong {
    const char* condition;
    const char* place;
    const char* problem;
  };
  for (const Wrong& wrong : {
           Wrong{"status >= 500 and (latencyMs > 5", "status >= 500 and ^(latencyMs > 5",
                 "this parenthesis is not closed"},
           Wrong{"stauts >= 500", "^stauts >= 500", "did you mean \"status\"?"},
           Wrong{"path > 5", "path ^> 5", "path is a text"},
           Wrong{"status = '5xx'", "status = ^'5xx'", "a number is expected"},
           Wrong{"path =~ '(a'", "path =~ ^'(a'", "RE2"},
       }) {
    const TemporaryFolder folder;
    const std::string output = (folder / "lines").string();
    for (const char* flag : {"--where", "--always-keep"}) {
      const Finished run =
          run_sniffer({"-r", "/nowhere/a.pcap", "--output", output, flag, wrong.condition});
      EXPECT_EQ(run.exit.code, 2) << run.err;
      const Json fatal = event_named(run.err, "fatal");
      const auto message = fatal["message"].get<std::string>();
      EXPECT_NE(message.find(wrong.place), std::string::npos) << message;
      EXPECT_NE(message.find(wrong.problem), std::string::npos) << message;
      EXPECT_FALSE(std::filesystem::exists(output));
    }
  }
  const Finished text = run_sniffer({"-r", "/nowhere/a.pcap", "--log-format", "text", "--where",
                                     "status >= 500 and (latencyMs > 5"});
  EXPECT_NE(text.err.find("\n  status >= 500 and (latencyMs > 5\n                    ^\n"),
            std::string::npos)
      << text.err;
}

// ---------------------------------------------------------------- the sample

std::vector<std::string> sampled(const std::filesystem::path& file, std::vector<std::string> more) {
  more.insert(more.end(), {"--format", "ndjson"});
  const Finished run = read(file, more);
  return lines_of(run.out);
}

TEST(SampledExchanges, AreWholeAndTheSameInEveryRun) {
  const TemporaryFolder folder;
  const std::filesystem::path file = folder / "capture.pcap";
  CaptureMaker maker;
  for (int i = 0; i < 10; ++i) {
    auto connection = maker.open();
    for (int j = 0; j < 20; ++j) maker.exchange(connection, "/" + std::to_string(j), "body");
    maker.close(connection);
  }
  write_file(file, maker.bytes());
  const auto sample = [&](const char* fraction, std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--sample-exchanges", fraction});
    return sampled(file, more);
  };
  const std::vector<std::string> all = sorted_messages(sampled(file, {}));
  const std::vector<std::string> some = sorted_messages(sample("0.3", {"--shards", "0"}));
  EXPECT_GT(some.size(), all.size() / 5);
  EXPECT_LT(some.size(), all.size() / 2);
  EXPECT_TRUE(std::includes(all.begin(), all.end(), some.begin(), some.end()));
  std::map<std::pair<std::string, uint64_t>, int> halves;
  std::set<std::string> connections;
  for (const std::string& line : some) {
    const Json message = Json::parse(line);
    halves[{message["connectionId"], message["exchange"]}]++;
    connections.insert(message["connectionId"].get<std::string>());
  }
  for (const auto& [exchange, count] : halves) EXPECT_EQ(count, 2) << exchange.second;
  EXPECT_EQ(connections.size(), 10u) << "exchanges are chosen, and not connections";
  for (const char* shards : {"1", "4"}) {
    EXPECT_EQ(sorted_messages(sample("0.3", {"--shards", shards})), some);
    EXPECT_EQ(messages_of_exchanges(sample("0.3", {"--records", "exchange", "--shards", shards})),
              some);
  }
  const std::vector<std::string> more = sorted_messages(sample("0.6"));
  EXPECT_GT(more.size(), some.size());
  EXPECT_TRUE(std::includes(more.begin(), more.end(), some.begin(), some.end()));
  EXPECT_NE(sorted_messages(sample("0.3", {"--sample-seed", "1"})), some);
}

TEST(SampledExchanges, HaveThoseThatAreAlwaysKeptToo) {
  const std::filesystem::path file = capture("site_and_api.pcap");
  const auto where = [&](const char* condition) {
    return sorted_messages(sampled(file, {"--where", condition}));
  };
  const std::vector<std::string> kept = sorted_messages(sampled(
      file, {"--sample-exchanges", "0", "--always-keep", "status != 200 or path ~ '/api/*'"}));
  EXPECT_FALSE(kept.empty());
  EXPECT_EQ(kept, where("status != 200 or path ~ '/api/*'"));
  // With a condition, both must hold.
  EXPECT_EQ(sorted_messages(sampled(file, {"--where", "method = 'GET'", "--sample-exchanges", "0",
                                           "--always-keep", "status != 200"})),
            where("method = 'GET' and status != 200"));
  const std::vector<std::string> sample =
      sorted_messages(sampled(file, {"--sample-exchanges", "0.4"}));
  std::vector<std::string> both;
  std::set_union(sample.begin(), sample.end(), kept.begin(), kept.end(), std::back_inserter(both));
  EXPECT_EQ(sorted_messages(sampled(file, {"--sample-exchanges", "0.4", "--always-keep",
                                           "status != 200 or path ~ '/api/*'"})),
            both);
}

TEST(SampledExchanges, WhatIsLeftOutIsCountedOnce) {
  const Finished run =
      read(capture("site_and_api.pcap"), {"--format", "ndjson", "--where", "status = 200",
                                          "--sample-exchanges", "0.5", "--shards", "0"});
  const Json messages = event_named(run.err, "stopped")["messages"];
  EXPECT_GT(messages["filtered"], 0);
  EXPECT_GT(messages["sampled_out"], 0);
  EXPECT_GT(messages["written"], 0);
}

}  // namespace
}  // namespace tcp_sniffer::where_test
