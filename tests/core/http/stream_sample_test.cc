#include "core/http/stream_sample.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer::stream_sample_test {
namespace {

using std::string_literals::operator""s;

std::string sample_of(const std::string& first_bytes) {
  std::array<uint8_t, kSampleMax> sample{};
  const uint8_t size = take_stream_sample(first_bytes, sample);
  return {sample.begin(), sample.begin() + size};
}

TEST(StreamSample, OfATextTheFirstWordIsShown) {
  EXPECT_EQ(sample_of("SSH-2.0-OpenSSH_9.2\r\n"), "SSH-2.0-OpenSSH_9.2");
  EXPECT_EQ(sample_of("220 mail.example ESMTP\r\n"), "220");
  EXPECT_EQ(sample_of("HTTP/1.0 2XX OK\r\n"), "HTTP/1.0");
  EXPECT_EQ(sample_of(std::string(100, 'x')), std::string(kSampleMax, 'x'));
  EXPECT_EQ(sample_of(""), "");
}

TEST(StreamSample, WhatMayBeHiddenIsNot) {
  for (const char* text : {"PASS secret\r\n", " PASS secret", "PASS\tsecret", "\r\nPASS\x0bsecret",
                           "GET /?token=secret HTTP/9", "http://user:secret@host/", "?token=secret",
                           "Authorization: secret", "A b=secret", "\x01\x02GET /?token=secret"}) {
    EXPECT_EQ(sample_of(text).find("secret"), std::string::npos) << text;
  }
  EXPECT_EQ(sample_of("\0\r\nQUIT\n!\x11\0\x0cGET /?token=secret"s), "\0\r\nQUIT"s);
  EXPECT_EQ(sample_of("PASS\0secret"s), "PASS");
}

TEST(StreamSample, BinaryBytesAreShown) {
  const std::string tls = "\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03"s;
  EXPECT_EQ(sample_of(tls), tls);
  const std::string zeros(40, '\0');
  EXPECT_EQ(sample_of(zeros), zeros.substr(0, kSampleMax));
  EXPECT_EQ(sample_of("J\0\0\0\x0a"s + "8.0.33\0rest"s), "J\0\0\0\x0a"s + "8.0.33");
}

}  // namespace
}  // namespace tcp_sniffer::stream_sample_test
