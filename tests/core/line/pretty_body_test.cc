#include "core/line/pretty_body.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <string_view>

#include "core/line/json_string.h"
#include "core/line/terminal_text.h"

namespace tcp_sniffer::pretty_body_test {
namespace {

std::string shown(std::string_view type, std::string_view body, bool colours = false) {
  const HeaderField headers[] = {{"Content-Type", type}};
  Message message;
  message.headers = headers;
  message.body = body;
  message.body_size = body.size();
  PrettyBodyWriter writer(colours);
  ScratchLine line;
  writer.write(message, "> ", line);
  return std::string(line.view());
}

TEST(PrettyBody, JsonIsIndented) {
  EXPECT_EQ(shown("application/json", R"({"a":[1,{"b":"x, {\"y\": 1}"}],"c":{},"d":[ ],"e":null})"),
            "> \n"
            "> {\n"
            ">   \"a\": [\n"
            ">     1,\n"
            ">     {\n"
            ">       \"b\": \"x, {\\\"y\\\": 1}\"\n"
            ">     }\n"
            ">   ],\n"
            ">   \"c\": {},\n"
            ">   \"d\": [],\n"
            ">   \"e\": null\n"
            "> }\n");
  EXPECT_EQ(shown("application/problem+json; charset=utf-8", " [ 1 ]\n"), "> \n> [\n>   1\n> ]\n");
  EXPECT_EQ(shown("application/x-ndjson", "{}\n{\"a\":1}\n2\n"),
            "> \n> {}\n> {\n>   \"a\": 1\n> }\n> 2\n");
}

TEST(PrettyBody, JsonIsColoured) {
  EXPECT_EQ(shown("application/json", R"({"a":"b","c":-1,"d":true})", true),
            "> \n"
            "> {\n"
            ">   \x1b[36m\"a\"\x1b[0m: \x1b[32m\"b\"\x1b[0m,\n"
            ">   \x1b[36m\"c\"\x1b[0m: \x1b[33m-1\x1b[0m,\n"
            ">   \x1b[36m\"d\"\x1b[0m: \x1b[35mtrue\x1b[0m\n"
            "> }\n");
}

TEST(PrettyBody, WhatIsNoJsonInJsonCanStillBeRead) {
  EXPECT_EQ(shown("application/json", "hello"), "> \n> hello\n");
  EXPECT_EQ(shown("application/json", "{\"a\":\"b"), "> \n> {\n>   \"a\": \"b\n");
  EXPECT_EQ(shown("application/json", "}]"), "> \n> \n> }\n> \n> ]\n");
}

TEST(PrettyBody, TheFieldsOfAFormAreLines) {
  EXPECT_EQ(shown("application/x-www-form-urlencoded", "user=ada+l&note=a%26b%0ac&empty=&x"),
            "> \n> user: ada l\n> note: a&b\\u000ac\n> empty: \n> x: \n");
}

TEST(PrettyBody, ThePartsOfAMultipartBodyAreLines) {
  EXPECT_EQ(
      shown("multipart/form-data; boundary=\"b 1\"",
            "--b 1\r\nContent-Disposition: form-data; name=\"user\"\r\n\r\nada\r\n"
            "--b 1\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"p.png\"\r\n"
            "Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\r\n--b 1--\r\n"),
      "> \n> user: ada\n> picture: p.png (7 B)\n");
}

TEST(PrettyBody, WhatIsNoTextIsDumpedInPart) {
  std::string binary = "\x89PNG\r\n\x1a\n";
  binary.resize(200, '\0');
  const std::string text = shown("image/png", binary);
  EXPECT_TRUE(text.starts_with(
      "> \n> 0000  89 50 4e 47 0d 0a 1a 0a  00 00 00 00 00 00 00 00  |.PNG............|\n"
      "> 0010  00 "))
      << text;
  EXPECT_TRUE(text.ends_with("|................|\n> (not all of 200 B)\n")) << text;
  EXPECT_EQ(shown("image/png", std::string_view("a\0", 2)),
            "> \n> 0000  61 00                                             |a.|\n");
}

TEST(PrettyBody, OtherTextIsShownAndNothingInItSteersTheTerminal) {
  EXPECT_EQ(shown("text/plain", "a\r\n\tb \x1b[31m\n\xe2\x80\xaez \"q\" \\ \xc3\xa9"),
            "> \n> a\n> \tb \\u001b[31m\n> \\u202ez \"q\" \\ \xc3\xa9\n");
  EXPECT_EQ(shown("application/json", "{\"\xe2\x80\xae\":\"\x1b\"}"),
            "> \n> {\n>   \"\\u202e\": \"\\u001b\"\n> }\n");
}

TEST(PrettyBody, ALongBodyIsCutAndItsSizeIsSaid) {
  std::string many;
  for (int i = 0; i < 200; i++) many += "line\n";
  const std::string lines = shown("text/plain", many);
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'),
            static_cast<ptrdiff_t>(PrettyBodyWriter::kLinesMax) + 1);
  EXPECT_TRUE(lines.ends_with("> line\n> (not all of 1.0 kB)\n")) << lines;
  const std::string wide = shown("text/plain", std::string(5000, 'w'));
  EXPECT_EQ(wide, "> \n> " + std::string(PrettyBodyWriter::kLineBytesMax, 'w') +
                      "\n> (not all of 5.0 kB)\n");
}

TEST(PrettyBody, ABodyThatIsNotShownIsLeftOut) {
  Message message;
  PrettyBodyWriter writer(false);
  ScratchLine line;
  writer.write(message, "> ", line);
  EXPECT_EQ(line.view(), "");
  message.body_size = 9;
  message.body_withheld = true;
  writer.write(message, "> ", line);
  EXPECT_EQ(line.view(),
            "> \n> (left out, because it cannot be searched for what is to be hidden)\n");
}

// Any bytes of any type: whole lines after the prefix, and nothing that harms a terminal.
TEST(PrettyBody, RandomBytesStayInTheirLines) {
  std::mt19937 random(5);
  const std::string_view types[] = {"application/json", "application/x-www-form-urlencoded",
                                    "multipart/form-data; boundary=b", "text/plain", "image/png"};
  constexpr std::string_view kBytes = "{}[]\",:\\ \n\r\t1-tn=&%2b\x1b\x80\xe2\x80\xae\xff--b\0";
  for (int round = 0; round < 3000; ++round) {
    std::string body;
    for (size_t size = random() % 3000; body.size() < size;) {
      const size_t at = random() % kBytes.size();
      body += kBytes.substr(at, 1 + random() % 4);
    }
    const std::string text = shown(types[round % 5], body);
    if (body.empty()) continue;
    ASSERT_TRUE(text.ends_with('\n'));
    size_t lines = 0;
    for (size_t at = 0; at < text.size(); ++lines) {
      const size_t end = text.find('\n', at);
      std::string line = text.substr(at, end - at);
      ASSERT_TRUE(line.starts_with("> ")) << text;
      std::erase(line, '\t');
      ScratchLine again;
      append_for_terminal(line, again);
      ASSERT_EQ(again.view(), line);
      at = end + 1;
    }
    ASSERT_LE(lines, PrettyBodyWriter::kLinesMax + 1);
    ASSERT_LE(text.size(), 6 * body.size() + PrettyBodyWriter::kLinesMax * 64);
  }
}

}  // namespace
}  // namespace tcp_sniffer::pretty_body_test
