#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <nlohmann/json.hpp>
#include <ostream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/exchange_lines.h"
#include "support/shard_harness.h"

// Scenarios: conversations as readable text and what a shard must make of them, in
// tests/scenarios. A file holds several; each begins with `== TitleOfTheTest`. Then one step a
// line ('#' begins a comment):
//
//   set maxBodySize 5            a setting, before the first segment
//   handshake                    SYN, SYN ACK, ACK
//   c> "GET / HTTP/1.1\r\n\r\n"  the client's next bytes; s> the server's
//   c> SYN | FIN | RST | ACK     flags; words may be combined
//   c> at 5 "abc"                bytes from offset 5 of the stream (0 is behind the SYN)
//   c> lost "abc"                sent, and received by the server, but not captured
//   c> cut 2 "abcdef"            the snaplen leaves 2 bytes
//   c> ack 7 "abc"               acknowledges 7 bytes; without it: all that the other side sent
//   c> isn 500 SYN               a SYN with this sequence number; offsets count from it
//   c> forged isn 500 SYN        the same, but the streams go on where they were
//   c> "ab" *1000                the text a thousand times
//   connection 2                 what follows is on another pair of ports
//   +1500ms                      packet time goes on
//   sweep                        the shard looks at its timers
//   drain                        the capture ends; also at the end of every scenario
//
//   = {"direction":"request"}    the next line: these fields have these values; null = absent
//   = {"direction":"request"} *9 the next nine
//   ! not_http                   the next event
//   count duplicate 3            a counter at the end
//
// Every scenario runs with its segments in one block and in a block each, and once more with
// `records: exchange`, which must give the same messages.
namespace tcp_sniffer::scenario_test {
namespace {

using namespace shard_harness;
using nlohmann::json;

struct Step {
  int line = 0;
  std::vector<std::string> words;
};

struct Scenario {
  std::string file;
  std::string title;
  std::vector<Step> steps;
  std::vector<std::string> lines;
  std::vector<std::string> events;
  std::map<std::string, uint64_t> counts;

  friend std::ostream& operator<<(std::ostream& out, const Scenario& scenario) {
    return out << scenario.title;
  }
};

// ---------------------------------------------------------------- reading

std::string unescape(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] != '\\') {
      plain += text[i];
      continue;
    }
    const char c = text.at(++i);
    if (c == 'x') {
      plain += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      plain += c == 'r' ? '\r' : c == 'n' ? '\n' : c == 't' ? '\t' : c;
    }
  }
  return plain;
}

// Words apart by blanks; a text in quotes is one word that starts with the quote.
std::vector<std::string> words_of(std::string_view line) {
  std::vector<std::string> words;
  for (size_t at = 0; at < line.size();) {
    if (line[at] == ' ') {
      at++;
      continue;
    }
    if (line[at] == '#') break;
    if (line[at] == '"') {
      size_t end = at + 1;
      while (line.at(end) != '"') end += line[end] == '\\' ? 2 : 1;
      words.push_back('"' + unescape(line.substr(at + 1, end - at - 1)));
      at = end + 1;
      continue;
    }
    const size_t end = std::min(line.find(' ', at), line.size());
    words.emplace_back(line.substr(at, end - at));
    at = end;
  }
  return words;
}

