// `records: exchange`: taken apart, its lines are those of `records: message`, grouped by
// connection and exchange; for every capture that there is, in every form, for every number of
// shards.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/exchange_lines.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::exchanges_test {
namespace {

std::vector<std::filesystem::path> all_captures() {
  std::vector<std::filesystem::path> all = captures_in(source_dir() / "pcaps");
  for (const auto& folder : {source_dir() / "tests/cases", corpus_dir()}) {
    if (!std::filesystem::exists(folder)) continue;
    const auto more = captures_in(folder);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Finished read(const std::filesystem::path& capture, const char* records,
              std::vector<std::string> more) {
  std::vector<std::string> arguments = {"-r",        capture.string(), "--protocols",
                                        "http,pop3", "--records",      records};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_sniffer(arguments);
}

uint32_t le32_at(std::string_view text, size_t at) {
  uint32_t value = 0;
  for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(text.at(at + i));
  return value;
}

// Frames as lines: with the bodies in the JSON. Of an exchange the bodies of its parts follow each
// other.
std::vector<std::string> lines_of_frames(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 8; at < text.size();) {
    const size_t json_size = le32_at(text, at);
    const size_t body_size = le32_at(text, at + 4);
    Json object = Json::parse(text.substr(at + 8, json_size));
    std::string_view body = std::string_view(text).substr(at + 8 + json_size, body_size);
    bool is_exchange = false;
    for (const char* name : {"request", "response"}) {
      if (!object.contains(name)) continue;
      is_exchange = true;
      const size_t size = object[name].value("bodyBytes", size_t{0});
      if (object[name].contains("bodyBytes")) {
        object[name]["body"] = std::string(body.substr(0, size));
      }
      body.remove_prefix(size);
    }
    for (Json& interim : object["interim"]) interim["body"] = "";
    if (object["interim"].is_null()) object.erase("interim");
    if (object.contains("direction")) {
      if (object.contains("bodyEncoding")) object["body"] = std::string(body);
    } else {
      EXPECT_TRUE(body.empty()) << "bytes of no part: " << object;
      EXPECT_TRUE(is_exchange || object.contains("interim")) << object;
    }
    lines.push_back(object.dump(-1, ' ', false, Json::error_handler_t::replace));
    at += 8 + json_size + body_size;
  }
  return lines;
}

// What must hold between the parts of one line.
void check_exchange(const Json& line) {
  const bool request = line.contains("request");
  const bool response = line.contains("response");
  const std::string orphan = line.value("orphan", "");
  const bool unasked = response && !request && line.contains("protocol") && orphan.empty();
  if (request && response) {
    EXPECT_EQ(orphan, "") << line;
    EXPECT_TRUE(line.contains("totalMs")) << line;
    EXPECT_TRUE(line.contains("exchange")) << line;
  } else if (request) {
    EXPECT_TRUE(orphan == "responseNotCaptured" || orphan == "noResponse") << line;
    EXPECT_EQ(line.contains("orphanCause"), orphan == "responseNotCaptured") << line;
  } else if (!unasked) {
    EXPECT_EQ(orphan, "requestNotCaptured") << line;
  }
}

// Each message of an exchange that is not limited stands in the one line of its number.
void check_numbers(const std::vector<Json>& lines) {
  std::map<std::pair<std::string, uint64_t>, int> seen;
  for (const Json& line : lines) {
    if (!line.contains("exchange")) continue;
    EXPECT_EQ(++seen[std::make_pair(line["connectionId"].get<std::string>(),
                                    line["exchange"].get<uint64_t>())],
              1)
        << line;
  }
}

TEST(Exchanges, TakenApartAreTheMessagesOfEveryCapture) {
  for (const auto& capture : all_captures()) {
    SCOPED_TRACE(capture);
    const std::vector<std::string> as_usual = {"--format", "ndjson", "--shards", "0"};
    const Finished messages = read(capture, "message", as_usual);
    const Finished exchanges = read(capture, "exchange", as_usual);
    EXPECT_EQ(exchanges.exit.code, messages.exit.code);
    EXPECT_EQ(messages_of_exchanges(lines_of(exchanges.out)),
              sorted_messages(lines_of(messages.out)));
    const std::vector<Json> lines = json_lines(exchanges.out);
    for (const Json& line : lines) check_exchange(line);
    const Json stopped = event_named(exchanges.err, "stopped");
    expect_ledger_closes(stopped);
    if (stopped["exchanges"]["left_early"] == 0) check_numbers(lines);
    EXPECT_EQ(ledger_sum(stopped["exchanges"],
                         {"whole", "request_not_captured", "response_not_captured", "no_response"}),
              lines.size());
    const Json of_messages = event_named(messages.err, "stopped");
    for (const char* group : {"bytes", "incomplete", "http", "connections"}) {
      EXPECT_EQ(stopped[group], of_messages[group]) << group;
    }
    EXPECT_EQ(stopped["messages"], of_messages["messages"]);
  }
}

class EveryCaptureAsExchanges : public testing::TestWithParam<std::filesystem::path> {};

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

TEST_P(EveryCaptureAsExchanges, GivesTheSameLinesForEveryNumberOfShardsAndItsLedgerCloses) {
  const auto read_with = [&](const char* shards) {
    return read(GetParam(), "exchange",
                {"--format", "ndjson", "--fields", "extended", "--raw-headers", "--binary-body",
                 "base64", "--shards", shards});
  };
  const Finished inline_run = read_with("0");
  for (const char* shards : {"1", "4"}) {
    SCOPED_TRACE("shards: " + std::string(shards));
    const Finished run = read_with(shards);
    expect_ledger_closes(event_named(run.err, "stopped"));
    EXPECT_EQ(sorted_lines(run.out), sorted_lines(inline_run.out));
  }
}

TEST_P(EveryCaptureAsExchanges, GivesTheSameMessagesFramed) {
  const std::vector<std::string> framed = {"--format", "framed", "--shards", "0"};
  const Finished messages = read(GetParam(), "message", framed);
  const Finished exchanges = read(GetParam(), "exchange", framed);
  EXPECT_EQ(messages_of_exchanges(lines_of_frames(exchanges.out)),
            sorted_messages(lines_of_frames(messages.out)));
}

TEST_P(EveryCaptureAsExchanges, IsShownToPeopleAsBefore) {
  const std::vector<std::string> pretty = {"--format", "pretty", "--shards", "0"};
  EXPECT_EQ(read(GetParam(), "exchange", pretty).out, read(GetParam(), "message", pretty).out);
}

INSTANTIATE_TEST_SUITE_P(Pcaps, EveryCaptureAsExchanges,
                         testing::ValuesIn(captures_in(source_dir() / "pcaps")), name_of);

// Golden lines of captures of real programs. TCP_SNIFFER_WRITE_EXPECTED=1 writes them.
TEST(Exchanges, OfRealProgramsAreAsExpected) {
  for (const char* name : {"posts.pcap", "pipelining.pcap", "loss_random.pcap", "websocket.pcap",
                           "pop3.pcap", "proxied.pcap", "midstream.pcap", "forwarded.pcap"}) {
    SCOPED_TRACE(name);
    const Finished run = read(capture(name), "exchange", {"--format", "ndjson"});
    const std::filesystem::path golden = capture(std::string(name) + ".exchanges.ndjson");
    std::string lines;
    for (const std::string& line : sorted_lines(run.out)) lines += line + "\n";
    if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) {
      write_file(golden, lines);
      continue;
    }
    EXPECT_EQ(lines, content_of(golden));
  }
}

}  // namespace
}  // namespace tcp_sniffer::exchanges_test
