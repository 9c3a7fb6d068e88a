// Numbers, times and addresses as they stand in a line.

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <utility>

#include "core/base/number_text.h"
#include "core/net/ip_text.h"
#include "support/written_line.h"

namespace tcp_sniffer::line_numbers_test {
namespace {

using namespace written_line;

TEST(MessageLine, MillisecondsAreExactAndShort) {
  const std::pair<int64_t, const char*> times[] = {{0, "0"},
                                                   {1, "0.000001"},
                                                   {1000, "0.001"},
                                                   {1500000, "1.5"},
                                                   {-1, "-0.000001"},
                                                   {-2000000, "-2"},
                                                   {123456789012345, "123456789.012345"},
                                                   {1230000, "1.23"}};
  for (const auto& [nanoseconds, text] : times) {
    Message message = response();
    message.has_latency = true;
    message.latency_ns = nanoseconds;
    const std::string wanted = std::string("\"latencyMs\":").append(text).append(",");
    EXPECT_NE(line_of(message).find(wanted), std::string::npos) << wanted;
  }
}

TEST(MessageLine, NumbersOfEveryLengthAreExact) {
  std::mt19937_64 random(7);
  for (int bits = 0; bits <= 64; ++bits) {
    for (int i = 0; i < 50; ++i) {
      Message message = request();
      message.body_size = bits == 0 ? 0 : random() >> (64 - bits);
      EXPECT_EQ(json_of(message)["bodySize"].get<uint64_t>(), message.body_size);
    }
  }
  for (uint64_t power = 1; power <= 1000000000000000000; power *= 10) {
    for (const uint64_t value : {power - 1, power, 9 * power, 10 * power - 1}) {
      char text[kUnsignedTextMax];
      EXPECT_EQ(std::string(text, write_unsigned(text, value)), std::to_string(value));
    }
  }
}

TEST(MessageLine, TimestampsAreIsoWithMicroseconds) {
  const std::pair<int64_t, const char*> times[] = {
      {0, "1970-01-01T00:00:00.000000Z"},
      {-1, "1969-12-31T23:59:59.999999Z"},
      {1709210096789012345, "2024-02-29T12:34:56.789012Z"},
      {1709210096000000999, "2024-02-29T12:34:56.000000Z"},
      {4102444799999999999, "2099-12-31T23:59:59.999999Z"},
      {INT64_MAX, "2262-04-11T23:47:16.854775Z"},
      {INT64_MIN, "1677-09-21T00:12:43.145224Z"}};
  MessageLineWriter writer({});
  for (const auto& [nanoseconds, text] : times) {
    Message message = request();
    message.first_byte_ns = nanoseconds;
    message.last_byte_ns = nanoseconds;
    ScratchLine line;
    writer.write(message, line);
    EXPECT_EQ(parse(std::string(line.view()))["timestamp"], text);
  }
}

TEST(MessageLine, TimesThatLieFarApartDoNotOverflow) {
  Message message = request();
  message.first_byte_ns = INT64_MIN;
  message.last_byte_ns = INT64_MAX;
  EXPECT_NEAR(json_of(message)["durationMs"].get<double>(), 9223372036854.775807, 0.01);
}

TEST(MessageLine, AddressesAreTextAsRfc5952Says) {
  struct Case {
    std::array<uint16_t, 8> groups;
    const char* text;
  };
  const Case cases[] = {
      {{0, 0, 0, 0, 0, 0, 0, 0}, "::"},
      {{0, 0, 0, 0, 0, 0, 0, 1}, "::1"},
      {{0x2001, 0xdb8, 0, 0, 0, 0, 2, 1}, "2001:db8::2:1"},
      {{0x2001, 0xdb8, 0, 1, 1, 1, 1, 1}, "2001:db8:0:1:1:1:1:1"},
      {{0x2001, 0, 0, 1, 0, 0, 0, 1}, "2001:0:0:1::1"},
      {{0x2001, 0xdb8, 0, 0, 1, 0, 0, 1}, "2001:db8::1:0:0:1"},
      {{0xfe80, 0, 0, 0, 0xabcd, 0x00ef, 0x0fff, 0xffff}, "fe80::abcd:ef:fff:ffff"},
      {{1, 2, 3, 4, 5, 6, 0, 0}, "1:2:3:4:5:6::"},
      {{1, 2, 3, 4, 5, 6, 7, 8}, "1:2:3:4:5:6:7:8"},
      {{0, 0, 0, 0, 0, 0xffff, 0xc000, 0x0201}, "192.0.2.1"},
      {{0, 0, 0, 0, 0, 0xffff, 0xffff, 0x0009}, "255.255.0.9"},
      {{0, 0, 0, 0, 0, 0xfffe, 0xc000, 0x0201}, "::fffe:c000:201"}};
  for (const Case& c : cases) {
    IpAddress ip{};
    for (size_t i = 0; i < 8; ++i) {
      ip[2 * i] = static_cast<uint8_t>(c.groups[i] >> 8);
      ip[2 * i + 1] = static_cast<uint8_t>(c.groups[i] & 0xff);
    }
    char text[kIpTextMax];
    EXPECT_EQ(std::string(text, write_ip(text, ip)), c.text);
  }
}

}  // namespace
}  // namespace tcp_sniffer::line_numbers_test
