#include "core/where/constant.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>

#include "support/condition_lab.h"

namespace tcp_sniffer::constant_test {
namespace {

using namespace condition_lab;

TEST(Constant, CountsDurationsTimesAndNetworks) {
  EXPECT_EQ(parse_count("1.5K"), 1536);
  EXPECT_EQ(parse_count("8191T"), int64_t{8191} << 40);
  for (const char* wrong : {"", "K", "1.3K", "1e3", "9999999999T", "1KB", "0x1", "1.", ".5"}) {
    EXPECT_EQ(parse_count(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_duration("0.000001"), 1);
  EXPECT_EQ(parse_duration("-1.5s"), -1500 * kMs);
  EXPECT_EQ(parse_duration("2m"), 120000 * kMs);
  EXPECT_EQ(parse_duration("1.5h"), 5400000 * kMs);
  for (const char* wrong : {"", "-", "s", "0.0000001", "1 s", "99999999999h"}) {
    EXPECT_EQ(parse_duration(wrong), std::nullopt) << wrong;
  }
  EXPECT_EQ(parse_time("2025-02-21T12:00:00Z"), kNoon);
  EXPECT_EQ(parse_time("2025-02-21 12:00:00.000001"), kNoon + 1000);
  EXPECT_EQ(parse_time("1970-01-01"), 0);
  EXPECT_EQ(parse_time("2024-02-29"), int64_t{1709164800} * 1000000000);
  for (const char* wrong :
       {"2025", "2025-02-21T12", "2025-02-21T25:00:00", "2025-02-21x", "1969-12-31"}) {
    EXPECT_EQ(parse_time(wrong), std::nullopt) << wrong;
  }
  EXPECT_TRUE(parse_network("2001:db8::/33")->holds(parse_network("2001:db8:7fff::1")->ip));
  EXPECT_FALSE(parse_network("2001:db8::/33")->holds(parse_network("2001:db8:8000::1")->ip));
  EXPECT_FALSE(parse_network("0.0.0.0/0")->holds(parse_network("2001:db8::")->ip));
  EXPECT_TRUE(parse_network("::/0")->holds(parse_network("2001:db8::1")->ip));
  EXPECT_FALSE(parse_network("::/0")->holds(parse_network("10.0.0.1")->ip));
  EXPECT_TRUE(parse_network("::ffff:10.0.0.0/104")->holds(parse_network("10.0.0.1")->ip));
}

}  // namespace
}  // namespace tcp_sniffer::constant_test
