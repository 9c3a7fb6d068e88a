// Redaction: a value that was to be hidden stands in no form of the line, however its name is spelt
// and wherever it stands; a target without the name stays as it is.

#include <gtest/gtest.h>
#include <simdjson.h>

#include <string>
#include <vector>

#include "fuzz_input.h"
#include "support/redacted_line.h"

namespace tcp_sniffer::fuzz {
namespace {

constexpr std::string_view kSecret = "S3cr3tV4lue";

// The name in another spelling that a server may read as the name.
std::string spelt(std::string_view name, FuzzInput& input) {
  std::string text;
  for (const char c : name) {
    char digits[16];
    switch (input.below(4)) {
      case 0:
        std::snprintf(digits, sizeof(digits), "%%%02x", static_cast<unsigned>(c));
        text += digits;
        break;
      case 1:
        std::snprintf(digits, sizeof(digits), "%%%02X", static_cast<unsigned>(c));
        text += digits;
        break;
      case 2:
        text += static_cast<char>(std::toupper(c));
        break;
      default:
        text += c;
    }
  }
  return text;
}

std::string hidden_parameter(FuzzInput& input) {
  std::string text = spelt("token", input) + "=";
  for (size_t parts = input.below(3); parts > 0; parts--) {
    static constexpr std::string_view kParts[] = {"=", "%26", "a", "%3D", "+", "%", "/", "'"};
    text += kParts[input.below(std::size(kParts))];
  }
  return text + std::string(kSecret);
}

std::string target_with_secret(FuzzInput& input) {
  static constexpr std::string_view kPaths[] = {"/", "/a/b", "http://h/p", "*", "/a;b=c", "//"};
  static constexpr std::string_view kOthers[] = {"a=b", "a", "", "=", "x=%", "tok=1", "tokens=1"};
  std::string target(kPaths[input.below(std::size(kPaths))]);
  target += '?';
  const size_t before = input.below(4);
  for (size_t i = 0; i < before; i++) {
    target += kOthers[input.below(std::size(kOthers))];
    target += input.below(4) == 0 ? ';' : '&';
  }
  target += hidden_parameter(input);
  if (input.below(2) == 0) target += "&" + std::string(kOthers[input.below(std::size(kOthers))]);
  return target;
}

std::string line_of(const Message& message, LineOptions::Format format) {
  return redacted_line(
      message, {.headers = {"authorization", "cookie", "host"}, .query = {"token"}}, format);
}

void expect_hidden(const Message& message) {
  for (const auto format : kWholeFormats) {
    const std::string line = line_of(message, format);
    EXPECT_EQ(line.find(kSecret), std::string::npos) << line;
  }
  static simdjson::dom::parser parser;
  const std::string line = line_of(message, LineOptions::kNdjson);
  EXPECT_EQ(parser.parse(line).error(), simdjson::SUCCESS) << line;
}

void check_values(FuzzInput& input) {
  const std::string target = target_with_secret(input);
  const std::string value = std::string(input.text(8)) + std::string(kSecret);
  const std::string name = input.below(2) == 0 ? "aUtHoRiZaTiOn" : "Cookie";
  std::vector<HeaderField> fields = {{name, value}, {"Accept", "*/*"}};
  if (input.below(2) == 0) fields.push_back({"authorization", value});
  const std::string host = "host-" + std::string(kSecret);
  fields.push_back({"Host", host});
  static constexpr std::string_view kCopies[] = {"Referer", "Location", "Link", "X-Original-Uri"};
  const std::string link = "<" + target + ">; rel=next";
  fields.push_back({kCopies[input.below(std::size(kCopies))], input.below(2) == 0 ? target : link});
  Message message;
  message.method = "GET";
  message.target = target;
  message.headers = fields;
  message.trailers = fields;
  expect_hidden(message);

  Message response;
  response.direction = MessageDirection::kResponse;
  response.status = 200;
  response.headers = fields;
  response.request_method = "GET";
  response.request_target = target;
  response.exchange = 0;
  expect_hidden(response);
}

bool shows_a_piece(std::string_view text) {
  constexpr size_t kPiece = 5;
  for (size_t at = 0; at + kPiece <= kSecret.size(); at++) {
    if (text.find(kSecret.substr(at, kPiece)) != std::string_view::npos) return true;
  }
  return false;
}

// A secret in a body behind and before any bytes, cut anywhere, with a gap anywhere.
void check_body(FuzzInput& input) {
  static const RedactionRules rules = {.body = {"password", "card.number"},
                                       .patterns = {"S3cr[0-9a-z]+"}};
  static const std::string secret(kSecret);
  static const std::string bodies[] = {
      "{\"password\":\"" + secret + "\"}", "{\"card\":{\"number\":[\"" + secret + "\"]}}",
      "{\"m\":\"{\\\"password\\\":\\\"" + secret + "\\\"}\"}", "&password=" + secret + "&",
      "\r\n--B\r\nContent-Disposition: form-data; name=\"password\"\r\n\r\n" + secret +
          "\r\n--B--"};
  static const char* const types[] = {"application/json", "application/json", "application/json",
                                      "application/x-www-form-urlencoded",
                                      "multipart/form-data; boundary=B"};
  const size_t kind = input.below(std::size(bodies));
  const std::string before(input.text(64));
  const std::string after(input.text(64));
  // What stands around the secret is no secret, even where it holds pieces of the same text.
  if (shows_a_piece(before) || shows_a_piece(after)) return;
  std::string body = before + bodies[kind] + after;
  const HeaderField fields[] = {{"Content-Type", types[kind]}};
  Message message;
  message.headers = fields;
  const bool is_cut = input.below(2) == 0;
  if (is_cut) body.resize(input.below(body.size() + 1));
  message.body_truncated = is_cut;
  BodyGap gap;
  if (input.below(2) == 0 && !body.empty()) {
    gap.offset = input.below(body.size());
    gap.length = 1 + input.below(16);
    body.erase(gap.offset, gap.length);
    message.body_gaps = {&gap, 1};
    message.incomplete = Incomplete::kGap;
  }
  message.body = body;
  BufferPool pool(size_t{1} << 26);
  MessageRedactor redactor(rules, pool);
  redactor.redact(message);
  EXPECT_FALSE(shows_a_piece(message.body)) << body << "\n" << message.body;
}

// Whether a user may stand before a host, also encoded. Where a user is hidden, the '&' behind it
// may go along, so that what follows belongs to another value; and without the '/' of a hidden
// value a text may begin with a user.
bool may_have_user(std::string_view target) {
  if (target.find_first_of("@:") != std::string_view::npos) return true;
  for (const std::string_view sign : {"//", "%2", "%3", "%4"}) {
    if (target.find(sign) != std::string_view::npos) return true;
  }
  return false;
}

// Any text at all: redacting twice is redacting once, and without the name nothing changes.
void check_any_target(std::string_view target) {
  const FieldNames names({"token"});
  TargetScanner scanner(names);
  const auto hidden = [](TargetScanner& by, std::string_view text) {
    Spans spans;
    by.scan_target(text, false, spans);
    std::string out;
    Placeholder placeholder("");
    spans.write_without(text, placeholder, out);
    spans.clear();
    by.scan_text(text, false, spans);
    return out;
  };
  const std::string once = hidden(scanner, target);
  if (!may_have_user(target)) {
    EXPECT_EQ(once, hidden(scanner, once));
  }
  const FieldNames other_names({"a name that no input has"});
  TargetScanner other(other_names);
  // A colon may stand before a password whose '@' was cut off.
  if (target.find_first_of("%@:") == std::string_view::npos) {
    EXPECT_EQ(hidden(other, target), target);
  }
  HeaderNames({"authorization"}).cover(target);
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  FuzzInput input(data, size);
  switch (input.below(3)) {
    case 0:
      check_values(input);
      break;
    case 1:
      check_body(input);
      break;
    default:
      check_any_target(input.rest());
  }
  return 0;
}
