#include "core/line/json_escape.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/text_encoding.h"
#include "core/line/json_string.h"

namespace tcp_sniffer::json_escape_test {
namespace {

std::vector<const EscapeKernels*> all_kernels() {
  std::vector<const EscapeKernels*> kernels = {&portable_escape_kernels()};
  if (avx2_escape_kernels() != nullptr) kernels.push_back(avx2_escape_kernels());
  if (avx512_escape_kernels() != nullptr) kernels.push_back(avx512_escape_kernels());
  return kernels;
}

// The model: one character at a time, by the rules of json_escape.h.
std::string model_escape_character(char32_t c) {
  if (c == '"') return "\\\"";
  if (c == '\\') return "\\\\";
  if (c == '\b') return "\\b";
  if (c == '\t') return "\\t";
  if (c == '\n') return "\\n";
  if (c == '\f') return "\\f";
  if (c == '\r') return "\\r";
  if (c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029) {
    std::string text = "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) text += "0123456789abcdef"[(c >> shift) & 15];
    return text;
  }
  return {};  // copied
}

std::string model_escape_utf8(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    const size_t size = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    char32_t c = size == 1 ? lead : lead & (0xffu >> (size + 1));
    for (size_t k = 1; k < size; ++k) c = (c << 6) | (static_cast<uint8_t>(text[i + k]) & 63);
    const std::string escaped = model_escape_character(c);
    out += escaped.empty() ? text.substr(i, size) : std::string_view(escaped);
    i += size;
  }
  return out;
}

std::string model_latin1(std::string_view bytes) {
  std::string utf8;
  for (const char byte : bytes) {
    const auto c = static_cast<uint8_t>(byte);
    if (c < 0x80) {
      utf8 += byte;
    } else {
      utf8 += static_cast<char>(0xc0 | (c >> 6));
      utf8 += static_cast<char>(0x80 | (c & 63));
    }
  }
  return model_escape_utf8(utf8);
}

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | (c >> 6));
    out += static_cast<char>(0x80 | (c & 63));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | (c >> 12));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18));
    out += static_cast<char>(0x80 | ((c >> 12) & 63));
    out += static_cast<char>(0x80 | ((c >> 6) & 63));
    out += static_cast<char>(0x80 | (c & 63));
  }
}

// std::mt19937 hands out 32 bits in a type of 64.
class Random {
 public:
  explicit Random(unsigned seed) : engine_(seed) {}
  uint32_t operator()() { return static_cast<uint32_t>(engine_()); }

 private:
  std::mt19937 engine_;
};

// What a random text is made of: how often, in 256, a character is of each kind; the rest are
// plain letters.
struct TextMix {
  unsigned quotes;
  unsigned short_controls;
  unsigned rare_controls;  // 00-1F, 7F
  unsigned c1_controls;    // U+0080-00BF, around the escaped range
  unsigned separators;     // U+2020-203F, around 2028 and 2029
  unsigned any_character;
};

constexpr TextMix kAsciiMixes[] = {
    {0, 0, 0, 0, 0, 0},     {20, 0, 0, 0, 0, 0},  {60, 20, 0, 0, 0, 0}, {2, 2, 2, 0, 0, 0},
    {100, 100, 0, 0, 0, 0}, {256, 0, 0, 0, 0, 0}, {0, 0, 256, 0, 0, 0},
};
constexpr TextMix kUtf8Mixes[] = {
    {10, 2, 0, 0, 0, 20}, {30, 5, 5, 30, 30, 30}, {0, 0, 0, 256, 0, 0},
    {0, 0, 0, 0, 256, 0}, {0, 0, 0, 0, 0, 256},   {0, 0, 0, 2, 2, 2},
};

