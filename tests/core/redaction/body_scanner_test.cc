#include "core/redaction/body_scanner.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/redaction/message_redactor.h"

namespace tcp_sniffer::body_scanner_test {
namespace {

constexpr std::string_view kWithheld = "(withheld)";
constexpr const char* kForm = "application/x-www-form-urlencoded";
constexpr const char* kJson = "application/json";

struct Given {
  std::string type{};  // empty: no Content-Type
  std::vector<BodyGap> gaps{};
  bool truncated = false;
  std::string coding{};
  std::string decoded{};
  ContentDecodeError error = ContentDecodeError::kNo;
  ContentProof proof = ContentProof::kNotNeeded;
};

const RedactionRules& usual_rules() {
  static const RedactionRules rules = {.body = {"password", "card.number"}};
  return rules;
}

std::string shown(std::string_view body, const Given& given,
                  const RedactionRules& rules = usual_rules()) {
  BufferPool pool(size_t{1} << 26);
  MessageRedactor redactor(rules, pool);
  std::vector<HeaderField> headers;
  if (!given.type.empty()) headers.push_back({"Content-Type", given.type});
  if (!given.coding.empty()) headers.push_back({"Content-Encoding", given.coding});
  Message message;
  message.headers = headers;
  message.body = body;
  message.body_gaps = given.gaps;
  message.body_truncated = given.truncated;
  message.content_decoded = given.decoded;
  message.content_decode_error = given.error;
  message.content_proof = given.proof;
  if (!given.gaps.empty()) message.incomplete = Incomplete::kGap;
  redactor.redact(message);
  return message.body_withheld ? std::string(kWithheld) : std::string(message.body);
}

std::string json(std::string_view body) {
  return shown(body, {.type = kJson});
}

TEST(RedactBody, HidesTheValuesOfJsonKeysAtAnyDepth) {
  const std::pair<const char*, const char*> bodies[] = {
      {R"({"password":"secret","a":1})", R"({"password":"[redacted]","a":1})"},
      {R"({"a":[{"b":{"Password" : "se\"cr\\"}}],"c":2})",
       R"({"a":[{"b":{"Password" : "[redacted]"}}],"c":2})"},
      {R"({"password":1234,"a":1})", R"({"password":"[redacted]","a":1})"},
      {R"({"password":null})", R"({"password":"[redacted]"})"},
      {R"({"password":{"a":["secret","}"],"b":"x"},"c":3})", R"({"password":"[redacted]","c":3})"},
      {R"({"password":["secret","]"],"c":3})", R"({"password":"[redacted]","c":3})"},
      {R"({"pass\u0077ord":"secret"})", R"({"pass\u0077ord":"[redacted]"})"},
      {R"({"password":""})", R"({"password":"[redacted]"})"},
      {R"({"user.password":"secret","user[password]":"secret"})",
       R"({"user.password":"[redacted]","user[password]":"[redacted]"})"},
      {"{\n  \"password\":\n    \"secret\"\n}", "{\n  \"password\":\n    \"[redacted]\"\n}"},
      {"{\"a\":1}\n{\"password\":\"secret\"}\n", "{\"a\":1}\n{\"password\":\"[redacted]\"}\n"},
      {"data: {\"password\":\"secret\"}\n\n", "data: {\"password\":\"[redacted]\"}\n\n"},
      {"cb({password:'se\"cret', 'password': 'secret'})",
       "cb({password:'[redacted]', 'password': '[redacted]'})"},
  };
  for (const auto& [body, expected] : bodies) EXPECT_EQ(json(body), expected);
}

TEST(RedactBody, FindsJsonInsideStrings) {
  EXPECT_EQ(json(R"({"m":"{\"password\":\"se\\\"cret\",\"a\":1}","b":2})"),
            R"({"m":"{\"password\":\"[redacted]\",\"a\":1}","b":2})");
  EXPECT_EQ(json(R"({"m":"{\u0022password\u0022:\u0022secret\u0022,\u0022a\u0022:1}","b":2})"),
            R"({"m":"{\u0022password\u0022:\u0022[redacted]\u0022,\u0022a\u0022:1}","b":2})");
  EXPECT_EQ(json(R"({"m":"{\"n\":\"{\\\"password\\\":\\\"secret\\\"}\",\"a\":1}"})"),
            R"({"m":"{\"n\":\"{\\\"password\\\":\\\"[redacted]\\\"}\",\"a\":1}"})");
  EXPECT_EQ(json(R"({"m":"{\"password\":1234,\"a\":1}"})"),
            R"({"m":"{\"password\":[redacted],\"a\":1}"})");
  EXPECT_EQ(json(R"({"m":"{\"password\":{\"x\":\"secret\"},\"a\":1}","password2":1})"),
            R"({"m":"{\"password\":[redacted],\"a\":1}","password2":1})");
}

