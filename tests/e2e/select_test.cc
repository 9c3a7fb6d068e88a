// `select` over all captures of pcaps/: its values are those of the full lines, in every format.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "core/field/fields.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::select_test {
namespace {

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

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ",") + name;
  return text;
}

// The requests of a run by connection and exchange.
using Requests = std::map<std::pair<std::string, uint64_t>, Json>;

Requests requests_in(const std::vector<Json>& lines) {
  Requests requests;
  for (const Json& line : lines) {
    if (line["direction"] == "request") requests[{line["connectionId"], line["exchange"]}] = line;
  }
  return requests;
}

Json at_path(const Json& line, std::string_view name) {
  const Json* value = &line;
  for (;;) {
    const size_t dot = name.find('.');
    const std::string key(name.substr(0, dot));
    if (!value->is_object() || !value->contains(key)) return {};
    value = &(*value)[key];
    if (dot == std::string_view::npos) return *value;
    name.remove_prefix(dot + 1);
  }
}

Json header_of(const Json& line, const std::string& group, const std::string& name) {
  if (!line.contains(group) || !line[group].contains(name)) return {};
  return line[group][name];
}

// What a line says of a field, found without the program's table; null: nothing.
Json value_in(const Json& line, std::string name, const Requests& requests) {
  const std::string direction = line["direction"];
  for (const std::string& side : {std::string("request"), std::string("response")}) {
    if (!name.starts_with(side + ".")) continue;
    name.erase(0, side.size() + 1);
    if (side == direction) continue;
    if (side == "response" || name != "bodySize" || !line.contains("latencyMs")) return {};
    return requests.at({line["connectionId"], line["exchange"]})["bodySize"];
  }
  for (const std::string& group : {std::string("headers"), std::string("trailers")}) {
    if (name.starts_with(group + ".")) return header_of(line, group, name.substr(group.size() + 1));
  }
  if (name == "contentType") return header_of(line, "headers", "content-type");
  if (name == "status")
    return line.contains("statusCode") ? line["statusCode"] : line.value("status", Json());
  if (direction == "request" || (name != "method" && name != "path" && name != "host")) {
    if (name != "host") return at_path(line, name);
    const Json host = header_of(line, "headers", "host");
    return host.is_array() ? host[0] : host;
  }
  if (!line.contains("exchange")) return {};
  const auto request = requests.find({line["connectionId"], line["exchange"]});
  return request == requests.end() ? Json() : value_in(request->second, name, requests);
}

Json selected_of(const Json& line, const std::vector<std::string>& names,
                 const Requests& requests) {
  Json object = Json::object();
  for (const std::string& name : names) {
    Json value = value_in(line, name, requests);
    if (!value.is_null()) object[name] = std::move(value);
  }
  return object;
}

// The same of the line of an exchange.
Json value_in_exchange(const Json& line, std::string name) {
  static const Json kNone = Json::object();
  const Json& request = line.contains("request") ? line["request"] : kNone;
  const Json& response = line.contains("response") ? line["response"] : kNone;
  if (name == "latencyMs") return response.empty() ? Json() : at_path(line, name);
  if (name == "interim") {
    Json codes;
    for (const Json& interim : line.value("interim", Json::array())) {
      codes.push_back(interim["statusCode"]);
    }
    return codes;
  }
  for (const FieldSpec& spec : field_table()) {
    const bool shared = spec.of == FieldOf::kConnection || spec.of == FieldOf::kExchange;
    if (shared && spec.name == name) return at_path(line, name);
  }
  const Json* part = &response;
  if (name.starts_with("response.")) {
    name.erase(0, 9);
  } else if (name.starts_with("request.")) {
    name.erase(0, 8);
    part = &request;
  } else if (name == "method" || name == "path" || name == "host" || name == "argument") {
    part = &request;
  }
  for (const std::string& group : {std::string("headers"), std::string("trailers")}) {
    if (name.starts_with(group + "."))
      return header_of(*part, group, name.substr(group.size() + 1));
  }
  if (name == "contentType") return header_of(*part, "headers", "content-type");
  if (name == "status" && part->contains("statusCode")) return (*part)["statusCode"];
  if (name != "host") return at_path(*part, name);
  const Json host = header_of(*part, "headers", "host");
  return host.is_array() ? host[0] : host;
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

// The rows of a table. csv as RFC 4180 has it, tsv without quotes.
std::vector<std::vector<std::string>> rows_of(const std::string& text, bool csv) {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row(1);
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (csv && c == '"') {
      for (++i; text[i] != '"' || text[i + 1] == '"'; ++i) {
        if (text[i] == '"') ++i;
        row.back() += text[i];
      }
    } else if (c == (csv ? ',' : '\t')) {
      row.emplace_back();
    } else if (c == '\n') {
      if (csv) {
        EXPECT_TRUE(row.back().ends_with('\r'));
        row.back().pop_back();
      }
      rows.push_back(std::move(row));
      row.assign(1, {});
    } else {
      row.back() += c;
    }
  }
  EXPECT_EQ(row, std::vector<std::string>(1)) << "the last row has no end";
  return rows;
}

// The cell of a value, made from the value itself.
std::string cell_of(const Json& value) {
  if (value.is_null()) return "";
  if (!value.is_string()) return value.dump();
  std::string text = value.get<std::string>();
  const bool formula =
      !text.empty() && std::string_view("=+-@\t\r\n").find(text[0]) != std::string_view::npos;
  return (formula ? "'" : "") + text;
}

