#include "core/metrics/host_label.h"

#include <gtest/gtest.h>

#include <string>

#include "core/base/text_encoding.h"

namespace tcp_sniffer::host_label_test {
namespace {

std::string label(std::string_view host_header, std::string_view target = "/",
                  std::string_view method = "GET") {
  return std::string(host_label(host_of_request(method, target, host_header)).text());
}

TEST(HostLabelTest, IsInLowerCaseAndWithoutThePort) {
  EXPECT_EQ(label("Shop.Example"), "shop.example");
  EXPECT_EQ(label("shop.example:8080"), "shop.example");
  EXPECT_EQ(label("shop.example:"), "shop.example");
  EXPECT_EQ(label("10.0.0.1:80"), "10.0.0.1");
  EXPECT_EQ(label("[2001:DB8::1]:443"), "[2001:db8::1]");
  EXPECT_EQ(label("[2001:db8::1"), "[2001:db8::1");
  EXPECT_EQ(label("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(label("shop.example:http"), "shop.example:http");
}

TEST(HostLabelTest, ComesFromTheTargetWhereThereIsNoHostHeader) {
  EXPECT_EQ(label("", "http://Proxy.Example:8080/a?b=http://c/"), "proxy.example");
  EXPECT_EQ(label("", "http://user:word@proxy.example/a@b"), "proxy.example");
  EXPECT_EQ(label("own.example", "http://other.example/"), "own.example");
  EXPECT_EQ(label("", "shop.example:443", "CONNECT"), "shop.example");
  EXPECT_EQ(label("", "shop.example:443", "GET"), "none");
  EXPECT_EQ(label("", "/a://b"), "none");
  EXPECT_EQ(label("", "*", "OPTIONS"), "none");
  EXPECT_EQ(label(""), "none");
  EXPECT_EQ(label(":80"), "none");
}

TEST(HostLabelTest, TellsNothingOfAUserOrAQuery) {
  EXPECT_EQ(label("user:secret@shop.example:80"), "shop.example");
  EXPECT_EQ(label("secret@shop.example"), "shop.example");
  EXPECT_EQ(label("a@b:sec@ret@shop.example"), "shop.example");
  EXPECT_EQ(label("user:sec/ret@shop.example"), "shop.example");
  EXPECT_EQ(label("shop.example?token=secret"), "shop.example");
  EXPECT_EQ(label("shop.example:80/a?token=secret@b"), "shop.example");
  EXPECT_EQ(label("shop.example#token=secret"), "shop.example");
  EXPECT_EQ(label("", "http://user:sec/ret@shop.example/a"), "shop.example");
  EXPECT_EQ(label("", "user:secret@shop.example:443", "CONNECT"), "shop.example");
  EXPECT_EQ(label("", "http://[2001:db8::a]/a@b"), "[2001:db8::a]");
}

TEST(HostLabelTest, HasNoControlCharactersAndIsUtf8) {
  using namespace std::string_view_literals;
  EXPECT_EQ(label("a\"b\\c"), "a\"b\\c");  // for the exposition to escape
  EXPECT_EQ(label("a\0b"sv),
            "a\xef\xbf\xbd"
            "b");
  EXPECT_EQ(label("a\r\n b\x7f"), "a\xef\xbf\xbd\xef\xbf\xbd b\xef\xbf\xbd");
  EXPECT_EQ(label("b\xc3\xbc"
                  "cher.example"),
            "b\xc3\xbc"
            "cher.example");
  EXPECT_EQ(label("\xc3\xff\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(label("\xed\xa0\x80"), "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd");  // a surrogate
}

TEST(HostLabelTest, OfALongHostTheBeginningIsKeptInWholeCharacters) {
  EXPECT_EQ(label(std::string(253, 'a')).size(), 253u);
  EXPECT_EQ(label(std::string(8192, 'a')), std::string(253, 'a'));
  for (size_t before = 240; before < 254; before++) {
    std::string host(before, 'a');
    for (int i = 0; i < 20; i++) host += "\xe2\x82\xac";  // the sign of the euro
    const std::string made = label(host);
    EXPECT_LE(made.size(), kHostLabelMax);
    EXPECT_GT(made.size(), kHostLabelMax - 3);
    EXPECT_TRUE(is_utf8(made)) << before;
  }
}

}  // namespace
}  // namespace tcp_sniffer::host_label_test
