#include "io/config/config_parse.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <string_view>

#include "core/base/text_encoding.h"
#include "support/parsed_config.h"

namespace tcp_sniffer::config_parse_test {
namespace {

using namespace parsed_config;

struct Refused {
  const char* text;
  const char* message;
};

TEST(ConfigTest, RefusalsNameTheKeyTheValueAndWhatIsAllowed) {
  const Refused table[] = {
      // The text as a whole.
      {"[80]", "config: array where a JSON object is expected; for example {\"ports\": [80]}"},
      {"null", "config: null where a JSON object is expected; for example {\"ports\": [80]}"},
      {R"({"ports":[80],"ports":[81]})", "\"ports\" is given twice; allowed: each key once"},

      // Keys that do not exist.
      {R"({"portz":[80]})", "unknown key \"portz\"; did you mean \"ports\"?"},
      {R"({"maxBodysize":5})",
       "unknown key \"maxBodysize\" with the value 5; did you mean \"maxBodySize\"?"},
      {R"({"max-body-size":5})",
       "unknown key \"max-body-size\" with the value 5; did you mean \"maxBodySize\"?"},
      {R"({"idleTimeout":"5s"})",
       "unknown key \"idleTimeout\" with the value \"5s\"; did you mean "
       "\"connectionIdleTimeoutMs\"?"},
      {R"({"outputUrl":"http://x/"})",
       "unknown key \"outputUrl\" with the value \"http://x/\"; allowed: the keys that --help "
       "lists, in camelCase"},
      {R"({"":1})",
       "unknown key \"\" with the value 1; allowed: the keys that --help lists, in camelCase"},
      {R"({"a\u0000\u001b[31m":true})",
       "unknown key \"a\\x00\\x1b[31m\" with the value true; allowed: the keys that --help lists, "
       "in camelCase"},

      // Ports.
      {R"({"interface":"lo"})",
       "ports: none given for live capture; allowed: a list of whole numbers from 1 to 65535, none "
       "twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys"},
      {R"({"ports":[]})",
       "ports: none given for live capture; allowed: a list of whole numbers from 1 to 65535, none "
       "twice (-p 80,8080); -r FILE reads capture files instead, --help lists all keys"},
      {R"({"ports":[0]})",
       "ports: 0 is out of range; allowed: a list of whole numbers from 1 to 65535, none twice"},
      {R"({"ports":[65536]})",
       "ports: 65536 is out of range; allowed: a list of whole numbers from 1 to 65535, none "
       "twice"},
      {R"({"ports":[-80]})",
       "ports: -80 is out of range; allowed: a list of whole numbers from 1 to 65535, none twice"},
      {R"({"ports":[80,8080,80]})",
       "ports: 80 is given twice; allowed: a list of whole numbers from 1 to 65535, none twice"},
      {R"({"ports":[80.5]})",
       "ports: 80.5 is not a whole number; allowed: a list of whole numbers from 1 to 65535, none "
       "twice"},
      {R"({"ports":["80"]})",
       "ports: \"80\" is not a whole number; allowed: a list of whole numbers from 1 to 65535, "
       "none twice"},
      {R"({"ports":80})",
       "ports: 80 is not a list; allowed: a list of whole numbers from 1 to 65535, none twice"},
      {R"({"ports":[[80]]})",
       "ports: a list is not a whole number; allowed: a list of whole numbers from 1 to 65535, "
       "none twice"},
      {R"({"ports":null})",
       "ports: null is not a list; allowed: a list of whole numbers from 1 to 65535, none twice"},

      // Fractions.
      {R"({"sampleRate":2})", "sampleRate: 2 is out of range; allowed: a number from 0 to 1"},
      {R"({"sampleRate":-0.1})", "sampleRate: -0.1 is out of range; allowed: a number from 0 to 1"},
      {R"({"sampleRate":1.0001})",
       "sampleRate: 1.0001 is out of range; allowed: a number from 0 to 1"},
      {R"({"sampleRate":"0.5"})",
       "sampleRate: \"0.5\" is not a number; allowed: a number from 0 to 1"},
      {R"({"sampleRate":true})", "sampleRate: true is not a number; allowed: a number from 0 to 1"},

      // Whole numbers, sizes, times.
      {R"({"maxConcurrentConnections":0})",
       "maxConcurrentConnections: 0 is out of range; allowed: a whole number from 1 to 100000000"},
      {R"({"maxConcurrentConnections":1.5})",
       "maxConcurrentConnections: 1.5 is not a whole number; allowed: a whole number from 1 to "
       "100000000"},
      {R"({"maxHeaders":99999999999999999999})",
       "maxHeaders: 1e+20 is out of range; allowed: a whole number from 1 to 100000"},
      {R"({"shards":-1})", "shards: -1 is out of range; allowed: a whole number from 0 to 256"},
      {R"({"shards":257})", "shards: 257 is out of range; allowed: a whole number from 0 to 256"},
      {R"({"shards":"2"})",
       "shards: \"2\" is not a whole number; allowed: a whole number from 0 to 256"},
      {R"({"shards":{"n":2}})",
       "shards: an object is not a whole number; allowed: a whole number from 0 to 256"},
      {R"({"maxBodySize":-1})",
       "maxBodySize: -1 is out of range; allowed: whole bytes from 0 to 4294967295, also written "
       "as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":1024.5})",
       "maxBodySize: 1024.5 is not a whole number; allowed: whole bytes from 0 to 4294967295, also "
       "written as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":"1024"})",
       "maxBodySize: \"1024\" is not a size; allowed: whole bytes from 0 to 4294967295, also "
       "written as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":"64Q"})",
       "maxBodySize: \"64Q\" is not a size; allowed: whole bytes from 0 to 4294967295, also "
       "written as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":"8G"})",
       "maxBodySize: \"8G\" is out of range; allowed: whole bytes from 0 to 4294967295, also "
       "written as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":"99999999999999999999T"})",
       "maxBodySize: \"99999999999999999999T\" is out of range; allowed: whole bytes from 0 to "
       "4294967295, also written as \"64K\", \"1M\", \"2G\""},
      {R"({"maxBodySize":""})",
       "maxBodySize: \"\" is not a size; allowed: whole bytes from 0 to 4294967295, also written "
       "as \"64K\", \"1M\", \"2G\""},
      {R"({"memoryLimit":"1M"})",
       "memoryLimit: \"1M\" is out of range; allowed: whole bytes from 16777216 to 17592186044416, "
       "also written as \"64K\", \"1M\", \"2G\""},
      {R"({"snaplen":262145})",
       "snaplen: 262145 is out of range; allowed: whole bytes from 64 to 262144, also written as "
       "\"64K\", \"1M\", \"2G\""},
      {R"({"bufferSizeMiB":2048})",
       "bufferSizeMiB: 2048 is out of range; allowed: a whole number from 1 to 2047"},
      {R"({"connectionIdleTimeoutMs":0})",
       "connectionIdleTimeoutMs: 0 is out of range; allowed: whole milliseconds from 1 to "
       "4294967295, in flags also 500ms, 5s, 2m"},
      {R"({"connectionIdleTimeoutMs":"5s"})",
       "connectionIdleTimeoutMs: \"5s\" is not a duration; allowed: whole milliseconds from 1 to "
       "4294967295, in flags also 500ms, 5s, 2m"},
      {R"({"gapTimeoutMs":3600001})",
       "gapTimeoutMs: 3600001 is out of range; allowed: whole milliseconds from 0 to 3600000, in "
       "flags also 500ms, 5s, 2m"},

      // Truth values.
      {R"({"promiscuous":1})", "promiscuous: 1 is not true or false; allowed: true or false"},
      {R"({"rawHeaders":"true"})",
       "rawHeaders: \"true\" is not true or false; allowed: true or false"},
      {R"({"defrag":null})", "defrag: null is not true or false; allowed: true or false"},

      // Words.
      {R"({"format":"xml"})",
       "format: \"xml\" is not one of the words; allowed: one of ndjson, framed, packed, pretty, "
       "tsv, csv"},
      {R"({"format":"NDJSON"})",
       "format: \"NDJSON\" is not one of the words; allowed: one of ndjson, framed, packed, "
       "pretty, tsv, "
       "csv"},
      {R"({"gapPolicy":""})",
       "gapPolicy: \"\" is not one of the words; allowed: one of evidence, buffer"},
      {R"({"overload":true})",
       "overload: true is not one of the words; allowed: one of block, drop"},
      {R"({"logLevel":"loud"})",
       "logLevel: \"loud\" is not one of the words; allowed: one of debug, info, warn, error"},
      {R"({"binaryBody":["base64"]})",
       "binaryBody: a list is not one of the words; allowed: one of omit, base64"},
      {R"({"fields":"all"})",
       "fields: \"all\" is not one of the words; allowed: one of standard, extended"},
      {R"({"protocols":["smtp"]})",
       "protocols: \"smtp\" is not one of the words; allowed: a list of http, pop3"},
      {R"({"protocols":[]})",
       "protocols: an empty list names nothing; allowed: a list of http, pop3"},
      {R"({"protocols":["http","http"]})",
       "protocols: \"http\" is given twice; allowed: a list of http, pop3"},

      // Texts and lists of them.
      {R"({"interface":""})",
       "interface: \"\" is empty; allowed: a name that is not empty, or a list of such names, none "
       "twice"},
      {R"({"interface":7})",
       "interface: 7 is not a name or a list; allowed: a name that is not empty, or a list of such "
       "names, none twice"},
      {R"({"interface":["eth0","eth1","eth0"]})",
       "interface: \"eth0\" is given twice; allowed: a name that is not empty, or a list of such "
       "names, none twice"},
      {R"({"interface":[]})",
       "interface: an empty list names nothing; allowed: a name that is not empty, or a list of "
       "such "
       "names, none twice"},
      {R"({"interface":"eth0\u0000"})",
       "interface: \"eth0\\x00\" contains U+0000; allowed: a name that is not empty, or a list of "
       "such "
       "names, none twice"},
      {R"({"files":[]})",
       "files: an empty list names nothing; allowed: a list of paths, at least one, none empty"},
      {R"({"files":[""]})",
       "files: \"\" is empty; allowed: a list of paths, at least one, none empty"},
      {R"({"files":"a.pcap"})",
       "files: \"a.pcap\" is not a list; allowed: a list of paths, at least one, none empty"},
      {R"({"filter":["tcp"]})", "filter: a list is not a string; allowed: a string"},
      {R"({"output":""})", "output: \"\" is empty; allowed: a path that is not empty"},
      {R"({"redactHeaders":["set cookie"]})",
       "redactHeaders: \"set cookie\" is not a header name; allowed: a list of header names"},
      {R"({"redactHeaders":"cookie"})",
       "redactHeaders: \"cookie\" is not a list; allowed: a list of header names"},
      {R"({"redactQuery":[null]})",
       "redactQuery: null is not a string; allowed: a list of names that are not empty"},
      {R"({"metricsListen":"localhost:0"})",
       "metricsListen: \"localhost:0\" is not an address and port; allowed: ADDRESS:PORT or a "
       "port, from 1 to 65535"},
      {R"({"metricsListen":"::1:9464"})",
       "metricsListen: \"::1:9464\" is not an address and port; allowed: ADDRESS:PORT or a port, "
       "from 1 to 65535"},
      {R"({"pinCpus":[1024]})",
       "pinCpus: 1024 is out of range; allowed: a list of whole numbers from 0 to 1023, none "
       "twice"},

      // Rules between keys.
      {R"({"ports":[80],"interface":"lo","files":["a.pcap"]})",
       "interface: \"lo\" and files: \"a.pcap\" exclude each other; allowed: one of the two"},
      {R"({"files":["-","a","-"]})", "files: \"-\" is given twice; allowed: standard input once"},
      {R"({"ports":[80],"captureThreads":2,"shards":0,"tunnels":true})",
       "captureThreads: 2 together with shards: 0 and tunnels: true; the kernel spreads packets by "
       "their outer header, so the directions of a tunnelled connection would not meet; allowed: "
       "captureThreads 1, shards 1 or more, or tunnels false"},
      {R"({"ports":[80],"memoryLimit":16777216,"reassemblyBufferSize":33554432})",
       "reassemblyBufferSize: 33554432 is more than memoryLimit: 16777216; allowed: at most "
       "memoryLimit"},
  };
  for (const Refused& row : table) EXPECT_EQ(refusal(row.text), row.message) << row.text;
}

