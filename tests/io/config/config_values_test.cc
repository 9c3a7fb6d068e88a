#include "io/config/config_values.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "io/config/value_text.h"

namespace tcp_sniffer::config_values_test {
namespace {

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

}  // namespace
}  // namespace tcp_sniffer::config_values_test
