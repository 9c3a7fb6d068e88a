// `select` over all captures of pcaps/: its values are those of the full lines, in every format.

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "core/field/fields.h"
#include "support/field_oracle.h"
#include "support/ledger_check.h"
#include "support/run_program.h"
#include "support/table_rows.h"

namespace tcp_sniffer::select_captures_test {
namespace {

using namespace field_oracle;
using namespace table_rows;

std::vector<std::string> reading(const std::filesystem::path& path,
                                 std::vector<std::string> more = {}) {
  std::vector<std::string> arguments = {"-r", path.string(), "--binary-body", "base64"};
  if (path.filename().string().starts_with("pop3")) {
    more.insert(more.end(), {"--protocols", "http,pop3"});
  }
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// Every name of the table that lines of messages have, and some of those that are not in it.
std::vector<std::string> all_names() {
  std::vector<std::string> names;
  for (const FieldSpec& spec : field_table()) {
    if (spec.of != FieldOf::kExchange) names.emplace_back(spec.name);
  }
  for (const char* name :
       {"request.headers.user-agent", "response.headers.set-cookie", "headers.content-length",
        "headers.date", "request.bodySize", "response.bodySize", "response.contentType",
        "request.incomplete", "response.incomplete", "response.body", "trailers.x-checksum"}) {
    names.emplace_back(name);
  }
  return names;
}

// The names that lines of exchanges may have.
std::vector<std::string> names_of_exchanges() {
  std::vector<std::string> names;
  for (const FieldSpec& spec : field_table()) {
    if (spec.field != Field::kDirection && spec.field != Field::kLatin1) {
      names.emplace_back(spec.name);
    }
  }
  for (const char* name :
       {"request.headers.user-agent", "response.headers.set-cookie", "headers.content-length",
        "request.headers", "request.bodySize", "response.bodySize", "request.contentType",
        "request.incomplete", "request.body", "request.durationMs", "request.firstFrame"}) {
    names.emplace_back(name);
  }
  return names;
}

std::vector<std::string> sorted_texts(const std::vector<Json>& values) {
  std::vector<std::string> texts;
  for (const Json& value : values) texts.push_back(value.dump());
  std::sort(texts.begin(), texts.end());
  return texts;
}

class SelectEveryCapture : public testing::TestWithParam<std::filesystem::path> {};

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
  std::string name = info.param.stem();
  std::erase_if(name, [](char c) { return std::isalnum(static_cast<unsigned char>(c)) == 0; });
  return name;
}

TEST_P(SelectEveryCapture, HasTheFullLinesValuesInWhatIsSelected) {
  // Full lines have the client only when a key about it is given.
  const Finished full =
      run_sniffer(reading(GetParam(), {"--format", "ndjson", "--fields", "extended",
                                       "--raw-headers", "--trusted-proxies", "0"}));
  const std::vector<Json> lines = json_lines(full.out);
  const Requests requests = requests_in(lines);
  std::vector<std::string> names = all_names();
  // The full lines say it of all their fields, these of theirs: another test looks at it.
  std::erase(names, "latin1");
  std::vector<Json> expected;
  for (const Json& line : lines) expected.push_back(selected_of(line, names, requests));
  for (const char* shards : {"0", "4"}) {
    const Finished run =
        run_sniffer(reading(GetParam(), {"--select", joined(names), "--shards", shards}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(sorted_texts(json_lines(run.out)), sorted_texts(expected));
    expect_ledger_closes(event_named(run.err, "stopped"));
  }
  // A field alone: what it needs is kept for its sake.
  for (const std::string name :
       {"body", "bodyEncoding", "bodyTruncated", "path", "host", "incomplete"}) {
    const Finished run = run_sniffer(reading(GetParam(), {"--select", name}));
    std::vector<Json> alone;
    for (const Json& object : expected) {
      alone.push_back(object.contains(name) ? Json{{name, object[name]}} : Json::object());
    }
    EXPECT_EQ(sorted_texts(json_lines(run.out)), sorted_texts(alone)) << name;
  }
}

TEST_P(SelectEveryCapture, HasTheSameValuesInATable) {
  const std::vector<std::string> names = all_names();
  const Finished objects =
      run_sniffer(reading(GetParam(), {"--select", joined(names), "--shards", "0"}));
  const std::vector<Json> expected = json_lines(objects.out);
  for (const bool csv : {true, false}) {
    const Finished run = run_sniffer(reading(
        GetParam(), {"--select", joined(names), "--shards", "0", "--format", csv ? "csv" : "tsv"}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const auto rows = rows_of(run.out, csv);
    ASSERT_EQ(rows.size(), expected.size() + 1);
    EXPECT_EQ(rows[0], names);
    for (size_t i = 0; i < expected.size(); ++i) {
      ASSERT_EQ(rows[i + 1].size(), names.size());
      for (size_t column = 0; column < names.size(); ++column) {
        const Json value = expected[i].value(names[column], Json());
        const std::string& cell = rows[i + 1][column];
        if (value.is_structured()) {
          EXPECT_EQ(Json::parse(cell, nullptr, false), value) << cell;
        } else {
          EXPECT_EQ(value.is_string() ? text_of(cell) : cell, cell_of(value)) << names[column];
        }
      }
    }
    EXPECT_EQ(event_named(run.err, "stopped")["messages"]["written"], expected.size());
  }
}

TEST_P(SelectEveryCapture, HasTheFullLinesValuesOfExchanges) {
  const Finished full =
      run_sniffer(reading(GetParam(), {"--format", "ndjson", "--records", "exchange", "--fields",
                                       "extended", "--raw-headers", "--trusted-proxies", "0"}));
  const std::vector<std::string> names = names_of_exchanges();
  std::vector<Json> expected;
  for (const Json& line : json_lines(full.out)) {
    Json object = Json::object();
    for (const std::string& name : names) {
      Json value = value_in_exchange(line, name);
      if (!value.is_null()) object[name] = std::move(value);
    }
    expected.push_back(std::move(object));
  }
  for (const char* shards : {"0", "4"}) {
    const Finished run = run_sniffer(reading(
        GetParam(), {"--select", joined(names), "--records", "exchange", "--shards", shards}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(sorted_texts(json_lines(run.out)), sorted_texts(expected));
    expect_ledger_closes(event_named(run.err, "stopped"));
  }
  const Finished table =
      run_sniffer(reading(GetParam(), {"--select", joined(names), "--records", "exchange",
                                       "--shards", "0", "--format", "csv"}));
  EXPECT_EQ(rows_of(table.out, true).size(), expected.size() + 1);
}

TEST_P(SelectEveryCapture, HasTheBodiesOfSelectedFrames) {
  const auto bodies = [&](std::vector<std::string> more) {
    more.insert(more.end(), {"--format", "framed", "--shards", "0"});
    const std::string out = run_sniffer(reading(GetParam(), more)).out;
    std::vector<std::pair<Json, std::string>> frames;
    for (size_t at = 8; at < out.size();) {
      const auto size = [&](size_t from) {
        uint32_t value = 0;
        for (size_t i = 4; i-- > 0;) value = value << 8 | static_cast<uint8_t>(out[from + i]);
        return value;
      };
      const size_t json_size = size(at);
      const size_t body_size = size(at + 4);
      frames.emplace_back(Json::parse(out.substr(at + 8, json_size)),
                          out.substr(at + 8 + json_size, body_size));
      at += 8 + json_size + body_size;
    }
    return frames;
  };
  const auto full = bodies({});
  const auto with_body = bodies({"--select", "bodyEncoding,body,timestamp"});
  const auto without = bodies({"--select", "timestamp"});
  const auto of_responses = bodies({"--select", "response.body"});
  ASSERT_EQ(with_body.size(), full.size());
  ASSERT_EQ(without.size(), full.size());
  ASSERT_EQ(of_responses.size(), full.size());
  for (size_t i = 0; i < full.size(); ++i) {
    const Json& line = full[i].first;
    EXPECT_EQ(with_body[i].first,
              Json({{"bodyEncoding", line["bodyEncoding"]}, {"timestamp", line["timestamp"]}}));
    EXPECT_EQ(with_body[i].second, full[i].second);
    EXPECT_EQ(without[i].first, Json({{"timestamp", line["timestamp"]}}));
    EXPECT_EQ(without[i].second, "");
    EXPECT_EQ(of_responses[i].second, line["direction"] == "response" ? full[i].second : "");
  }
}

INSTANTIATE_TEST_SUITE_P(Select, SelectEveryCapture,
                         testing::ValuesIn(captures_in(source_dir() / "pcaps")), name_of);

}  // namespace
}  // namespace tcp_sniffer::select_captures_test
