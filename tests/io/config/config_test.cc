#include <gtest/gtest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <vector>

#include "core/base/text_encoding.h"
#include "io/base/exit_code.h"
#include "io/base/printable.h"
#include "io/config/config_check.h"
#include "io/config/config_parse.h"
#include "io/config/config_values.h"

namespace tcp_sniffer::config_test {
namespace {

using nlohmann::json;

constexpr Environment kServer = {.cpus = 4};

// Parses, resolves and checks as the program does. Returns the message, or "" when accepted.
std::string refusal(std::string_view text, Config& config, const Environment& environment) {
  if (auto wrong = parse_config_json(text, config)) return wrong->message;
  resolve_defaults(config, environment);
  if (auto wrong = check_config(config, environment)) return wrong->message;
  return "";
}

std::string refusal(std::string_view text) {
  Config config;
  return refusal(text, config, kServer);
}

Config accepted(std::string_view text, const Environment& environment = kServer) {
  Config config;
  EXPECT_EQ(refusal(text, config, environment), "") << text;
  return config;
}

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

TEST(ConfigTest, AllKeysOfAConfigurationArrive) {
  const Config config = accepted(R"({
      "interface":"eth0", "ports":[80,8080], "sampleRate":0.25, "maxBodySize":0,
      "maxConcurrentConnections":5, "connectionIdleTimeoutMs":1000, "filter":"host 10.0.0.1",
      "shards":0, "snaplen":1500, "bufferSizeMiB":8, "promiscuous":false, "tunnels":true,
      "output":"out.ndjson", "format":"framed", "fields":"extended", "binaryBody":"base64",
      "rawHeaders":true, "redactHeaders":["Authorization","Cookie"], "redactQuery":["Token"],
      "gapPolicy":"buffer", "gapTimeoutMs":0, "memoryLimit":"64M", "reassemblyBufferSize":65536,
      "overload":"block", "logLevel":"debug", "logFormat":"text", "logSamples":false,
      "statsIntervalMs":0, "sampleSeed":18446744073709551615, "maxHeaderBytes":"8KiB",
      "flushEvery":1e3})");
  EXPECT_EQ(config.interfaces, std::vector<std::string>{"eth0"});
  EXPECT_EQ(config.ports, (std::vector<uint16_t>{80, 8080}));
  EXPECT_EQ(config.sample_rate, 0.25);
  EXPECT_EQ(config.max_body_size, 0u);
  EXPECT_EQ(config.max_concurrent_connections, 5u);
  EXPECT_EQ(config.connection_idle_timeout_ms, 1000u);
  EXPECT_EQ(config.filter, "host 10.0.0.1");
  EXPECT_EQ(config.shards, 0u);
  EXPECT_EQ(config.snaplen, 1500u);
  EXPECT_EQ(config.buffer_size_mib, 8u);
  EXPECT_FALSE(config.promiscuous);
  EXPECT_TRUE(config.tunnels);
  EXPECT_EQ(config.output, "out.ndjson");
  EXPECT_EQ(config.format, OutputFormat::kFramed);
  EXPECT_EQ(config.fields, FieldSet::kExtended);
  EXPECT_EQ(config.binary_body, BinaryBody::kBase64);
  EXPECT_TRUE(config.raw_headers);
  EXPECT_EQ(config.redact_headers, (std::vector<std::string>{"authorization", "cookie"}));
  EXPECT_EQ(config.redact_query, std::vector<std::string>{"Token"});
  EXPECT_EQ(config.gap_policy, GapPolicy::kBuffer);
  EXPECT_EQ(config.gap_timeout_ms, 0u);
  EXPECT_EQ(config.memory_limit, uint64_t{64} << 20);
  EXPECT_EQ(config.reassembly_buffer_size, 65536u);
  EXPECT_EQ(config.overload, Overload::kBlock);
  EXPECT_EQ(config.log_level, LogLevel::kDebug);
  EXPECT_EQ(config.log_format, LogFormat::kText);
  EXPECT_FALSE(config.log_samples);
  EXPECT_EQ(config.stats_interval_ms, 0u);
  EXPECT_EQ(config.sample_seed, UINT64_MAX);
  EXPECT_EQ(config.max_header_bytes, 8192u);
  EXPECT_EQ(config.flush_every, 1000u);
}

TEST(ConfigTest, FilesNeedNoPorts) {
  const Config config = accepted(R"({"files":["a.pcap","-"]})");
  EXPECT_EQ(config.files, (std::vector<std::string>{"a.pcap", "-"}));
  EXPECT_TRUE(config.ports.empty());
  EXPECT_FALSE(config.live());
}

TEST(ConfigTest, DefaultsAreThoseOfTheContract) {
  const std::pair<const char*, const char*> table[] = {
      {"sampleRate", "1"},
      {"where", "none"},
      {"sampleExchanges", "1"},
      {"alwaysKeep", "none"},
      {"maxBodySize", "1048576"},
      {"maxConcurrentConnections", "100000"},
      {"connectionIdleTimeoutMs", "300000"},
      {"snaplen", "262144"},
      {"bufferSizeMiB", "64"},
      {"promiscuous", "true"},
      {"filter", "none"},
      {"fields", "standard"},
      {"binaryBody", "omit"},
      {"rawHeaders", "false"},
      {"redactHeaders", "none"},
      {"redactQuery", "none"},
      {"redactBody", "none"},
      {"redactPattern", "none"},
      {"redactMode", "mask"},
      {"redactKeyFile", "none"},
      {"trustedProxies", "0"},
      {"clientHeader", "none"},
      {"defrag", "true"},
      {"verifyChecksums", "false"},
      {"checkTcpOptions", "false"},
      {"ignoreFsmErrors", "true"},
      {"allowMissingInit", "true"},
      {"flushEvery", "0"},
      {"reassemblyBufferSize", "4194304"},
      {"memoryLimit", "1073741824"},
      {"maxHeaderBytes", "262144"},
      {"maxHeaders", "1000"},
      {"maxOutstandingRequests", "256"},
      {"gapPolicy", "evidence"},
      {"gapTimeoutMs", "2000"},
      {"waitForConnections", "false"},
      {"drainTimeoutMs", "5000"},
      {"extractDir", "none"},
      {"writeIncomplete", "false"},
      {"statsIntervalMs", "10000"},
      {"noPacketsWarningMs", "30000"},
      {"logLevel", "info"},
      {"logFormat", "auto"},
      {"color", "auto"},
      {"utc", "false"},
      {"quiet", "false"},
      {"duration", "0"},
      {"failIfNone", "false"},
      {"logSamples", "true"},
      {"debug", "false"},
      {"hexDump", "false"},
      {"debugLog", "reassembly.log"},
      {"tunnelDepth", "4"},
      {"keyTunnel", "true"},
      {"keyVlan", "false"},
      {"protocols", "http"},
      {"decodeBodies", "false"},
      {"partialAfterMs", "0"},
      {"captureThreads", "1"},
      {"metricsListen", "off"},
      {"metricsSeriesMax", "1000"},
      {"metricsRoutes", "none"},
  };
  for (const auto& [name, expected] : table) {
    const KeySpec* key = find_key(name);
    ASSERT_NE(key, nullptr) << name;
    EXPECT_EQ(default_text(*key), expected) << name;
  }
}

TEST(ConfigTest, EveryKeyIsDescribedAndItsDefaultIsAllowed) {
  std::set<std::string_view> names;
  std::set<std::string> flags;
  for (const KeySpec& key : config_keys()) {
    EXPECT_TRUE(names.insert(key.name).second) << key.name;
    EXPECT_TRUE(flags.insert(flag_name(key.name)).second) << key.name;
    EXPECT_FALSE(key.meaning.empty()) << key.name;
    EXPECT_EQ(is_boolean(key), key.value_name.empty()) << key.name;
    const json value = get_value(key, Config{});
    if (value.is_string() && value.get<std::string>().empty()) continue;  // "not given"
    if (value.is_array() && value.empty()) continue;
    Config config;
    EXPECT_EQ(set_value(key, value, config), std::nullopt) << key.name;
  }
}

// A value that the key takes and that is not its default.
json other_value(const KeySpec& key) {
  const json value = get_value(key, Config{});
  if (is_boolean(key)) return !value.get<bool>();
  if (!key.words.empty()) {
    const std::string last(key.words.back());
    const std::string other = value == json(last) ? std::string(key.words.front()) : last;
    return is_list(key) ? json::array({other}) : json(other);
  }
  if (value.is_number_unsigned()) {
    return key.minimum == value.get<uint64_t>() ? key.minimum + 1 : key.minimum;
  }
  if (value.is_number_float()) return 0.5;
  if (std::holds_alternative<std::vector<uint16_t> Config::*>(key.target)) return json::array({8});
  const std::string text = key.text_kind == TextKind::kListener    ? "[::1]:9464"
                           : key.text_kind == TextKind::kField     ? "path"
                           : key.text_kind == TextKind::kCondition ? "status"
                           : key.text_kind == TextKind::kRoute     ? "/users/{id}"
                           : key.text_kind == TextKind::kProperty  ? "acks=all"
                                                                   : "something";
  return is_list(key) ? json::array({text}) : json(text);
}

std::string with_ports(const KeySpec& key) {
  json object = {{"ports", json::array({80})}};
  object[std::string(key.name)] = other_value(key);
  if (key.name == "follow") object["files"] = json::array({"growing.pcap"});
  return object.dump();
}

TEST(ConfigTest, EveryKeyTakesAnotherValueUnlessItIsNotYetSupported) {
  for (const KeySpec& key : config_keys()) {
    Config config;
    const std::string message = refusal(with_ports(key), config, kServer);
    EXPECT_TRUE(is_given(config, key.name)) << key.name;
    EXPECT_EQ(get_value(key, config) == get_value(key, Config{}), false) << key.name;
    EXPECT_EQ(message.find(" is not yet supported") == std::string::npos, key.supported)
        << key.name << ": " << message;
    if (key.supported) {
      EXPECT_EQ(message, "") << key.name;
    }
  }
}

TEST(ConfigTest, EveryKeyRefusesEveryOtherType) {
  const json values[] = {nullptr, true, 7, 0.5, "no such one", json::array({true}), json::object()};
  for (const KeySpec& key : config_keys()) {
    const json own = other_value(key);
    for (const json& value : values) {
      const bool fits = value.type() == own.type() || (value.is_number() && own.is_number());
      if (fits && !value.is_array()) continue;
      if (key.text_kind == TextKind::kInterface && value.is_string()) continue;
      Config config;
      const auto fault = set_value(key, value, config);
      ASSERT_TRUE(fault.has_value()) << key.name << " " << value;
      EXPECT_NE(fault->find("; allowed: " + allowed_text(key)), std::string::npos) << *fault;
    }
  }
}

TEST(ConfigTest, AKeyThatIsNotYetSupportedTakesOnlyItsDefault) {
  std::vector<KeySpec> keys(config_keys().begin(), config_keys().end());
  for (KeySpec& key : keys) key.supported = key.name != "decodeBodies" && key.name != "protocols";
  Config config = accepted(R"({"ports":[80],"decodeBodies":false,"protocols":["http"]})");
  EXPECT_FALSE(check_supported(config, keys).has_value());
  config.protocols = {Protocol::kHttp, static_cast<Protocol>(1)};
  ASSERT_TRUE(check_supported(config, keys).has_value());
  EXPECT_EQ(check_supported(config, keys)->message,
            "protocols: [\"http\",\"pop3\"] is not yet supported; allowed: http, the default");
  config.protocols = {Protocol::kHttp};
  config.decode_bodies = true;
  ASSERT_TRUE(check_supported(config, keys).has_value());
  EXPECT_EQ(check_supported(config, keys)->message,
            "decodeBodies: true is not yet supported; allowed: false, the default");
}

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

TEST(ConfigTest, APortAloneMeansMetricsOnLoopback) {
  Config config;
  const KeySpec& key = *find_key("metricsListen");
  EXPECT_EQ(set_value(key, "9464", config), std::nullopt);
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:9464");
  EXPECT_EQ(set_value(key, ":9465", config), std::nullopt);
  EXPECT_EQ(config.metrics_listen, "127.0.0.1:9465");
  EXPECT_EQ(set_value(key, "0.0.0.0:9464", config), std::nullopt);
  EXPECT_EQ(config.metrics_listen, "0.0.0.0:9464");
}

TEST(ConfigTest, ThreadsArePinnedToCpusThatTheProcessMayUseAndNoOthers) {
  Environment environment = kServer;
  Config config = accepted(R"({"files":["a"],"pinCpus":[0,99]})", environment);
  EXPECT_EQ(config.pin_cpus, (std::vector<uint16_t>{0, 99})) << "not known: any may be there";
  for (const size_t cpu : {0, 1, 2, 5, 1023}) environment.usable_cpus.set(cpu);
  EXPECT_EQ(check_config(config, environment).value().message,
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
  Config chosen;
  EXPECT_EQ(
      refusal(R"({"ports":[80],"partialAfterMs":500,"where":"status >= 500"})", chosen, kServer),
      "partialAfterMs: 500 together with where, which is about whole exchanges; allowed: one of "
      "the two");
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
  EXPECT_EQ(ended->message,
            "config: standard input ended before a line came; --config - takes one line with a "
            "JSON object");
  close(ends[0]);
}

TEST(ConfigTest, AFileThatCanNotBeReadIsNamed) {
  std::string text;
  EXPECT_EQ(read_config_text("/no/such/file", 0, text)->message,
            "config: cannot read \"/no/such/file\": No such file or directory");
  EXPECT_EQ(read_config_text("/", 0, text)->message, "config: cannot read \"/\": Is a directory");
  EXPECT_EQ(read_config_text("/dev/zero", 0, text)->message,
            "config: the configuration is longer than 1048576 bytes");
}

TEST(ConfigTest, SizesAndDurationsHaveUnits) {
  EXPECT_EQ(parse_size("0"), 0u);
  EXPECT_EQ(parse_size("64K"), 65536u);
  EXPECT_EQ(parse_size("64k"), 65536u);
  EXPECT_EQ(parse_size("64MiB"), uint64_t{64} << 20);
  EXPECT_EQ(parse_size("2G"), uint64_t{2} << 30);
  EXPECT_EQ(parse_size("1T"), uint64_t{1} << 40);
  EXPECT_EQ(parse_size("18446744073709551616"), UINT64_MAX);
  EXPECT_EQ(parse_size("18014398509481984K"), UINT64_MAX);
  for (const char* wrong : {"", "K", "1KB", "1.5M", "-1", "+1", " 1", "1 K", "0x10", "1MM"}) {
    EXPECT_FALSE(parse_size(wrong).has_value()) << wrong;
  }
  EXPECT_EQ(parse_duration_ms("250"), 250u);
  EXPECT_EQ(parse_duration_ms("500ms"), 500u);
  EXPECT_EQ(parse_duration_ms("5s"), 5000u);
  EXPECT_EQ(parse_duration_ms("2m"), 120000u);
  EXPECT_EQ(parse_duration_ms("1h"), 3600000u);
  for (const char* wrong : {"", "s", "5 s", "1.5s", "5S", "5d", "-5s", "5sec"}) {
    EXPECT_FALSE(parse_duration_ms(wrong).has_value()) << wrong;
  }
}

TEST(ConfigTest, FlagsAreTheKebabCaseOfTheKeys) {
  EXPECT_EQ(flag_name("maxBodySize"), "max-body-size");
  EXPECT_EQ(flag_name("ports"), "ports");
  EXPECT_EQ(flag_name("bufferSizeMiB"), "buffer-size-mib");
  EXPECT_EQ(flag_name("connectionIdleTimeoutMs"), "connection-idle-timeout-ms");
}

TEST(PrintableTest, ControlCharactersAndBrokenUtf8BecomeVisible) {
  EXPECT_EQ(printable("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(printable("a\nb\r\t\x1b[0m\x7f"), "a\\nb\\r\\t\\x1b[0m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u{9b}");
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\u{202e}");
  EXPECT_EQ(printable("\u200b\u200d\u061c\u2066\ufeff"),
            "\\u{200b}\\u{200d}\\u{61c}\\u{2066}\\u{feff}");
  EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80\xf8"), "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf8");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(quote_text("say \"x\""), "\"say \\\"x\\\"\"");
  EXPECT_EQ(quote_text("aaaa\xe2\x82\xac", 6), "\"aaaa...\"");
  EXPECT_TRUE(is_utf8("\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));
}

TEST(ExitCodeTest, CodesAreThoseOfTheContract) {
  const std::tuple<ErrorCode, const char*, int> table[] = {
      {ErrorCode::kNone, "", 0},
      {ErrorCode::kInvalidConfig, "INVALID_CONFIG", 2},
      {ErrorCode::kInvalidInterface, "INVALID_INTERFACE", 3},
      {ErrorCode::kPermissionDenied, "PERMISSION_DENIED", 4},
      {ErrorCode::kCaptureOpenFailed, "CAPTURE_OPEN_FAILED", 5},
      {ErrorCode::kCaptureFailed, "CAPTURE_FAILED", 5},
      {ErrorCode::kInputFile, "INPUT_FILE", 6},
      {ErrorCode::kOutputFailed, "OUTPUT_FAILED", 7},
      {ErrorCode::kInternal, "INTERNAL", 70},
  };
  for (const auto& [code, name, status] : table) {
    EXPECT_EQ(code_name(code), name);
    EXPECT_EQ(exit_status(code), status);
  }
}

}  // namespace
}  // namespace tcp_sniffer::config_test
