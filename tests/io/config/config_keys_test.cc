#include "io/config/config_keys.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "io/config/config_values.h"
#include "support/parsed_config.h"

namespace tcp_sniffer::config_keys_test {
namespace {

using nlohmann::json;
using namespace parsed_config;

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
      {"kafkaConnectTimeoutMs", "60000"},
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
  EXPECT_EQ(check_supported(config, keys)->message(),
            "protocols: [\"http\",\"pop3\"] is not yet supported; allowed: http, the default");
  config.protocols = {Protocol::kHttp};
  config.decode_bodies = true;
  ASSERT_TRUE(check_supported(config, keys).has_value());
  EXPECT_EQ(check_supported(config, keys)->message(),
            "decodeBodies: true is not yet supported; allowed: false, the default");
}

}  // namespace
}  // namespace tcp_sniffer::config_keys_test