std::string random_text(Random& random, const TextMix& mix, size_t characters) {
  std::string text;
  for (size_t i = 0; i < characters; ++i) {
    unsigned kind = random() & 255;
    const auto is = [&kind](unsigned share) {
      if (kind < share) return true;
      kind -= share;
      return false;
    };
    if (is(mix.quotes)) {
      text += random() & 1 ? '"' : '\\';
    } else if (is(mix.short_controls)) {
      text += "\b\t\n\f\r"[random() % 5];
    } else if (is(mix.rare_controls)) {
      const unsigned c = random() % 33;
      text += static_cast<char>(c == 32 ? 0x7f : c);
    } else if (is(mix.c1_controls)) {
      append_utf8(text, 0x80 + random() % 0x40);
    } else if (is(mix.separators)) {
      append_utf8(text, 0x2020 + random() % 0x20);
    } else if (is(mix.any_character)) {
      char32_t c = random() % (random() & 1 ? 0x110000 : 0x3000);
      if (c >= 0xd800 && c < 0xe000) c -= 0x1000;
      append_utf8(text, c);
    } else {
      text += static_cast<char>('#' + random() % 57);  // '#' to '[', no backslash
    }
  }
  return text;
}

// Runs a kernel on a copy of the text that ends where its memory ends, so that a sanitizer sees
// every byte read too many, and with the output room that the kernel is promised.
struct Room {
  explicit Room(std::string_view text, size_t shift)
      : in(text.size() + shift), out(escaped_size_max(text.size())) {
    std::copy(text.begin(), text.end(), in.begin() + static_cast<ptrdiff_t>(shift));
    begin = in.data() + shift;
    end = in.data() + in.size();
  }
  std::string written(const char* out_end) const { return {out.data(), out_end}; }

  std::vector<char> in;
  std::vector<char> out;
  const char* begin;
  const char* end;
};

TEST(JsonEscape, AsciiMatchesTheModelOnRandomText) {
  for (const EscapeKernels* kernels : all_kernels()) {
    for (unsigned seed = 0; seed < 4000; ++seed) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed);
      Random random(seed);
      const TextMix& mix = kAsciiMixes[seed % std::size(kAsciiMixes)];
      const std::string text = random_text(random, mix, random() % 400);
      Room room(text, random() % 64);
      const EscapeProgress progress = kernels->escape_ascii(room.begin, room.end, room.out.data());
      ASSERT_EQ(progress.in, room.end);
      ASSERT_EQ(room.written(progress.out), model_escape_utf8(text));
    }
  }
}

TEST(JsonEscape, Utf8MatchesTheModelOnRandomText) {
  for (const EscapeKernels* kernels : all_kernels()) {
    for (unsigned seed = 0; seed < 4000; ++seed) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed);
      Random random(seed);
      const bool ascii = seed % 4 == 0;
      const TextMix& mix = ascii ? kAsciiMixes[random() % std::size(kAsciiMixes)]
                                 : kUtf8Mixes[random() % std::size(kUtf8Mixes)];
      const std::string text = random_text(random, mix, random() % 400);
      Room room(text, random() % 64);
      const char* out = kernels->escape_utf8(room.begin, room.end, room.out.data());
      ASSERT_EQ(room.written(out), model_escape_utf8(text));
    }
  }
}

TEST(JsonEscape, EveryLengthAlignmentAndPlaceOfAnEscapeIsRight) {
  constexpr std::string_view kSpecials[] = {"\"", "\\", "\n", "\x01", "\x7f", "\u0085", "\u2028"};
  for (const EscapeKernels* kernels : all_kernels()) {
    for (size_t length = 0; length <= 140; ++length) {
      for (size_t place = 0; place <= length; ++place) {
        for (const std::string_view special : kSpecials) {
          std::string text(length, 'x');
          text.insert(place, special);
          Room room(text, (length * 7 + place) % 64);
          const char* out = kernels->escape_utf8(room.begin, room.end, room.out.data());
          ASSERT_EQ(room.written(out), model_escape_utf8(text))
              << kernels->name << " length " << length << " place " << place;
        }
      }
    }
  }
}

TEST(JsonEscape, AsciiStopsAtTheFirstOtherByteAndNotBehindIt) {
  for (const EscapeKernels* kernels : all_kernels()) {
    for (size_t length = 0; length <= 200; ++length) {
      for (size_t place = 0; place <= length; ++place) {
        std::string text(length, 'x');
        if (length > 3) text[length / 3] = '"';
        text.insert(place, 1, static_cast<char>(0xff));
        Room room(text, place % 64);
        const EscapeProgress progress =
            kernels->escape_ascii(room.begin, room.end, room.out.data());
        const auto consumed = static_cast<size_t>(progress.in - room.begin);
        ASSERT_LE(consumed, place) << kernels->name;
        ASSERT_EQ(room.written(progress.out), model_escape_utf8(text.substr(0, consumed)));
      }
    }
  }
}

