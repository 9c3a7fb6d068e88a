#include "core/line/text_columns.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer::text_columns_test {
namespace {

std::string cut(std::string_view text, size_t columns_max) {
  const MiddleCut cut = cut_middle(text, columns_max);
  if (cut.head == cut.tail) return std::string(text);
  return std::string(text.substr(0, cut.head)) + "~" + std::string(text.substr(cut.tail));
}

TEST(TextColumns, WideCharactersTakeTwoAndMarksNone) {
  EXPECT_EQ(columns_of("/caf\u00e9"), 5u);
  EXPECT_EQ(columns_of("/\u6771\u4eac"), 5u);      // CJK
  EXPECT_EQ(columns_of("\U0001f382"), 2u);         // emoji
  EXPECT_EQ(columns_of("\uff21\uff22"), 4u);       // full-width letters
  EXPECT_EQ(columns_of("\ud55c"), 2u);             // Hangul
  EXPECT_EQ(columns_of("e\u0301"), 1u);            // a combining mark
  EXPECT_EQ(columns_of("\u0e01\u0e34"), 1u);       // a Thai vowel above its consonant
  EXPECT_EQ(columns_of("\x1b[31mab\x1b[0m"), 2u);  // colours
  EXPECT_EQ(columns_of("\u2026\u20ac\u00ad"), 3u);
}

TEST(TextColumns, WhatFitsIsNotCut) {
  EXPECT_EQ(cut("/abcdefgh", 9), "/abcdefgh");
  EXPECT_EQ(cut("", 0), "");
}

TEST(TextColumns, TheMiddleIsLeftOutAndTheResultFits) {
  EXPECT_EQ(cut("/abcdefghi", 7), "/a~fghi");
  EXPECT_EQ(cut("/abcdefghi", 1), "~");
  // A wide character is taken or left whole.
  EXPECT_EQ(cut("\u6771\u6771\u6771\u6771\u6771", 6), "~\u6771\u6771");
  // A mark stays with the character that it stands on.
  EXPECT_EQ(cut("abcde\u0301\u0301fgh", 4), "a~gh");
  EXPECT_EQ(cut("abcdee\u0301h", 3), "~e\u0301h");
}

TEST(TextColumns, AnyTextCutToAnyWidthFits) {
  const std::string text = "ex\u00e4mple.\u6771\u4eac/p\u0301\U0001f382/index.html?q=\u20ac";
  for (size_t columns = 1; columns <= columns_of(text); columns++) {
    const std::string shown = cut(text, columns);
    EXPECT_LE(columns_of(shown), columns) << shown;
    EXPECT_GE(columns_of(shown) + 2, columns) << shown;
  }
}

}  // namespace
}  // namespace tcp_sniffer::text_columns_test
