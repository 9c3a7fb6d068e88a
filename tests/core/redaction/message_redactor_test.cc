#include "core/redaction/message_redactor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "support/redacted_line.h"

namespace tcp_sniffer::message_redactor_test {
namespace {

using Json = nlohmann::json;

Message request() {
  Message message;
  message.method = "GET";
  message.target = "/";
  message.exchange = 0;
  return message;
}

Message response() {
  Message message;
  message.direction = MessageDirection::kResponse;
  message.status = 200;
  message.reason = "OK";
  message.exchange = 0;
  message.request_method = "GET";
  message.request_target = "/path?q=1";
  message.request_host = "example.com";
  return message;
}

Json json_of(const Message& message, const RedactionRules& rules) {
  return Json::parse(redacted_line(message, rules));
}

void expect_hidden(const Message& message, const RedactionRules& rules) {
  for (const LineOptions::Format format : kWholeFormats) {
    const std::string line = redacted_line(message, rules, format);
    EXPECT_EQ(line.find("s3cret"), std::string::npos) << line;
  }
}

TEST(MessageRedactor, RedactedHeadersHideTheirValuesEverywhere) {
  const HeaderField headers[] = {{"Authorization", "secret-1"},
                                 {"Cookie", "secret-2"},
                                 {"COOKIE", "secret-\xff"},
                                 {"Host", "h"}};
  const HeaderField trailers[] = {{"Cookie", "secret-3"}};
  Message message = request();
  message.headers = headers;
  message.trailers = trailers;
  const std::string line = redacted_line(message, {.headers = {"authorization", "cookie"}});
  EXPECT_EQ(line.find("secret"), std::string::npos) << line;
  const Json json = Json::parse(line);
  EXPECT_EQ(json["headers"], Json::parse(R"({"authorization":"[redacted]",)"
                                         R"("cookie":["[redacted]","[redacted]"],"host":"h"})"));
  EXPECT_EQ(json["rawHeaders"][2], Json::parse(R"(["COOKIE","[redacted]"])"));
  EXPECT_EQ(json["trailers"], Json::parse(R"({"cookie":"[redacted]"})"));
  EXPECT_FALSE(json.contains("latin1"));
}

TEST(MessageRedactor, RedactedHeadersHideTheirValuesHoweverTheyAreWritten) {
  const std::vector<HeaderField> fields = {{"Authorization\r", "Basic s3cret"},
                                           {"AUTHORIZATION", "Basic\r\n s3cret", true},
                                           {"authorization", "s3cret"},
                                           {"Host", "h\rAuthorization: s3cret"},
                                           {"X-Folded", "a\r\n Authorization: s3cret", true},
                                           {"X_Key", "s3cret"},
                                           {"Accept", "plain"}};
  Message message = request();
  message.headers = fields;
  message.trailers = fields;
  const RedactionRules rules = {.headers = {"authorization", "x-key"}};
  expect_hidden(message, rules);
  EXPECT_EQ(json_of(message, rules)["headers"]["accept"], "plain");
}

TEST(MessageRedactor, QueryValuesAreHiddenInEverySpelling) {
  const std::pair<const char*, const char*> targets[] = {
      {"/p?token=s3cret", "/p?token=[redacted]"},
      {"/p?a=1&token=s3cret&b=2", "/p?a=1&token=[redacted]&b=2"},
      {"/p?a=1;TOKEN=s3cret", "/p?a=1;TOKEN=[redacted]"},
      {"/p?%74oken=s3cret;more&b", "/p?%74oken=[redacted]&b"},
      {"/p?token=&token=s3cret", "/p?token=[redacted]&token=[redacted]"},
      {"/p?x?token=s3cret", "/p?x?token=[redacted]"},
      {"/p?my+key=s3cret", "/p?my+key=[redacted]"},
      {"http://h/p?&&token=s3cret&", "http://h/p?&&token=[redacted]&"},
      {"/p?token", "/p?token"},
      {"/token=1?tokens=2&a=token=3", "/token=[redacted]?tokens=2&a=token=[redacted]"},
      {"/p?%7", "/p?%7"},
      {"/p?", "/p?"},
      {"/p", "/p"}};
  for (const auto& [target, shown] : targets) {
    Message message = request();
    message.target = target;
    EXPECT_EQ(json_of(message, {.query = {"token", "my key"}})["path"], shown);
  }
}

TEST(MessageRedactor, AQueryValueIsHiddenWhereverAMessageRepeatsTheTarget) {
  const std::vector<HeaderField> fields = {
      {"Referer", "http://h/p?token=s3cret"},
      {"Location", "/p?a=1&token=s3cret"},
      {"Content-Location", "/p?token=s3cret#x"},
      {"Link", "</p?token=s3cret>; rel=\"next\", </p?token=s3cret>; rel=\"prev\""},
      {"Refresh", "3; url=/p?token=s3cret"},
      {"X-Original-Uri", "/p?%74oken=s3cret"},
      {"Authorization", "Digest uri=\"/p?token=s3cret\", nc=1"},
      {"Referer", "http://u:s3cret@h/"},
      {"Location", "//u:s3cret@h/p"},
      {"Host", "u:s3cret@h"},
      {"X-Folded", "/p\r\n ?token=s3cret", true},
      {"GET /p?token=s3cret HTTP/1.1", ""},
      {"GET /p?token=s3c", "ret"},
      {"X-Latin", "\xff?token=s3cret"}};
  for (const char* target : {"/p?token=s3cret", "http://u:s3cret@h/p?token=s3cret#token=s3cret",
                             "/p#token=s3cret", "u:s3cret@h:443", "//u:s3cret@h/"}) {
    Message asked = request();
    asked.target = target;
    asked.request_host = "u:s3cret@h";
    asked.headers = fields;
    asked.trailers = fields;
    expect_hidden(asked, {.query = {"token"}});
    Message answered = response();
    answered.reason = "Moved to /p?token=s3cret";
    answered.request_target = target;
    answered.request_host = "u:s3cret@h";
    answered.headers = fields;
    answered.trailers = fields;
    expect_hidden(answered, {.query = {"token"}});
  }
  Message message = request();
  message.headers = fields;
  const Json json = json_of(message, {.query = {"token"}});
  EXPECT_EQ(json["headers"]["link"],
            "</p?token=[redacted]>; rel=\"next\", </p?token=[redacted]>; rel=\"prev\"");
  EXPECT_EQ(json["headers"]["referer"][0], "http://h/p?token=[redacted]");
  EXPECT_EQ(json["headers"]["authorization"], "Digest uri=\"/p?token=[redacted]\", nc=1");
}

TEST(MessageRedactor, APrettyLineHidesTheHostAndTheTarget) {
  const auto shows = [](const Message& message, const RedactionRules& rules, const char* url) {
    const std::string line = redacted_line(message, rules, LineOptions::kPretty);
    return line.find(std::string("  ") + url + "\n") != std::string::npos;
  };
  EXPECT_TRUE(shows(response(), {.headers = {"host"}}, "[redacted]/path?q=1"));
  EXPECT_TRUE(shows(response(), {.query = {"q"}}, "example.com/path?q=[redacted]"));
  Message message = response();
  message.request_host = "a\rAuthorization: secret";
  EXPECT_TRUE(shows(message, {.headers = {"authorization"}}, "[redacted]/path?q=1"));
  message.request_target = "http://user:secret@a/";
  EXPECT_TRUE(shows(message, {.headers = {"authorization"}}, "http://[redacted]@a/"));
}

TEST(MessageRedactor, SaysByHowMuchTheTextsHaveGrown) {
  BufferPool pool(size_t{1} << 20);
  MessageRedactor redactor({.query = {"t"}}, pool);
  Message message = request();
  message.target = "/?t=&t=";
  redactor.redact(message);
  EXPECT_EQ(redactor.growth(), 20);
  message = request();
  redactor.redact(message);
  EXPECT_EQ(redactor.growth(), 0);
}

}  // namespace
}  // namespace tcp_sniffer::message_redactor_test
