#include "core/redaction/json_form.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>

namespace tcp_sniffer::json_form_test {
namespace {

TEST(JsonFormTest, TakesWhatServersSend) {
  for (const std::string_view text :
       {"{}", "[]", " [1, -2.5e+3, 0.1E-2, true, false, null, \"a\\u00e9\\n\"] ", "1", "\"a\"", "",
        "{\"a\":{\"b\":[{},[[]],\"\"]},\"c\":1}\n{\"d\":2}\n", "\xef\xbb\xbf{}", ")]}',\n[1]"}) {
    EXPECT_EQ(json_form(text), JsonForm::kWhole) << text;
  }
}

TEST(JsonFormTest, RejectsOtherTexts) {
  for (const std::string_view text :
       {"a",         "{a:1}",         "{\"a\" 1}", "{\"a\":1,}", "[1,]",
        "[1 2]",     "[1}",           "{\"a\":1]", "}",          "{\"a\":\"b\nc\"}",
        "[\"\\x\"]", "[\"\\u12g4\"]", "[tru ]",    "[01x]",      "[1.]",
        "[1e]",      "[-]",           "{\"a\",1}", "{1:2}",      "{\"a\"b\":1}"}) {
    EXPECT_EQ(json_form(text), JsonForm::kNone) << text;
  }
  EXPECT_EQ(json_form(std::string(kJsonDepthMax + 1, '[')), JsonForm::kNone);
  EXPECT_EQ(json_form(std::string(kJsonDepthMax, '[') + std::string(kJsonDepthMax, ']')),
            JsonForm::kWhole);
}

nlohmann::json random_value(std::mt19937& random, int depth) {
  switch (random() % (depth == 0 ? 4 : 6)) {
    case 0:
      return std::string("a\"\\\n\x01\xc3\xa9", random() % 8 == 7 ? 7 : random() % 5);
    case 1:
      return static_cast<int64_t>(random()) - 1000;
    case 2:
      return static_cast<double>(random()) / 7;
    case 3:
      return random() % 2 == 0 ? nlohmann::json(nullptr) : nlohmann::json(random() % 2 == 0);
    case 4: {
      nlohmann::json list = nlohmann::json::array();
      for (size_t i = random() % 4; i > 0; --i) list.push_back(random_value(random, depth - 1));
      return list;
    }
    default: {
      nlohmann::json object = nlohmann::json::object();
      for (size_t i = random() % 4; i > 0; --i) {
        object["k" + std::to_string(random() % 9)] = random_value(random, depth - 1);
      }
      return object;
    }
  }
}

// Held against another reader: also with a byte changed, and with each beginning.
TEST(JsonFormTest, AgreesWithAnotherReader) {
  std::mt19937 random(14);
  for (int round = 0; round < 2000; ++round) {
    const nlohmann::json list = nlohmann::json::array({random_value(random, 4)});
    std::string text = list.dump(random() % 2 == 0 ? -1 : 1);
    ASSERT_EQ(json_form(text), JsonForm::kWhole) << text;
    for (size_t size = 1; size < text.size(); ++size) {
      ASSERT_EQ(json_form(std::string_view(text).substr(0, size)), JsonForm::kBegun) << text;
    }
    constexpr std::string_view kSigns = "\"\\{}[]:,0-.eE tn\n/x";
    text[random() % text.size()] = kSigns[random() % kSigns.size()];
    if (nlohmann::json::accept(text)) {
      EXPECT_EQ(json_form(text), JsonForm::kWhole) << text;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::json_form_test