TEST(RedactBody, APathCoversWhatItNamesAndNothingElse) {
  EXPECT_EQ(json(R"({"card":{"number":1,"x":{"number":2}},"number":3})"),
            R"({"card":{"number":"[redacted]","x":{"number":"[redacted]"}},"number":3})");
  EXPECT_EQ(
      json(R"({"card":[{"a":"}"},{"number":"4"}],"number":3,"card_number":5})"),
      R"({"card":[{"a":"}"},{"number":"[redacted]"}],"number":3,"card_number":"[redacted]"})");
  EXPECT_EQ(json(R"({"number":1,"cards":{"number":2},"card":3,"passwords":4,"x":"password"})"),
            R"({"number":1,"cards":{"number":2},"card":3,"passwords":4,"x":"password"})");
  EXPECT_EQ(json(R"({"card":"{\"number\":\"secret\"}"})"),
            R"({"card":"{\"number\":\"[redacted]\"}"})");
}

TEST(RedactBody, WhatIsCutIsHiddenToItsEnd) {
  for (const char* body :
       {R"({"password":"sec)", R"({"password":{"a":"sec)", R"({"password":["sec", "sec)",
        R"({"password":"sec\)", R"({"m":"{\"password\":\"sec)"}) {
    const std::string text = shown(body, {.type = kJson, .truncated = true});
    EXPECT_EQ(text.find("sec"), std::string::npos) << text;
  }
  const std::string whole =
      R"({"a":"x","password":"secret1","card":{"number":"secret2"},"m":"{\"password\":\"secret3\"}"})";
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::string text = shown(whole.substr(0, size), {.type = kJson, .truncated = true});
    EXPECT_EQ(text.find("sec"), std::string::npos) << text;
  }
}

// The body without the bytes [at, at + length).
std::string with_gap(std::string body, size_t at, size_t length) {
  return body.erase(at, length);
}

TEST(RedactBody, BehindAGapNothingIsShownThatMayBelongToAValue) {
  const std::string bodies[] = {
      R"({"a":"x","password":"secret","b":{"card":{"number":"secret"}},"c":"y"})",
      "a=x&password=secret&card[number]=secret&c=y",
      "--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nx\r\n--B\r\n"
      "Content-Disposition: form-data; name=\"password\"\r\n\r\nsecret\r\n--B--\r\n"};
  const char* types[] = {kJson, kForm, "multipart/form-data; boundary=B"};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t at = 0; at < bodies[i].size(); ++at) {
      for (const size_t length : {size_t{1}, size_t{3}, size_t{17}}) {
        if (at + length > bodies[i].size()) continue;
        const std::string text =
            shown(with_gap(bodies[i], at, length), {.type = types[i], .gaps = {{at, length}}});
        for (const char* piece : {"sec", "cre", "ret"}) {
          EXPECT_EQ(text.find(piece), std::string::npos) << at << " " << length << "\n" << text;
        }
      }
    }
  }
  EXPECT_EQ(shown("a=xx&b=y&password=s&c=1", {.type = kForm, .gaps = {{2, 10}}}),
            "a=[redacted]&b=y&password=[redacted]&c=1");
}

TEST(RedactBody, HidesFieldsOfForms) {
  const auto form = [](std::string_view body) { return shown(body, {.type = kForm}); };
  EXPECT_EQ(form("user=a&password=se;c=r,et\"x y&b=1"), "user=a&password=[redacted]&b=1");
  EXPECT_EQ(form("user[password]=s&card[number]=s&number=1"),
            "user[password]=[redacted]&card[number]=[redacted]&number=1");
  EXPECT_EQ(form("p%61ssword=secret"), "p%61ssword=[redacted]");
  EXPECT_EQ(form("payload=%7B%22password%22%3A%22secret%22%7D&b=1"), "payload=[redacted]&b=1");
  EXPECT_EQ(form("payload={\"password\":\"secret\"}&b=1"),
            "payload={\"password\":\"[redacted]\"}&b=1");
  EXPECT_EQ(form(R"({"password":"secret"})"), R"({"password":"[redacted]"})");
  EXPECT_EQ(form("a=1&b=2"), "a=1&b=2");
  EXPECT_EQ(shown("password=secret&b=1", {}), "password=[redacted]&b=1");
  EXPECT_EQ(shown("user=a\"b&password=se cret&b=1", {.type = "text/plain"}),
            "user=a\"b&password=[redacted]&b=1");
  EXPECT_EQ(shown("<a href=\"/x?password=secret\">x</a>", {.type = "text/html"}),
            "<a href=\"/x?password=[redacted]\">x</a>");
}