std::vector<Scenario> load_scenarios() {
  std::vector<Scenario> scenarios;
  std::vector<std::filesystem::path> files;
  for (const auto& entry :
       std::filesystem::directory_iterator(TCP_SNIFFER_SOURCE_DIR "/tests/scenarios")) {
    if (entry.path().extension() == ".txt") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  for (const auto& path : files) {
    std::ifstream file(path);
    std::string line;
    for (int number = 1; std::getline(file, line); number++) {
      if (line.starts_with("== ")) {
        scenarios.push_back({path.filename(), line.substr(3), {}, {}, {}, {}});
      } else if (line.starts_with("= ")) {
        const size_t end = line.rfind('}') + 1;
        const size_t times =
            line.substr(end).starts_with(" *") ? std::stoul(line.substr(end + 2)) : 1;
        for (size_t i = 0; i < times; i++) {
          scenarios.back().lines.push_back(line.substr(2, end - 2));
        }
      } else if (line.starts_with("! ")) {
        scenarios.back().events.push_back(line.substr(2));
      } else if (const auto words = words_of(line); !words.empty()) {
        if (words[0] == "count") {
          scenarios.back().counts[words.at(1)] = std::stoull(words.at(2));
        } else {
          scenarios.back().steps.push_back({number, words});
        }
      }
    }
  }
  return scenarios;
}

// ---------------------------------------------------------------- playing

struct Talk {
  std::array<uint32_t, 2> start = {1001, 0x90000001};  // sequence number of offset 0
  std::array<uint32_t, 2> sent = {0, 0};               // offset of the next byte
};

class Player {
 public:
  explicit Player(bool single_segments) : single_segments_(single_segments) {
    settings_.ports = PortSet(std::array<uint16_t, 1>{80});
  }

  void play(const Scenario& scenario) {
    play_steps(scenario);
    check_lines(scenario);
    check_events(scenario);
    for (const auto& [name, expected] : scenario.counts) {
      EXPECT_EQ(harness().count(counter(name)), expected) << name;
    }
  }

  // The lines of all steps, as exchanges or by themselves.
  std::vector<std::string> lines_of(const Scenario& scenario, bool by_exchange) {
    settings_.lines.by_exchange = by_exchange;
    play_steps(scenario);
    return harness().lines;
  }

 private:
  void play_steps(const Scenario& scenario) {
    for (const Step& step : scenario.steps) {
      SCOPED_TRACE(scenario.file + ":" + std::to_string(step.line));
      this->step(step.words);
    }
    harness().drain();
    harness().check_ledger();
  }

  ShardHarness& harness() {
    if (!harness_) harness_ = std::make_unique<ShardHarness>(settings_);
    return *harness_;
  }

  void step(const std::vector<std::string>& words) {
    const std::string& first = words.at(0);
    if (first == "c>" || first == "s>") {
      segment(first == "c>" ? Side::kLow : Side::kHigh, words);
    } else if (first == "handshake") {
      segment(Side::kLow, {"", "SYN"});
      segment(Side::kHigh, {"", "SYN"});
      segment(Side::kLow, {"", "ACK"});
    } else if (first[0] == '+') {
      clock_ns_ += std::stoll(first.substr(1)) * kMs;
    } else if (first == "connection") {
      port_ = static_cast<uint16_t>(40000 + std::stoi(words.at(1)));
    } else if (first == "sweep") {
      harness().process(clock_ns_);
    } else if (first == "drain") {
      harness().drain();
    } else if (first == "set") {
      set(words.at(1), words.at(2));
    } else {
      FAIL() << "unknown step " << first;
    }
  }

  void set(const std::string& key, const std::string& value) {
    ASSERT_FALSE(harness_) << "settings come first";
    const auto number = [&] { return std::stoull(value); };
    const std::map<std::string, std::function<void()>> keys = {
        {"maxBodySize", [&] { settings_.protocols.http.body_max = number(); }},
        {"maxHeaderBytes",
         [&] { settings_.protocols.http.header_bytes_max = static_cast<uint32_t>(number()); }},
        {"maxHeaders",
         [&] { settings_.protocols.http.headers_max = static_cast<uint32_t>(number()); }},
        {"maxOutstandingRequests",
         [&] { settings_.protocols.http.outstanding_max = static_cast<uint32_t>(number()); }},
        {"maxConcurrentConnections", [&] { settings_.connections_max = number(); }},
        {"connectionIdleTimeoutMs",
         [&] { settings_.idle_timeout_ns = static_cast<int64_t>(number()) * kMs; }},
        {"partialAfterMs",
         [&] { settings_.protocols.http.part_after_ns = static_cast<int64_t>(number()) * kMs; }},
        {"memoryLimit", [&] { settings_.memory_bytes_max = number(); }},
        {"reassemblyBufferSize", [&] { settings_.reassembly.buffer_max = number(); }},
        {"gapPolicy", [&] { settings_.reassembly.by_evidence = value == "evidence"; }},
        {"protocols",
         [&] {
           for (const std::string_view name : kProtocolNames) {
             settings_.protocols.speak(name, value.find(name) != std::string::npos);
           }
         }},
        {"allowMissingInit", [&] { settings_.allow_missing_init = value == "true"; }},
        {"ignoreFsmErrors", [&] { settings_.ignore_fsm_errors = value == "true"; }},
        {"checkTcpOptions", [&] { settings_.check_tcp_options = value == "true"; }},
        {"where", [&] { settings_.choice.where = value.substr(1); }},  // in quotes
        {"records", [&] { settings_.lines.by_exchange = value == "exchange"; }},
        {"fields", [&] { settings_.lines.extended = value == "extended"; }},
        {"rawHeaders", [&] { settings_.lines.raw_headers = value == "true"; }},
        {"binaryBody", [&] { settings_.lines.binary_base64 = value == "base64"; }},
        {"format",
         [&] {
           settings_.lines.format = LineOptions::kPretty;
           settings_.protocols.http.request_target_max = 1024;
         }},
        {"ports",
         [&] {
           settings_.ports =
               value == "any" ? PortSet() : PortSet(std::array{static_cast<uint16_t>(number())});
         }},
    };
    const auto found = keys.find(key);
    ASSERT_NE(found, keys.end()) << key;
    found->second();
  }

  void segment(Side side, const std::vector<std::string>& words) {
    const auto me = static_cast<size_t>(side);
    Talk& talk = talks_[port_];
    const Talk before = talk;
    uint32_t offset = talk.sent[me];
    uint32_t acknowledged = talk.sent[1 - me];
    bool lost = false;
    bool forged = false;
    bool placed = false;
    bool acknowledges = true;
    uint32_t captured_max = ~0u;
    std::string text;
    Segment made;
    for (size_t i = 1; i < words.size(); i++) {
      const std::string& word = words[i];
      const auto number = [&] { return static_cast<uint32_t>(std::stoul(words.at(++i))); };
      if (word[0] == '"') {
        text += word.substr(1);
      } else if (word[0] == '*') {
        const std::string once = text;
        text.clear();
        for (int n = std::stoi(word.substr(1)); n > 0; n--) text += once;
      } else if (word == "SYN") {
        made.flags |= kTcpSyn;
        acknowledges = side == Side::kHigh;
      } else if (word == "FIN") {
        made.flags |= kTcpFin;
      } else if (word == "RST") {
        made.flags |= kTcpRst;
      } else if (word == "URG") {
        made.flags |= kTcpUrg;
      } else if (word == "ACK") {
        acknowledges = true;
      } else if (word == "noack") {
        acknowledges = false;
      } else if (word == "lost") {
        lost = true;
      } else if (word == "forged") {
        forged = true;
      } else if (word == "at") {
        offset = number();
        placed = true;
      } else if (word == "ack") {
        acknowledged = number();
      } else if (word == "cut") {
        captured_max = number();
      } else if (word == "isn") {
        talk.start[me] = number() + 1;
        offset = 0;
        talk.sent[me] = 0;
      } else {
        FAIL() << "unknown word " << word;
      }
    }
    const bool syn = (made.flags & kTcpSyn) != 0;
    const bool fin = (made.flags & kTcpFin) != 0;
    const auto size = static_cast<uint32_t>(text.size());
    if (!placed || offset + size + fin > talk.sent[me]) talk.sent[me] = offset + size + fin;
    const uint32_t start = talk.start[me];
    if (forged) talk = before;
    if (lost) return;
    made.key = key_of(port_);
    made.side = side;
    made.sequence = start + offset - (syn ? 1 : 0);
    if (acknowledges) {
      made.flags |= kTcpAck;
      made.acknowledgment = talk.start[1 - me] + acknowledged;
    }
    made.clock_ns = made.time_ns = clock_ns_;
    made.payload_wire_size = size;
    made.payload_size = std::min(size, captured_max);
    harness().add(made, text);
    if (single_segments_) harness().process();
  }

  static ShardCounter counter(const std::string& name) {
    for (size_t i = 0; i < kShardCounters.size(); i++) {
      if (kShardCounters.at(i).name == name) return static_cast<ShardCounter>(i);
    }
    throw std::runtime_error("no counter " + name);
  }

  // The first difference, or nothing: every field of `expected` must be in `actual`.
  static std::string difference(const json& expected, const json& actual, const std::string& at) {
    if (expected.is_array() && actual.is_array() && expected.size() == actual.size()) {
      std::string found;
      for (size_t i = 0; i < expected.size() && found.empty(); i++) {
        found = difference(expected[i], actual[i], at + "[" + std::to_string(i) + "]");
      }
      return found;
    }
    if (!expected.is_object()) {
      return expected == actual ? "" : at + " is " + actual.dump() + ", not " + expected.dump();
    }
    for (const auto& [key, value] : expected.items()) {
      const std::string name = at.empty() ? key : at + "." + key;
      if (value.is_null()) {
        if (actual.contains(key)) return name + " is there: " + actual.at(key).dump();
      } else if (!actual.contains(key)) {
        return name + " is absent";
      } else if (std::string found = difference(value, actual.at(key), name); !found.empty()) {
        return found;
      }
    }
    return "";
  }

  void check_lines(const Scenario& scenario) {
    const auto& lines = harness().lines;
    for (size_t i = 0; i < std::max(lines.size(), scenario.lines.size()); i++) {
      if (i >= scenario.lines.size()) {
        ADD_FAILURE() << "one line too many: " << lines[i];
      } else if (i >= lines.size()) {
        ADD_FAILURE() << "this line did not come: " << scenario.lines[i];
      } else if (!scenario.lines[i].starts_with('{')) {
        EXPECT_EQ(lines[i], scenario.lines[i]);
      } else {
        json expected = json::parse(scenario.lines[i]);
        // What is not spoken of is as usual.
        for (const char* unusual :
             {"incomplete", "afterGap", "missingBytes", "bodyGaps", "headersIncomplete",
              "bodyTruncated", "trailers", "orphan", "orphanCause", "part", "lastPart"}) {
          if (!expected.contains(unusual)) expected[unusual] = nullptr;
        }
        EXPECT_EQ(difference(expected, json::parse(lines[i]), ""), "")
            << "expected: " << scenario.lines[i] << "\n  actual: " << lines[i];
      }
    }
  }

  void check_events(const Scenario& scenario) {
    std::vector<std::string> events;
    for (const EventRecord& record : harness().events.records) {
      std::string text(name_of(record.kind));
      if (*record.detail != '\0') text += std::string(" ") + record.detail;
      events.push_back(text);
    }
    EXPECT_EQ(events, scenario.events);
  }

  const bool single_segments_;
  ShardSettings settings_;
  std::unique_ptr<ShardHarness> harness_;
  std::map<uint16_t, Talk> talks_;
  uint16_t port_ = 40000;
  int64_t clock_ns_ = kStartNs;
};

class ScenarioTest : public testing::TestWithParam<Scenario> {};

TEST_P(ScenarioTest, GivesTheExpectedLinesInOneBlock) {
  Player(false).play(GetParam());
}

TEST_P(ScenarioTest, GivesTheExpectedLinesInABlockPerSegment) {
  Player(true).play(GetParam());
}

TEST_P(ScenarioTest, HasTheSameMessagesInItsExchanges) {
  for (const Step& step : GetParam().steps) {
    // People see exchanges anyway, where memory is short other bodies are cut, and exchanges have
    // no parts.
    const bool differs = step.words[0] == "set" &&
                         (step.words.at(1) == "format" || step.words.at(1) == "memoryLimit" ||
                          step.words.at(1) == "records" || step.words.at(1) == "partialAfterMs");
    if (differs) return;
  }
  const std::vector<std::string> exchanges = Player(false).lines_of(GetParam(), true);
  EXPECT_EQ(messages_of_exchanges(exchanges),
            sorted_messages(Player(false).lines_of(GetParam(), false)));
}

INSTANTIATE_TEST_SUITE_P(, ScenarioTest, testing::ValuesIn(load_scenarios()),
                         [](const auto& scenario) { return scenario.param.title; });

}  // namespace

}  // namespace tcp_sniffer::scenario_test
