#include "core/message/client_address.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/net/ip_text.h"

namespace tcp_sniffer::client_address_test {
namespace {

std::string client(const std::vector<HeaderField>& fields, uint32_t proxies = 1,
                   const std::string& header = {}) {
  ClientRules rules;
  rules.wanted = true;
  rules.trusted_proxies = proxies;
  rules.reads_header = !header.empty();
  rules.header = header;
  const auto found = forwarded_client(rules, fields);
  if (!found) return "none";
  char text[kIpTextMax];
  return {text, write_ip(text, *found)};
}

TEST(ClientAddress, IsCountedFromTheRight) {
  const std::vector<HeaderField> fields = {{"X-Forwarded-For", "203.0.113.1, 203.0.113.2"},
                                           {"x-forwarded-for", "203.0.113.3"}};
  EXPECT_EQ(client(fields, 0), "none");
  EXPECT_EQ(client(fields, 1), "203.0.113.3");
  EXPECT_EQ(client(fields, 2), "203.0.113.2");
  EXPECT_EQ(client(fields, 3), "203.0.113.1");
  EXPECT_EQ(client(fields, 4), "203.0.113.1") << "a shorter list counts from its first address";
}

TEST(ClientAddress, IsReadInEachOfItsSpellings) {
  for (const char* text : {"203.0.113.7", " 203.0.113.7\t", "203.0.113.7:4711", "\"203.0.113.7\"",
                           "::ffff:203.0.113.7", "x,203.0.113.7", "\r\n 203.0.113.7"}) {
    EXPECT_EQ(client({{"X-Forwarded-For", text}}), "203.0.113.7") << text;
  }
  for (const char* text :
       {"2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:4711", "\"[2001:DB8:0::1]:4711\""}) {
    EXPECT_EQ(client({{"X-Forwarded-For", text}}), "2001:db8::1") << text;
  }
}

TEST(ClientAddress, TextThatIsNoAddressIsIgnored) {
  for (const char* text :
       {"", ",", "unknown", "_hidden", "203.0.113", "203.0.113.7.9", "[2001:db8::1",
        "[2001:db8::1]x", "256.0.0.1", "01.2.3.4x", "2001:db8::1::2", "a:b"}) {
    EXPECT_EQ(client({{"X-Forwarded-For", text}}), "none") << text;
    // What stands further left is not believed in its place.
    EXPECT_EQ(client({{"X-Forwarded-For", "203.0.113.7, " + std::string(text)}}), "none") << text;
    // What stands further right is known better.
    EXPECT_EQ(client({{"X-Forwarded-For", std::string(text) + ", 203.0.113.7"}}, 2), "203.0.113.7");
  }
}

TEST(ClientAddress, ForwardedHasQuotesAndParameters) {
  EXPECT_EQ(client({{"Forwarded", "for=203.0.113.7"}}), "203.0.113.7");
  EXPECT_EQ(client({{"Forwarded", "proto=http;By=10.0.0.1 ; FOR = \"203.0.113.7:80\""}}),
            "203.0.113.7");
  EXPECT_EQ(
      client({{"Forwarded", "for=1.1.1.1, for=\"[2001:db8::1]:80\";host=\"a,b;for=2.2.2.2\""}}),
      "2001:db8::1");
  EXPECT_EQ(client({{"Forwarded", "for=203.0.113.7, for=unknown"}}), "none");
  EXPECT_EQ(client({{"Forwarded", "for=203.0.113.7, for=_x, by=1.1.1.1"}}, 3), "203.0.113.7");
  EXPECT_EQ(client({{"Forwarded", "by=203.0.113.7"}}), "none");
}

TEST(ClientAddress, ForwardedGoesFirstAndANamedHeaderAlone) {
  const std::vector<HeaderField> fields = {{"X-Forwarded-For", "203.0.113.1"},
                                           {"Forwarded", "for=203.0.113.2"},
                                           {"CF-Connecting-IP", "203.0.113.3"}};
  EXPECT_EQ(client(fields), "203.0.113.2");
  EXPECT_EQ(client(fields, 1, "cf-connecting-ip"), "203.0.113.3");
  EXPECT_EQ(client(fields, 1, "x-forwarded-for"), "203.0.113.1");
  EXPECT_EQ(client(fields, 1, "forwarded"), "203.0.113.2");
  EXPECT_EQ(client(fields, 1, "x-real-ip"), "none");
  EXPECT_EQ(client({{"X-Forwarded-For", "203.0.113.1"}, {"Forwarded", "secret"}}), "203.0.113.1");
}

}  // namespace
}  // namespace tcp_sniffer::client_address_test