TEST(JsonEscape, EveryByteIsEscapedAsTheModelSaysInLatin1) {
  std::string text;
  for (int byte = 0; byte < 256; ++byte) text += static_cast<char>(byte);
  Room room(text, 0);
  const char* out = escape_latin1(room.begin, room.end, room.out.data());
  EXPECT_EQ(room.written(out), model_latin1(text));
}

TEST(JsonEscape, PlainFieldsMatchTheModelAndStopAtTheFirstOther) {
  for (const EscapeKernels* kernels : all_kernels()) {
    for (unsigned seed = 0; seed < 4000; ++seed) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed);
      Random random(seed);
      std::vector<std::string> texts;
      std::vector<HeaderField> fields;
      const size_t count = random() % 12;
      const TextMix& mix = kAsciiMixes[random() % std::size(kAsciiMixes)];
      for (size_t i = 0; i < 2 * count; ++i) {
        std::string text = random_text(random, mix, random() % (i % 2 == 0 ? 80 : 200));
        if (random() % 24 == 0) text.insert(random() % (text.size() + 1), "\u00e4");
        text.shrink_to_fit();
        texts.push_back(text);
      }
      for (size_t i = 0; i < count; ++i) {
        fields.push_back({texts[2 * i], texts[2 * i + 1], random() % 24 == 0});
      }
      size_t room = 0;
      for (const HeaderField& field : fields) room += plain_field_size_max(field);
      std::vector<char> out(room);
      const HeaderField* begin = fields.data();
      const FieldProgress progress =
          kernels->write_plain_fields(begin, begin + count, out.data(), out.data() + out.size());

      const auto is_plain = [](const HeaderField& field) {
        const auto ascii = [](char c) { return static_cast<uint8_t>(c) < 0x80; };
        return !field.folded && std::all_of(field.name.begin(), field.name.end(), ascii) &&
               std::all_of(field.value.begin(), field.value.end(), ascii);
      };
      std::string expected;
      for (const HeaderField* field = begin; field != progress.next; ++field) {
        ASSERT_TRUE(is_plain(*field));
        std::string name(field->name);
        for (char& c : name) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
        expected.append("\"").append(model_escape_utf8(name)).append("\":\"");
        expected.append(model_escape_utf8(field->value)).append("\",");
      }
      ASSERT_EQ(std::string(out.data(), progress.out), expected);
    }
  }
}

TEST(JsonEscape, OrdinaryFieldsAreAllPlain) {
  const HeaderField fields[] = {{"Host", "example.com"},
                                {"Content-Type", "text/html; charset=\"utf-8\""},
                                {"X", ""},
                                {"Cookie", std::string_view("a=1; b=2\tc")}};
  for (const EscapeKernels* kernels : all_kernels()) {
    std::vector<char> out(4096);
    const FieldProgress progress = kernels->write_plain_fields(std::begin(fields), std::end(fields),
                                                               out.data(), out.data() + out.size());
    EXPECT_EQ(progress.next, std::end(fields)) << kernels->name;
    EXPECT_EQ(std::string(out.data(), progress.out),
              R"("host":"example.com","content-type":"text/html; charset=\"utf-8\"","x":"",)"
              R"("cookie":"a=1; b=2\tc",)");
  }
}

TEST(JsonEscape, PlainFieldsStopWhereTheNextMightNotFit) {
  // Each may take more than those before it, so that the last one decides.
  const HeaderField fields[] = {{"Y", ""}, {"X", "\x01\x01\x01"}, {"Host", "example.com"}};
  for (const EscapeKernels* kernels : all_kernels()) {
    size_t room = 0;
    for (const HeaderField& field : fields) {
      const size_t needed = plain_field_size_max(field);
      for (const size_t short_of : {size_t{1}, size_t{0}}) {
        std::vector<char> out(room + needed - short_of);
        const FieldProgress progress = kernels->write_plain_fields(
            std::begin(fields), &field + 1, out.data(), out.data() + out.size());
        EXPECT_EQ(progress.next, &field + 1 - short_of) << kernels->name;
        if (short_of == 0) room = static_cast<size_t>(progress.out - out.data());
      }
    }
  }
}

