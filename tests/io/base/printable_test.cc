#include "io/base/printable.h"

#include <gtest/gtest.h>

#include "core/base/text_encoding.h"

namespace tcp_sniffer::printable_test {
namespace {

TEST(PrintableTest, ControlCharactersAndBrokenUtf8BecomeVisible) {
  EXPECT_EQ(printable("plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80"),
            "plain \xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80");
  EXPECT_EQ(printable("a\nb\r\t\x1b[0m\x7f"), "a\\nb\\r\\t\\x1b[0m\\x7f");
  EXPECT_EQ(printable("\xc2\x9b"), "\\u{9b}");
  EXPECT_EQ(printable("\xe2\x80\xae"), "\\u{202e}");
  EXPECT_EQ(printable("\u200b\u200d\u061c\u2066\ufeff"),
            "\\u{200b}\\u{200d}\\u{61c}\\u{2066}\\u{feff}");
  EXPECT_EQ(printable("\xff\xc0\xaf\xed\xa0\x80\xf8"), "\\xff\\xc0\\xaf\\xed\\xa0\\x80\\xf8");
  EXPECT_EQ(printable("\xe2\x82"), "\\xe2\\x82");
  EXPECT_EQ(quote_text("say \"x\""), "\"say \\\"x\\\"\"");
  EXPECT_EQ(quote_text("aaaa\xe2\x82\xac", 6), "\"aaaa...\"");
  EXPECT_TRUE(is_utf8("\xf0\x9f\x98\x80"));
  EXPECT_FALSE(is_utf8("\xf4\x90\x80\x80"));
}

}  // namespace
}  // namespace tcp_sniffer::printable_test
