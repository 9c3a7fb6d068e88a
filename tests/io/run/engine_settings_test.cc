#include "io/run/engine_settings.h"

#include <gtest/gtest.h>

namespace tcp_sniffer {
namespace {

bool hands_bodies_over(const Config& config) {
  return shard_settings(config, 1).protocols.http.hands_bodies_over;
}

// Elsewhere the room before them would be memory for nothing.
TEST(EngineSettings, BodiesHaveRoomForARecordOnlyWhereTheOutputTakesThemOver) {
  Config config;
  EXPECT_FALSE(hands_bodies_over(config));
  config.format = OutputFormat::kPacked;
  EXPECT_TRUE(hands_bodies_over(config));
  Config by_exchange = config;
  by_exchange.records = Records::kExchange;
  EXPECT_FALSE(hands_bodies_over(by_exchange));
  Config in_parts = config;
  in_parts.partial_after_ms = 1000;
  EXPECT_FALSE(hands_bodies_over(in_parts));
  Config of_some = config;
  of_some.where = "status >= 500";
  EXPECT_FALSE(hands_bodies_over(of_some));
  Config to_kafka = config;
  to_kafka.output = "kafka://localhost:9092/topic";
  EXPECT_FALSE(hands_bodies_over(to_kafka));
}

}  // namespace
}  // namespace tcp_sniffer
