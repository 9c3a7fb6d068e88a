// `format: packed`: read by tools/packed.py, which knows docs/packed.md and nothing else, it says
// what the lines of `format: ndjson` say, for every capture that there is.

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/field/fields.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::packed_test {
namespace {

using Arguments = std::vector<std::string>;

std::vector<std::filesystem::path> all_captures() {
  std::vector<std::filesystem::path> all;
  for (const auto& folder : {source_dir() / "pcaps", source_dir() / "tests/cases", corpus_dir()}) {
    const auto more = captures_in(folder);
    all.insert(all.end(), more.begin(), more.end());
  }
  return all;
}

Finished read(const std::filesystem::path& capture, const char* format, const Arguments& more) {
  Arguments arguments = {"-r",       capture.string(), "--protocols", "http,pop3",
                         "--format", format,           "--shards",    "0"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return run_sniffer(arguments);
}

std::vector<std::string> lines_of_records(std::string_view records) {
  const Finished reader = run({"python3", (source_dir() / "tools/packed.py").string()}, records);
  EXPECT_EQ(reader.exit.code, 0) << reader.err;
  return lines_of(reader.out);
}

// Not all of a head, of an object and of the measures.
constexpr const char* kFewNames =
    "receiver.ip,host,headers.content-type,request.headers.user-agent,status,lastFrame,"
    "bodyEncoding,durationMs,request.bodySize,response.latin1";

// Every name of the table that such lines may have, and names of headers.
std::string names_that(bool (*may_have)(const FieldSpec&)) {
  std::string names =
      "headers.host,response.headers.set-cookie,trailers.x-checksum,request.headers.accept,"
      "request.bodySize,response.bodySize,request.latin1,response.latin1,response.body";
  for (const FieldSpec& spec : field_table()) {
    if (may_have(spec)) names += "," + std::string(spec.name);
  }
  return names;
}

std::string names_of_messages() {
  return names_that([](const FieldSpec& spec) { return spec.of != FieldOf::kExchange; });
}

std::string names_of_exchanges() {
  return names_that([](const FieldSpec& spec) { return spec.field != Field::kDirection; }) +
         ",request.headers,request.rawHeaders,request.body,request.durationMs";
}

// Streams of records can be appended to each other, so the reader is started once.
class SaysTheSame : public testing::TestWithParam<Arguments> {};

TEST_P(SaysTheSame, AsTheLinesOfEveryCapture) {
  std::string records;
  std::vector<std::pair<std::string, std::string>> wanted;  // file, line
  for (const auto& capture : all_captures()) {
    const Finished lines = read(capture, "ndjson", GetParam());
    const Finished packed = read(capture, "packed", GetParam());
    ASSERT_EQ(packed.exit.code, lines.exit.code) << capture << packed.err;
    expect_ledger_closes(event_named(packed.err, "stopped"));
    EXPECT_EQ(event_named(packed.err, "stopped")["messages"],
              event_named(lines.err, "stopped")["messages"]);
    records += packed.out;
    for (std::string& line : lines_of(lines.out)) {
      wanted.emplace_back(capture.string(), std::move(line));
    }
  }
  const std::vector<std::string> read = lines_of_records(records);
  ASSERT_EQ(read.size(), wanted.size());
  for (size_t i = 0; i < wanted.size(); i++) {
    const auto& [file, line] = wanted[i];
    ASSERT_EQ(Json::parse(read[i]), Json::parse(line)) << file;
  }
}

INSTANTIATE_TEST_SUITE_P(
    Packed, SaysTheSame,
    testing::Values(Arguments{},
                    Arguments{"--binary-body", "base64", "--fields", "extended", "--raw-headers",
                              "--trusted-proxies", "1"},
                    Arguments{"--binary-body", "base64", "--decode-bodies", "--records", "exchange",
                              "--fields", "extended", "--raw-headers", "--trusted-proxies", "1"},
                    Arguments{"--records", "exchange", "--max-body-size", "100"},
                    Arguments{"--redact-headers", "host,user-agent,set-cookie", "--redact-query",
                              "q,id", "--redact-body", "password,name", "--raw-headers"},
                    Arguments{"--binary-body", "base64", "--partial-after-ms", "1"},
                    Arguments{"--binary-body", "base64", "--trusted-proxies", "1", "--select",
                              names_of_messages()},
                    Arguments{"--select", "path,response.headers.server,latin1,body,part",
                              "--partial-after-ms", "1"},
                    Arguments{"--select", kFewNames},
                    Arguments{"--binary-body", "base64", "--trusted-proxies", "1", "--records",
                              "exchange", "--select", names_of_exchanges()},
                    Arguments{"--records", "exchange", "--select", kFewNames}));

// The places where the records of a stream begin, and its end.
std::vector<size_t> borders_of(std::string_view records) {
  std::vector<size_t> borders = {0};
  while (borders.back() + 8 <= records.size()) {
    uint32_t size = 0;
    std::memcpy(&size, records.data() + borders.back(), sizeof(size));
    EXPECT_EQ(size % 8, 0u);
    EXPECT_EQ(records.substr(borders.back() + 4, 2), "TP");
    borders.push_back(borders.back() + size);
  }
  EXPECT_EQ(borders.back(), records.size());
  return borders;
}

TEST(Packed, TheRecordsDoNotDependOnTheNumberOfShards) {
  const auto sorted = [](const char* shards) {
    const std::string text = run_sniffer({"-r", capture("site_and_api.pcap").string(), "--format",
                                          "packed", "--shards", shards})
                                 .out;
    const std::vector<size_t> borders = borders_of(text);
    std::vector<std::string> records;
    for (size_t i = 1; i < borders.size(); i++) {
      records.push_back(text.substr(borders[i - 1], borders[i] - borders[i - 1]));
    }
    std::sort(records.begin(), records.end());
    return records;
  };
  const std::vector<std::string> inline_run = sorted("0");
  EXPECT_GT(inline_run.size(), 20u);
  EXPECT_EQ(sorted("1"), inline_run);
  EXPECT_EQ(sorted("4"), inline_run);
}

TEST(Packed, AFileThatWasCutIsGoneOnWithBehindItsLastWholeRecord) {
  const TemporaryFolder folder;
  const std::string file = (folder / "out").string();
  const Arguments arguments = {
      "-r", capture("posts.pcap").string(), "--format", "packed", "--shards", "0", "--output",
      file};
  ASSERT_EQ(run_sniffer(arguments).exit.code, 0);
  const std::string whole = content_of(std::filesystem::path(file));
  const size_t last = borders_of(whole).end()[-2];
  for (const size_t size : {last + 1, last + 7, last + 8, last + 100, whole.size() - 1}) {
    SCOPED_TRACE(size);
    write_file(file, whole.substr(0, size));
    ASSERT_EQ(run_sniffer(arguments).exit.code, 0);
    EXPECT_EQ(content_of(std::filesystem::path(file)), whole.substr(0, last) + whole);
  }
  for (const std::string other : {"{\"a\":1}\n", "a", "TCPSNIF1"}) {
    write_file(file, other);
    const Finished refused = run_sniffer(arguments);
    EXPECT_EQ(refused.exit.code, 7) << other;
    EXPECT_NE(refused.err.find("no packed records"), std::string::npos) << refused.err;
    EXPECT_EQ(content_of(std::filesystem::path(file)), other);
  }
}

// A record of selected fields is smaller, has nothing else, and its reader needs no `select`.
TEST(Packed, WhatWasNotSelectedIsNotInTheRecord) {
  const Arguments whole = {"-r", capture("posts.pcap").string(), "--format", "packed", "--shards",
                           "0"};
  const std::string all = run_sniffer(whole).out;
  Arguments few = whole;
  few.insert(few.end(), {"--select", "method,bodySize"});
  const std::string selected = run_sniffer(few).out;
  EXPECT_EQ(borders_of(selected).size(), borders_of(all).size());
  EXPECT_LT(selected.size(), all.size() / 2);
  for (const char* text : {"/api/cart", "nginx", "user-agent"}) {
    EXPECT_EQ(selected.find(text), std::string::npos) << text;
  }
  EXPECT_EQ(lines_of_records(selected).front(), R"({"method":"POST","bodySize":75})");
}

// The reader of the documents notices what is wrong.
TEST(Packed, TheReaderRefusesWhatIsNoRecord) {
  const std::string records =
      run_sniffer({"-r", capture("posts.pcap").string(), "--format", "packed", "--shards", "0"})
          .out;
  const std::string reader = (source_dir() / "tools/packed.py").string();
  const auto complaint = [&](std::string bytes) {
    const Finished finished = run({"python3", reader}, bytes);
    EXPECT_EQ(finished.exit.code, 1);
    return finished.err;
  };
  EXPECT_NE(complaint(records.substr(0, 100)).find("ends within a record"), std::string::npos);
  EXPECT_NE(complaint("{\"a\":1}\n").find("no record begins here"), std::string::npos);
  std::string later = records;
  later[6] = 2;
  EXPECT_NE(complaint(later).find("version 2 is not known"), std::string::npos);
  std::string wrong = records;
  wrong[124] = '\xff';  // the length of the second text
  wrong[127] = '\xff';
  EXPECT_NE(complaint(wrong).find("beyond its record"), std::string::npos);
  // Places that point again and again to the same bytes.
  std::string again = records;
  const size_t list = 152;
  for (size_t entry = 0; entry < 4; entry++) {
    for (const size_t place : {0, 8}) {
      const std::string whole{"\0\0\0\0\x80\0\0\0", 8};
      again.replace(list + 16 * entry + place, whole.size(), whole);
    }
  }
  EXPECT_NE(complaint(again).find("longer than their record"), std::string::npos);
  // A kind that it does not know is passed over.
  std::string other = records;
  other[7] = 9;
  EXPECT_EQ(lines_of_records(other).size() + 1, lines_of_records(records).size());
}

}  // namespace
}  // namespace tcp_sniffer::packed_test