TEST(RedactBody, HidesPartsOfMultipartBodies) {
  const auto part = [](std::string_view head, std::string_view content) {
    return "--B\r\nContent-Disposition: form-data; " + std::string(head) + "\r\n\r\n" +
           std::string(content) + "\r\n";
  };
  const std::string end = "--B--\r\n";
  const Given multipart = {.type = "multipart/form-data; boundary=\"B\""};
  for (const char* name :
       {"name=\"password\"", "name=password", "NAME = \"Password\"", "name=\"user[password]\"",
        "name=\"pass\\word\"", "name*=utf-8''pass%77ord", "name*0=\"pass\"; name*1=\"word\"",
        "filename=\"x\"; name=\"password\"", "\r\n name=\"password\""}) {
    EXPECT_EQ(shown(part("name=\"a\"", "x") + part(name, "sec\r\nret") + end, multipart),
              part("name=\"a\"", "x") + part(name, "[redacted]") + end);
  }
  EXPECT_EQ(
      shown(part("name=\"a\"\r\nContent-Type: application/json", R"({"password":"secret"})") + end,
            multipart),
      part("name=\"a\"\r\nContent-Type: application/json", R"({"password":"[redacted]"})") + end);
  const std::string binary("\x89PNG\0\xff", 6);
  EXPECT_EQ(shown(part("name=\"f\"", binary) + part("name=\"password\"", "s") + end, multipart),
            part("name=\"f\"", "[redacted]") + part("name=\"password\"", "[redacted]") + end);
  EXPECT_EQ(
      shown(part("name=\"a\"\r\nContent-Transfer-Encoding: base64", "c2VjcmV0") + end, multipart),
      part("name=\"a\"\r\nContent-Transfer-Encoding: base64", "[redacted]") + end);
  const std::string nested =
      part("name=\"a\"\r\nContent-Type: multipart/mixed; boundary=C",
           "--C\r\nContent-Disposition: x; name=password\r\n\r\nsecret\r\n--C--");
  EXPECT_EQ(shown(nested + end, multipart).find("secret"), std::string::npos);
  // Without a type, or with a wrong boundary, its text says what it is.
  for (const char* type : {"", "multipart/form-data", "multipart/form-data; boundary=X"}) {
    EXPECT_EQ(shown(part("name=\"password\"", "secret") + end, {.type = type}),
              part("name=\"password\"", "[redacted]") + end);
  }
  const std::string whole = part("name=\"a\"", "x") + part("name=\"password\"", "secret") + end;
  for (size_t size = 0; size <= whole.size(); ++size) {
    Given cut = multipart;
    cut.truncated = true;
    EXPECT_EQ(shown(whole.substr(0, size), cut).find("sec"), std::string::npos);
  }
}

TEST(RedactBody, WhatCannotBeReadIsWithheld) {
  EXPECT_EQ(shown("\xff\xfe", {.type = kJson}), kWithheld);
  EXPECT_EQ(shown(std::string_view("{\0\"\0p\0", 6), {.type = kJson}), kWithheld);
  EXPECT_EQ(shown("+AHA-", {.type = "text/plain; charset=utf-7"}), kWithheld);
  EXPECT_EQ(shown("{}", {.type = "application/json; charset=\"UTF-16LE\""}), kWithheld);
  EXPECT_EQ(shown("{}", {.type = kJson, .coding = "gzip"}), kWithheld);
  EXPECT_EQ(shown("{}", {.type = kJson, .coding = "foo, gzip", .decoded = "gzip"}), kWithheld);
  EXPECT_EQ(shown("no delimiter", {.type = "multipart/form-data; boundary=B"}), kWithheld);
  EXPECT_EQ(shown("{}", {.type = kJson, .coding = "gzip", .decoded = "gzip"}), "{}");
  EXPECT_EQ(shown("{}", {.type = kJson, .coding = "identity"}), "{}");
  EXPECT_EQ(shown("{}", {.type = "application/json; charset=UTF-8"}), "{}");
  EXPECT_EQ(shown("{\"a\":\"\xc3", {.type = kJson, .truncated = true}), "{\"a\":\"\xc3");
  EXPECT_EQ(shown("{\"a\":\"\xc3", {.type = kJson}), kWithheld);
  const auto decoded_with = [](ContentDecodeError error) {
    return shown(R"({"passwrod":"secret"})",
                 {.type = kJson, .coding = "gzip", .decoded = "gzip", .error = error});
  };
  EXPECT_EQ(decoded_with(ContentDecodeError::kCorrupt), kWithheld);
  EXPECT_NE(decoded_with(ContentDecodeError::kTruncated), kWithheld);
}