TEST(ConfigTest, TextThatIsNoJsonIsRefusedWithItsPlace) {
  const Refused table[] = {
      {"", "line 1, column 1:"},
      {R"({"ports":[80]} x)", "line 1, column 16:"},
      {"{\"interface\":\"\xff\"}", "line 1, column 15:"},
      {"{\"ports\":\n[80,]}", "line 2, column 5:"},
      {"{'ports':[80]}", "line 1, column 2:"},
  };
  for (const Refused& row : table) {
    const std::string message = refusal(row.text);
    EXPECT_EQ(
        message.rfind(std::string("config: not valid JSON: parse error at ") + row.message, 0), 0u)
        << message;
    EXPECT_TRUE(is_utf8(message)) << message;
    EXPECT_EQ(message.find('\n'), std::string::npos) << message;
  }
}

TEST(ConfigTest, StandardInputIsNotForBothTheConfigurationAndACapture) {
  Config config;
  Environment environment = kServer;
  environment.config_from_stdin = true;
  EXPECT_EQ(refusal(R"({"files":["-"]})", config, environment),
            "files: \"-\" is standard input, which --config - reads too; allowed: one of the two");
}

TEST(ConfigTest, DeeplyNestedTextIsRefusedAndHarmsNothing) {
  const std::string deep =
      "{\"ports\":" + std::string(200000, '[') + std::string(200000, ']') + "}";
  EXPECT_EQ(refusal(deep),
            "ports: a list is not a whole number; allowed: a list of whole numbers from 1 to "
            "65535, none twice");
}