TEST(JsonString, LongTextOfAllKindsReadsBackEqual) {
  for (const EscapeKernels* kernels : all_kernels()) {
    const JsonStringWriter strings(*kernels);
    for (unsigned seed = 0; seed < 60; ++seed) {
      SCOPED_TRACE(testing::Message() << kernels->name << " seed " << seed);
      Random random(seed);
      std::string text =
          random_text(random, kAsciiMixes[seed % std::size(kAsciiMixes)], random() % 12000);
      text += random_text(random, kUtf8Mixes[seed % std::size(kUtf8Mixes)], random() % 12000);
      ScratchLine line;
      ASSERT_TRUE(strings.write_utf8(text, line));
      ASSERT_EQ(nlohmann::json::parse(line.view()).get<std::string>(), text);
    }
  }
}

TEST(JsonString, TextThatIsNotUtf8LeavesTheLineAsItWas) {
  const JsonStringWriter strings(escape_kernels());
  for (const std::string_view bad :
       {"\xff", "\xc3", "a\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80"}) {
    for (const size_t before : {0u, 63u, 64u, 5000u}) {
      ScratchLine line;
      append_verbatim("start", line);
      EXPECT_FALSE(strings.write_utf8(std::string(before, '"') + std::string(bad), line));
      EXPECT_EQ(line.view(), "start");
    }
  }
}

TEST(TextEncoding, CutCharacterGoesAndWholeOnesStay) {
  constexpr std::string_view kCharacters[] = {"a", "\u00e9", "\u20ac", "\U0001f600"};
  for (const std::string_view character : kCharacters) {
    const std::string text = std::string("x").append(character);
    EXPECT_EQ(without_cut_character(text), text);
    for (size_t cut = 1; cut < character.size(); ++cut) {
      EXPECT_EQ(without_cut_character(text.substr(0, 1 + cut)), "x");
    }
  }
  EXPECT_EQ(without_cut_character(""), "");
  EXPECT_EQ(without_cut_character("\x80\x80\x80\x80\x80"), "\x80\x80\x80\x80\x80");
  EXPECT_EQ(without_cut_character("x\xff"), "x\xff");
  EXPECT_EQ(without_cut_character("x\xc3\xc3"), "x\xc3");
  for (const std::string_view no_beginning : {"\xe0\x9f", "\xed\xa0", "\xf0\x8f", "\xf4\x90"}) {
    EXPECT_EQ(without_cut_character(no_beginning), no_beginning);
  }
}

TEST(TextEncoding, WhatFollowsACutShowsWhetherThereWasACharacter) {
  EXPECT_FALSE(cut_character_is_none("x\xe2", "\x82\xac"));
  EXPECT_FALSE(cut_character_is_none("x\xe2", "\x82"));
  EXPECT_FALSE(cut_character_is_none("x\xe2\x82", "\xac and more"));
  EXPECT_FALSE(cut_character_is_none("x\xe2", ""));
  EXPECT_FALSE(cut_character_is_none("xy", "\x82"));
  EXPECT_TRUE(cut_character_is_none("x\xe9", " y"));
  EXPECT_TRUE(cut_character_is_none("x\xe2", "\x82z"));
  EXPECT_TRUE(cut_character_is_none("x\xed", "\xa0"));
  EXPECT_TRUE(cut_character_is_none("x\xf0\x9f", "\x98\xc0"));
}

TEST(TextEncoding, BoundaryIsTheLastOneNotBehindTheSize) {
  const std::string text = "a\u00e9\u20ac\U0001f600";
  const size_t boundaries[] = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 10};
  for (size_t size = 0; size < std::size(boundaries); ++size) {
    EXPECT_EQ(character_boundary(text, size), boundaries[size]) << size;
  }
}

}  // namespace
}  // namespace tcp_sniffer::json_escape_test
