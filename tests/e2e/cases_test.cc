// Every capture of tests/cases gives its expected messages, for every number of shards and in both
// forms. tests/cases/README.md explains the files.

#include <gtest/gtest.h>

#include <algorithm>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::cases_test {
namespace {

constexpr const char* kShards[] = {"0", "1", "4"};

// ---------------------------------------------------------------- the files of a case

std::optional<std::string> text_beside(const std::filesystem::path& capture,
                                       const char* extension) {
  std::filesystem::path path = capture;
  path.replace_extension(extension);
  if (!std::filesystem::exists(path)) return std::nullopt;
  return content_of(path);
}

std::vector<std::string> words_of(const std::string& text) {
  std::istringstream words(text);
  return {std::istream_iterator<std::string>(words), {}};
}

// ---------------------------------------------------------------- comparing

bool holds(const Json& want, const Json& got);

bool field_holds(const Json& want, const Json& object, const std::string& name) {
  if (want.is_null()) return !object.contains(name);
  if (want.is_object() && want.contains("oneOf")) {
    return std::any_of(want["oneOf"].begin(), want["oneOf"].end(), [&](const Json& one) {
      return one.is_null() ? !object.contains(name) : object.contains(name) && object[name] == one;
    });
  }
  return object.contains(name) && holds(want, object[name]);
}

bool holds(const Json& want, const Json& got) {
  if (!want.is_object()) return want == got;
  if (!got.is_object()) return false;
  for (const auto& [name, value] : want.items()) {
    if (!field_holds(value, got, name)) return false;
  }
  return true;
}

std::vector<Json> of_direction(const std::vector<Json>& messages, std::string_view direction) {
  std::vector<Json> chosen;
  std::copy_if(messages.begin(), messages.end(), std::back_inserter(chosen),
               [&](const Json& message) { return message.value("direction", "") == direction; });
  return chosen;
}

void compare_in_order(const std::vector<Json>& wanted, const std::vector<Json>& got) {
  for (size_t i = 0; i < std::max(wanted.size(), got.size()); i++) {
    if (i >= got.size()) {
      ADD_FAILURE() << "missing: " << wanted[i];
    } else if (i >= wanted.size()) {
      ADD_FAILURE() << "too many: " << got[i];
    } else {
      EXPECT_TRUE(holds(wanted[i], got[i])) << "wanted: " << wanted[i] << "\ngot: " << got[i];
    }
  }
}

// Gives every expectation a line of its own, where there is no order across connections.
class Matching {
 public:
  Matching(const std::vector<Json>& wanted, const std::vector<Json>& got)
      : wanted_(wanted), got_(got), owner_of_(got.size()) {}

  // Kuhn's augmenting paths: moves expectations that were placed before to other lines.
  bool place(size_t want) {
    tried_.assign(got_.size(), false);
    return place_again(want);
  }

 private:
  bool place_again(size_t want) {
    for (size_t line = 0; line < got_.size(); line++) {
      if (tried_[line] || !holds(wanted_[want], got_[line])) continue;
      tried_[line] = true;
      if (owner_of_[line] && !place_again(*owner_of_[line])) continue;
      owner_of_[line] = want;
      return true;
    }
    return false;
  }

  const std::vector<Json>& wanted_;
  const std::vector<Json>& got_;
  std::vector<std::optional<size_t>> owner_of_;
  std::vector<bool> tried_;
};

void compare_as_set(const std::vector<Json>& wanted, const std::vector<Json>& got) {
  EXPECT_EQ(wanted.size(), got.size());
  Matching matching(wanted, got);
  for (size_t i = 0; i < wanted.size(); i++) {
    EXPECT_TRUE(matching.place(i)) << "no line for: " << wanted[i];
  }
}

// ---------------------------------------------------------------- the framed form

size_t take_le32(std::string_view& bytes) {
  size_t value = 0;
  for (size_t i = 0; i < 4; i++) value |= size_t{static_cast<uint8_t>(bytes.at(i))} << (8 * i);
  bytes.remove_prefix(4);
  return value;
}

std::string_view take(std::string_view& bytes, size_t size) {
  const std::string_view taken = bytes.substr(0, size);
  EXPECT_EQ(taken.size(), size) << "a frame is cut";
  bytes.remove_prefix(taken.size());
  return taken;
}

// The messages as ndjson has them: a body that is text stands in the object.
std::vector<Json> messages_of_frames(std::string_view bytes) {
  std::vector<Json> messages;
  if (bytes.empty()) return messages;
  EXPECT_EQ(take(bytes, 8), "TCPSNIF1");
  while (!bytes.empty()) {
    const size_t json_size = take_le32(bytes);
    const size_t body_size = take_le32(bytes);
    Json message = Json::parse(take(bytes, json_size));
    const std::string_view body = take(bytes, body_size);
    if (message.value("bodyEncoding", "") == "utf8") {
      message["body"] = body;
      message.erase("bodyEncoding");
    }
    messages.push_back(std::move(message));
  }
  return messages;
}

// ---------------------------------------------------------------- the test

class EveryCase : public testing::TestWithParam<std::filesystem::path> {
 protected:
  Finished read(const char* format, const char* shards) const {
    std::vector<std::string> arguments = {"-r",   GetParam().string(), "--format",
                                          format, "--shards",          shards};
    const std::vector<std::string> flags = words_of(text_beside(GetParam(), ".flags").value_or(""));
    arguments.insert(arguments.end(), flags.begin(), flags.end());
    return run_sniffer(arguments);
  }