TEST(ConfigTest, LongValuesAreCutInTheMessage) {
  const std::string message = refusal("{\"format\":\"" + std::string(5000, 'x') + "\"}");
  EXPECT_EQ(message, "format: \"" + std::string(64, 'x') +
                         "...\" is not one of the words; allowed: one of ndjson, framed, packed, "
                         "pretty, tsv, csv");
}

TEST(ConfigTest, OneLineIsReadFromStandardInputAndNothingBehindIt) {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const std::string_view sent = "{\"ports\":[80]}\nrest";
  ASSERT_EQ(write(ends[1], sent.data(), sent.size()), static_cast<ssize_t>(sent.size()));
  std::string text;
  EXPECT_FALSE(read_config_text("-", ends[0], text).has_value());
  EXPECT_EQ(text, "{\"ports\":[80]}");
  char rest[8];
  EXPECT_EQ(read(ends[0], rest, sizeof rest), 4);
  close(ends[1]);
  const auto ended = read_config_text("-", ends[0], text);
  ASSERT_TRUE(ended.has_value());
  EXPECT_EQ(ended->message(),
            "config: standard input ended before a line came; --config - takes one line with a "
            "JSON object");
  close(ends[0]);
}

TEST(ConfigTest, AFileThatCanNotBeReadIsNamed) {
  std::string text;
  EXPECT_EQ(read_config_text("/no/such/file", 0, text)->message(),
            "config: cannot read \"/no/such/file\": No such file or directory");
  EXPECT_EQ(read_config_text("/", 0, text)->message(), "config: cannot read \"/\": Is a directory");
  EXPECT_EQ(read_config_text("/dev/zero", 0, text)->message(),
            "config: the configuration is longer than 1048576 bytes");
}

}  // namespace
}  // namespace tcp_sniffer::config_parse_test
