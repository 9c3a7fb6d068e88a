#include "core/net/community_id.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "core/line/message_line.h"
#include "support/endpoints.h"

namespace tcp_sniffer::community_id_test {
namespace {

std::string community_id(const Endpoint& a, const Endpoint& b) {
  char text[kCommunityIdSize];
  return {text, write_community_id(text, a, b)};
}

// The expected value is the one of the specification's own TCP example.
TEST(CommunityId, IsTheSpecificationsAndTheSameInBothDirections) {
  const Endpoint client = ip4(128, 232, 110, 120, 34855);
  const Endpoint server = ip4(66, 35, 250, 204, 80);
  EXPECT_EQ(community_id(client, server), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  EXPECT_EQ(community_id(server, client), "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
}

TEST(CommunityId, Ipv6AddressesCountWithAllTheirBytes) {
  Endpoint client{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0, 0x86, 0xff, 0xfe, 0x05, 0x80, 0xda}, 1};
  Endpoint server{{0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0x02, 0x60, 0x97, 0xff, 0xfe, 0x07, 0x69, 0xea},
                  2};
  const std::string id = community_id(client, server);
  EXPECT_EQ(id, community_id(server, client));
  client.ip[15] ^= 1;
  EXPECT_NE(id, community_id(client, server));
}

TEST(CommunityId, EndpointsOfOneAddressAreOrderedByPort) {
  const Endpoint low = ip4(127, 0, 0, 1, 80);
  const Endpoint high = ip4(127, 0, 0, 1, 50000);
  EXPECT_EQ(community_id(low, high), community_id(high, low));
}

TEST(CommunityId, IsAFieldOfExtendedLinesOnly) {
  Message message;
  message.method = "GET";
  message.target = "/";
  message.receiver = ip4(66, 35, 250, 204, 80);
  message.destination = ip4(128, 232, 110, 120, 34855);
  for (const bool extended : {false, true}) {
    LineOptions options;
    options.extended = extended;
    MessageLineWriter writer(options);
    ScratchLine line;
    writer.write(message, line);
    const auto json = nlohmann::json::parse(line.view());
    ASSERT_EQ(json.contains("communityId"), extended);
    if (!extended) continue;
    EXPECT_EQ(json["communityId"], "1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
  }
}

}  // namespace
}  // namespace tcp_sniffer::community_id_test
