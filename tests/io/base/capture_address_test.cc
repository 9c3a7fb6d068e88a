#include "io/base/capture_address.h"

#include <gtest/gtest.h>

namespace tcp_sniffer::capture_address_test {
namespace {

TEST(CaptureAddress, HasAHostAndAPort) {
  const auto peer = parse_capture_address("tcp://sensor-7:57012");
  ASSERT_TRUE(peer);
  EXPECT_FALSE(peer->listens);
  EXPECT_EQ(peer->host, "sensor-7");
  EXPECT_EQ(peer->port, "57012");
  const auto listener = parse_capture_address("tcp-listen://[::]:0");
  ASSERT_TRUE(listener);
  EXPECT_TRUE(listener->listens);
  EXPECT_EQ(listener->host, "::");
}

TEST(CaptureAddress, IsWholeOrNone) {
  for (const char* text :
       {"tcp://", "tcp://host", "tcp://host:", "tcp://:1", "tcp://host:0", "tcp://host:65536",
        "tcp://host:1/path", "tcp://a:b:1", "tcp://[::1]", "tcp://[]:1", "tcp://user@host:1",
        "tcp-listen://:1", "tcp-listen://0.0.0.0:x", "udp://host:1", "host:1", "tcp:/host:1"}) {
    EXPECT_FALSE(parse_capture_address(text)) << text;
  }
  EXPECT_TRUE(is_capture_address("tcp://"));
  EXPECT_FALSE(is_capture_address("./tcp://a:1"));
}

}  // namespace
}  // namespace tcp_sniffer::capture_address_test