// Undoes the escapes of a cell that is a text.
std::string text_of(const std::string& cell) {
  std::string json = "\"";
  for (size_t i = 0; i < cell.size(); ++i) {
    if (cell[i] == '"') json += '\\';
    if (cell[i] == '\\') json += cell[i++];
    json += cell[i];
  }
  const Json parsed = Json::parse(json + "\"", nullptr, false);
  EXPECT_TRUE(parsed.is_string()) << cell;
  return parsed.is_string() ? parsed.get<std::string>() : "";
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

TEST(Select, ATableWithoutItHasTheUsualColumns) {
  const Finished run =
      run_sniffer({"-r", capture("posts.pcap").string(), "--format", "csv", "--shards", "0"});
  const auto rows = rows_of(run.out, true);
  ASSERT_GT(rows.size(), 2u);
  EXPECT_EQ(joined(rows[0]),
            "timestamp,connectionId,exchange,direction,destination.ip,receiver.ip,receiver.port,"
            "method,host,path,status,contentType,bodySize,durationMs,latencyMs,incomplete");
  EXPECT_EQ(joined(rows[2]),
            "2026-11-20T18:58:23.295523Z,28b5e1f918a0fd00,0,response,10.77.0.1,10.77.0.2,80,POST,"
            "10.77.0.2,/api/cart,201,application/json; charset=utf-8,85,0,1.305,");
}

// Golden rows. TCP_SNIFFER_WRITE_EXPECTED=1 writes them.
TEST(Select, TablesOfExchangesOfRealProgramsAreAsExpected) {
  for (const char* name : {"posts.pcap", "forwarded.pcap", "loss_random.pcap"}) {
    SCOPED_TRACE(name);
    const Finished run = run_sniffer(
        {"-r", capture(name).string(), "--records", "exchange", "--format", "csv", "--shards", "0",
         "--trusted-proxies", "1", "--select",
         "timestamp,client,method,host,path,request.contentType,request.bodySize,status,"
         "contentType,bodySize,latencyMs,totalMs,incomplete,orphan,orphanCause"});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const std::filesystem::path golden = capture(std::string(name) + ".exchanges.csv");
    if (std::getenv("TCP_SNIFFER_WRITE_EXPECTED") != nullptr) {
      write_file(golden, run.out);
    } else {
      EXPECT_EQ(run.out, content_of(golden));
    }
  }
}

TEST(Select, WhatOnlyTheOtherRecordsHaveIsRejected) {
  const std::tuple<const char*, const char*, const char*> cases[] = {
      {"message", "method,totalMs", "totalMs"},
      {"message", "orphan", "orphan"},
      {"exchange", "direction", "direction"},
  };
  for (const auto& [records, fields, name] : cases) {
    const Finished run = run_sniffer(
        {"-r", "/nowhere.pcap", "--log-format", "json", "--records", records, "--select", fields});
    EXPECT_EQ(run.exit.code, 2) << fields;
    EXPECT_NE(
        run.err.find("select: \\\"" + std::string(name) + "\\\" together with records: " + records),
        std::string::npos)
        << run.err;
  }
}

TEST(Select, HidesWhatFullLinesHide) {
  const Finished run = run_sniffer(
      {"-r", capture("posts.pcap").string(), "--shards", "0", "--redact-headers",
       "host,content-type", "--select",
       "host,contentType,request.headers.host,headers,rawHeaders,headers.content-type"});
  EXPECT_EQ(run.out.find("10.77.0.2"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("application/json"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find(R"("host":"[redacted]")"), std::string::npos);
  EXPECT_NE(run.out.find(R"("contentType":"[redacted]")"), std::string::npos);
}

TEST(Select, TheConfigurationNamesFieldsAsAList) {
  const std::string config = R"({"files":[")" + capture("posts.pcap").string() +
                             R"("],"format":"tsv","select":["method","status"],"shards":0})";
  const Finished run = run_sniffer({"--config", "-"}, config + "\n");
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with("method\tstatus\nPOST\t\nPOST\t201\n")) << run.out;
}

TEST(Select, ATableIsAppendedToWhenItsColumnsAreTheSame) {
  const TemporaryFolder folder;
  const std::string file = (folder / "table.csv").string();
  const auto append = [&](const std::string& fields) {
    return run_sniffer({"-r", capture("posts.pcap").string(), "--format", "csv", "--select", fields,
                        "--shards", "0", "-o", file});
  };
  EXPECT_EQ(append("method,status").exit.code, 0);
  const std::string once = content_of(folder / "table.csv");
  const std::string head = "method,status\r\n";
  ASSERT_TRUE(once.starts_with(head));
  EXPECT_EQ(append("method,status").exit.code, 0);
  EXPECT_EQ(content_of(folder / "table.csv"), once + once.substr(head.size()));
  const Finished other = append("status,method");
  EXPECT_EQ(other.exit.code, 7);
  EXPECT_NE(other.err.find("names other columns"), std::string::npos) << other.err;
  EXPECT_EQ(content_of(folder / "table.csv"), once + once.substr(head.size()));
}

TEST(Select, AnUnknownNameIsRejectedWithTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"timestamp,pth", R"(\"pth\" is no field; did you mean \"path\"?)"},
      {"statuscode", R"(\"statuscode\" is no field; did you mean \"statusCode\"?)"},
      {"request.bodysize", R"(did you mean \"request.bodySize\"?)"},
      {"request.status", R"(status is of the response; did you mean \"status\"?)"},
      {"headers.a b", "is no field"},
      {"path,method,path", R"(\"path\" is given twice)"},
  };
  for (const auto& [fields, words] : cases) {
    const Finished run =
        run_sniffer({"-r", "/nowhere.pcap", "--log-format", "json", "--select", fields});
    EXPECT_EQ(run.exit.code, 2) << fields;
    EXPECT_NE(run.err.find(words), std::string::npos) << run.err;
    EXPECT_EQ(run.out, "");
  }
}

}  // namespace
}  // namespace tcp_sniffer::select_test
