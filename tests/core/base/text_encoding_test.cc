#include "core/base/text_encoding.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tcp_sniffer::text_encoding_test {
namespace {

// RFC 3629 character by character.
bool is_utf8_by_characters(std::string_view text) {
  while (!text.empty()) {
    const Utf8Character character = first_character(text);
    if (character.size == 0) return false;
    text.remove_prefix(character.size);
  }
  return true;
}

TEST(TextEncoding, LongTextsAreUtf8WhereverTheirCharactersBegin) {
  for (const std::string_view character : {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"}) {
    for (size_t before = 0; before < 8; before++) {
      std::string text(before, 'x');
      while (text.size() < 6000) text += character;
      EXPECT_TRUE(is_utf8(text)) << before;
      text.pop_back();
      EXPECT_EQ(is_utf8(text), character.size() == 1) << before;
    }
  }
}

TEST(TextEncoding, AFaultAnywhereInALongTextIsFound) {
  std::string text;
  while (text.size() < 6000) text += "a\xe2\x82\xac\xf0\x9f\x98\x80";
  ASSERT_TRUE(is_utf8(text));
  for (const char wrong : {'a', '\x80', '\xc3', '\xe2', '\xf0', '\xff'}) {
    const auto step_at = [](size_t at) { return at > 400 && at < 700 ? 1 : 97; };
    for (size_t at = 0; at < text.size(); at += step_at(at)) {
      std::string changed = text;
      changed[at] = wrong;
      EXPECT_EQ(is_utf8(changed), is_utf8_by_characters(changed)) << at;
    }
  }
}

TEST(TextEncoding, ManyBytesThatBeginNoCharacterAreNoText) {
  for (size_t size : {100u, 600u, 6000u}) {
    EXPECT_FALSE(is_utf8(std::string(size, '\x80'))) << size;
    EXPECT_FALSE(is_utf8(std::string(500, 'a') + std::string(size, '\x80'))) << size;
  }
}

}  // namespace
}  // namespace tcp_sniffer::text_encoding_test