  void check(const std::vector<Json>& messages, bool in_order) const {
    const std::string expected = text_beside(GetParam(), ".expected").value_or("");
    ASSERT_FALSE(expected.empty());
    if (expected == "any\n") return;
    const std::vector<Json> wanted = json_lines(expected);
    for (const char* direction : {"request", "response"}) {
      SCOPED_TRACE(direction);
      const std::vector<Json> lines = of_direction(messages, direction);
      if (in_order) {
        compare_in_order(of_direction(wanted, direction), lines);
      } else {
        compare_as_set(of_direction(wanted, direction), lines);
      }
    }
  }
};

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
  return info.param.stem();
}

TEST_P(EveryCase, GivesItsMessagesAndItsLedgerCloses) {
  const std::optional<std::string> ledger = text_beside(GetParam(), ".ledger");
  for (const char* format : {"ndjson", "framed"}) {
    for (const char* shards : kShards) {
      SCOPED_TRACE(std::string(format) + ", shards: " + shards);
      const Finished run = read(format, shards);
      ASSERT_EQ(run.exit.code, 0) << run.err;
      const Json stopped = event_named(run.err, "stopped");
      expect_ledger_closes(stopped);
      if (ledger) {
        EXPECT_TRUE(holds(Json::parse(*ledger), stopped)) << *ledger << stopped;
      }
      check(
          format == std::string_view("ndjson") ? json_lines(run.out) : messages_of_frames(run.out),
          shards == std::string_view("0"));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, EveryCase,
                         testing::ValuesIn(captures_in(source_dir() / "tests/cases")), name_of);

// The comparison itself can fail.
TEST(CaseComparison, NoticesEveryDifference) {
  const Json got = Json::parse(R"({"path":"/a","headers":{"x":"1","y":"2"},"exchange":3})");
  const auto fits = [&](const char* want) { return holds(Json::parse(want), got); };
  EXPECT_TRUE(fits(R"({"path":"/a","headers":{"x":"1"},"incomplete":null})"));
  EXPECT_TRUE(fits(R"({"exchange":{"oneOf":[null,3]},"latencyMs":{"oneOf":[null,3]}})"));
  EXPECT_FALSE(fits(R"({"path":"/b"})"));
  EXPECT_FALSE(fits(R"({"path":null})"));
  EXPECT_FALSE(fits(R"({"headers":{"x":"2"}})"));
  EXPECT_FALSE(fits(R"({"headers":{"z":"1"}})"));
  EXPECT_FALSE(fits(R"({"exchange":{"oneOf":[null,4]}})"));
}

TEST(CaseComparison, FindsAnAssignmentWhereOneExpectationFitsSeveralLines) {
  const std::vector<Json> wanted = {Json::parse(R"({"n":{"oneOf":[1,2]}})"),
                                    Json::parse(R"({"n":1})")};
  const std::vector<Json> got = {Json::parse(R"({"n":1})"), Json::parse(R"({"n":2})")};
  Matching both(wanted, got);
  EXPECT_TRUE(both.place(0));
  EXPECT_TRUE(both.place(1));
  const std::vector<Json> one_line = {got[0]};
  Matching one(wanted, one_line);
  EXPECT_TRUE(one.place(0));
  EXPECT_FALSE(one.place(1));
}

}  // namespace
}  // namespace tcp_sniffer::cases_test