TEST(RedactBody, WhatIsDecodedWithoutProofHasToBeWhatItsTypeSays) {
  const auto decoded = [](std::string_view text, ContentProof proof, bool truncated = false) {
    return shown(
        text,
        {.type = kJson, .truncated = truncated, .coding = "br", .decoded = "br", .proof = proof});
  };
  constexpr std::string_view kGarbled = R"({"passw"rd":"secret"})";
  EXPECT_EQ(decoded(kGarbled, ContentProof::kNone), kWithheld);
  EXPECT_EQ(decoded(kGarbled, ContentProof::kNone, true), kWithheld);
  EXPECT_NE(decoded(kGarbled, ContentProof::kChecksum), kWithheld);
  EXPECT_EQ(decoded("{}", ContentProof::kContradicted), kWithheld);
  constexpr std::string_view kWhole = R"({"password":"secret","a":1})";
  EXPECT_EQ(decoded(kWhole, ContentProof::kNone), R"({"password":"[redacted]","a":1})");
  EXPECT_EQ(decoded(R"({"password":"secret","a":1)", ContentProof::kNone), kWithheld);
  EXPECT_EQ(decoded(R"({"password":"secret","a":1)", ContentProof::kNone, true),
            R"({"password":"[redacted]","a":1)");
  EXPECT_EQ(shown("password=secret&a=1",
                  {.type = kForm, .coding = "br", .decoded = "br", .proof = ContentProof::kNone}),
            "password=[redacted]&a=1");
}

TEST(RedactBody, TooManyPlacesAreNotShown) {
  std::string body = "{";
  for (size_t i = 0; i <= Spans::kSpansMax; ++i) body += "\"password\":1,";
  EXPECT_EQ(json(body), kWithheld);
}

TEST(RedactPattern, HidesWhatMatchesInHeadersTargetsAndBodies) {
  const RedactionRules rules = {.patterns = {"\\b\\d{4}( ?)\\d{4}\\b", "[a-z]+@[a-z]+\\.example"}};
  EXPECT_EQ(shown("{\"a\":\"1234 5678\",\"b\":\"12345678\",\"c\":123}", {.type = kJson}, rules),
            "{\"a\":\"[redacted]\",\"b\":\"[redacted]\",\"c\":123}");
  EXPECT_EQ(shown("a=1234+5678&b=x%40y.example&c=1", {.type = kForm}, rules),
            "a=[redacted]&b=[redacted]&c=1");
  EXPECT_EQ(shown("{\"a\":\"x\\u0040y.example\",\"c\":1}", {.type = kJson}, rules),
            "{\"a\":\"[redacted]\",\"c\":1}");
  EXPECT_EQ(shown("\xff", {}, rules), kWithheld);
  BufferPool pool(size_t{1} << 20);
  MessageRedactor redactor(rules, pool);
  const HeaderField fields[] = {{"X-Card", "1234 5678, 1"}, {"Cookie", "mail=x%40y.example; b=1"}};
  Message message;
  message.method = "GET";
  message.target = "/12345678/x%40y.example?a=1234%205678&b=1";
  message.headers = fields;
  redactor.redact(message);
  EXPECT_EQ(message.target, "/[redacted]/[redacted]?a=[redacted]&b=1");
  EXPECT_EQ(message.headers[0].value, "[redacted], 1");
  EXPECT_EQ(message.headers[1].value, "mail=[redacted]; b=1");
}

TEST(RedactPattern, WhatMayBeTheBeginningOfAMatchIsHiddenWhereATextIsCut) {
  const RedactionRules rules = {.patterns = {"\\b\\d{16}\\b"}};
  const std::string whole = R"({"a":"4111111111111111","b":"4222222222222222","c":"x"})";
  for (size_t size = 0; size <= whole.size(); ++size) {
    const std::string text =
        shown(whole.substr(0, size), {.type = kJson, .truncated = size < whole.size()}, rules);
    EXPECT_EQ(text.find("411"), std::string::npos) << text;
    EXPECT_EQ(text.find("422"), std::string::npos) << text;
  }
  for (size_t at = 1; at < whole.size(); ++at) {
    const std::string text =
        shown(with_gap(whole, at, 1), {.type = kJson, .gaps = {{at, 1}}}, rules);
    EXPECT_EQ(text.find("411"), std::string::npos) << text;
  }
  EXPECT_EQ(shown("a=1&b=41111&c=4222&d=1", {.type = kForm, .gaps = {{11, 3}}}, rules),
            "a=1&[redacted][redacted]&c=4222&[redacted]");
  // The value of a head that is cut.
  BufferPool pool(size_t{1} << 20);
  MessageRedactor redactor(rules, pool);
  const HeaderField fields[] = {{"X-Note", "4111 4111"}, {"X-Card", "card 411111111"}};
  Message message;
  message.method = "GET";
  message.target = "/4111";
  message.headers = fields;
  message.headers_incomplete = true;
  redactor.redact(message);
  EXPECT_EQ(message.target, "/4111");
  EXPECT_EQ(message.headers[0].value, "4111 4111");
  EXPECT_EQ(message.headers[1].value, "card [redacted]");
}

TEST(RedactPattern, AMatchOfNothingHidesNothingAndAFaultIsTold) {
  EXPECT_EQ(shown("aXb", {}, {.patterns = {"X*"}}), "a[redacted]b");
  EXPECT_EQ(Patterns::fault_of("a(b"), "missing ): a(b");
  EXPECT_EQ(Patterns::fault_of("(?=a)"), "invalid perl operator: (?=");
  EXPECT_EQ(Patterns::fault_of("a|b"), "");
}

TEST(RedactHash, IsTheSameForTheSameValueWhereverItStands) {
  const RedactionRules rules = {
      .headers = {"x-key"}, .query = {"t"}, .body = {"t"}, .hash_key = "key"};
  BufferPool pool(size_t{1} << 20);
  MessageRedactor redactor(rules, pool);
  const HeaderField fields[] = {{"X-Key", "a b\"c"}, {"Referer", "/?t=a%20b%22c&x=1"}};
  Message message;
  message.method = "GET";
  message.target = "/?t=a+b%22c";
  message.headers = fields;
  message.body = R"({"t":"a b\u0022c","u":{"t":17}})";
  redactor.redact(message);
  // HMAC-SHA-256 of `a b"c` with the key `key`.
  const std::string digits(message.headers[0].value);
  EXPECT_EQ(digits, "eae514bd5f5c24b0");
  EXPECT_EQ(message.target, "/?t=" + digits);
  EXPECT_EQ(message.headers[1].value, "/?t=" + digits + "&x=1");
  EXPECT_TRUE(message.body.starts_with(R"({"t":")" + digits + R"(","u":{"t":")")) << message.body;
  EXPECT_TRUE(message.body.ends_with("\"}}")) << message.body;
  // A value that is cut has no hash: it would be that of another value.
  Message cut;
  cut.body = R"({"t":"a b)";
  cut.body_truncated = true;
  redactor.redact(cut);
  EXPECT_EQ(cut.body, R"({"t":"[redacted])");
}

TEST(HmacSha256, GivesTheDigestsOfRfc4231) {
  const auto hex = [](const HmacSha256::Digest& digest) {
    std::string text;
    for (const uint8_t byte : digest) {
      text += "0123456789abcdef"[byte >> 4];
      text += "0123456789abcdef"[byte & 0xf];
    }
    return text;
  };
  EXPECT_EQ(hex(HmacSha256(std::string(20, '\x0b')).of("Hi There")),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
  EXPECT_EQ(hex(HmacSha256("Jefe").of("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(hex(HmacSha256(std::string(131, '\xaa'))
                    .of("Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
}

}  // namespace
}  // namespace tcp_sniffer::body_scanner_test
