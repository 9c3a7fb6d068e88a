#include "core/line/redaction.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/repetitions.h"

namespace tcp_sniffer::redaction_test {
namespace {

std::string target(std::string_view text, const std::vector<std::string>& query = {"token"},
                   const std::vector<std::string>& headers = {}) {
  Redaction redaction(headers, query);
  return std::string(redaction.redact_target(text));
}

TEST(RedactTarget, ReplacesTheValueOfEachSpellingOfAName) {
  for (const char* name :
       {"token", "TOKEN", "%74oken", "%u0074oken", "%U0074oken", "%2574oken", "+token", "%20token",
        "token+", "token%20", "token[]", "token[0]", "token[a][b]", "token%5B%5D", "%09token",
        "token%00", " token", "amp;token"}) {
    EXPECT_EQ(target("/?a=1&" + std::string(name) + "=secret&b=2"),
              "/?a=1&" + std::string(name) + "=[redacted]&b=2")
        << name;
  }
  for (const char* name : {"access.token", "access-token", "access token", "access+token"}) {
    EXPECT_EQ(target("/?" + std::string(name) + "=secret", {"access_token"}),
              "/?" + std::string(name) + "=[redacted]");
  }
}

TEST(RedactTarget, FindsAParameterWhereverItStands) {
  EXPECT_EQ(target("/a;token=secret/b?c=1"), "/a;token=[redacted]?c=1");
  EXPECT_EQ(target("/a/token=secret"), "/a/token=[redacted]");
  EXPECT_EQ(target("token=secret"), "token=[redacted]");
  EXPECT_EQ(target("/a?b#token=secret?x&c=1"), "/a?b#token=[redacted]&c=1");
  EXPECT_EQ(target("/a#token=se?cret"), "/a#token=[redacted]");
  EXPECT_EQ(target("/a?b?token=secret"), "/a?b?token=[redacted]");
  EXPECT_EQ(target("/a?b;token=secret;c"), "/a?b;token=[redacted]");
  EXPECT_EQ(target("/a?url=/x?token=secret&c=1"), "/a?url=/x?token=[redacted]&c=1");
  EXPECT_EQ(target("/a?filter=token=secret"), "/a?filter=token=[redacted]");
  EXPECT_EQ(target("/a?url=%2Fx%3Ftoken%3Dsecret&c=1"), "/a?url=[redacted]&c=1");
  EXPECT_EQ(target("/a%3Ftoken=secret"), "/a%3Ftoken=[redacted]");
  EXPECT_EQ(target("/?token=a=b;c"), "/?token=[redacted]");
  EXPECT_EQ(target("/?token="), "/?token=[redacted]");
}

TEST(RedactTarget, ANameInTheConfigurationMayBeWrittenCarelessly) {
  for (const char* name : {" token", "token ", "x, token", "Token[]", "&token="}) {
    EXPECT_EQ(target("/?token=secret", {name}), "/?token=[redacted]") << name;
  }
  EXPECT_EQ(target("/?=a&b", {" ", ","}), "/?=a&b");
}

TEST(RedactTarget, LeavesOtherParametersAsTheyWere) {
  for (const char* text : {"/", "/?", "*", "/a/b.c?d=e&f", "/?tokens=1&xtoken=2&tok=3", "/?token",
                           "/?token&a=1", "/%", "/?%7", "/?%u12=1&%zz=2", "a.example:443",
                           "http://a.example:80/@scope/x", "http://[::1]:80/", "/a@b:c/d"}) {
    EXPECT_EQ(target(text), text);
  }
  EXPECT_EQ(target("http://user:secret@a/?token=secret", {}), "http://user:secret@a/?token=secret")
      << "nothing is redacted unless asked";
}

TEST(RedactTarget, HidesTheUserOfAnAuthorityWhenAnythingIsRedacted) {
  for (const auto& [query, headers] :
       {std::pair<std::vector<std::string>, std::vector<std::string>>{{"x"}, {}},
        {{}, {"authorization"}}}) {
    EXPECT_EQ(target("http://user:secret@a/b", query, headers), "http://[redacted]@a/b");
    EXPECT_EQ(target("HTTPS://secret@a", query, headers), "HTTPS://[redacted]@a");
    EXPECT_EQ(target("user:secret@a:443", query, headers), "[redacted]@a:443");
    EXPECT_EQ(target("//user:secret@a/b", query, headers), "//[redacted]@a/b");
    EXPECT_EQ(target("http://user:se@cret@a/b@c", query, headers), "http://[redacted]@a/b@c");
    EXPECT_EQ(target("http://user:se/cret@a/b", query, headers), "http://[redacted]@a/b");
    EXPECT_EQ(target("http://user:se?cret@a/b", query, headers), "http://[redacted]@a/b");
  }
}

TEST(RedactHeader, ComparesNamesAsTheMostLenientReaderWould) {
  const Redaction redaction({"Authorization", "x-api-key"}, {});
  for (const char* name :
       {"authorization", "AUTHORIZATION", "Authorization\r", "\rAuthorization", "Autho\rrization",
        "Authorization \t", "Authorization\x0b", "Authorization\xa0",
        "\xef\xbb\xbf"
        "Authorization"}) {
    EXPECT_TRUE(redaction.covers_header(name)) << name;
  }
  EXPECT_TRUE(redaction.covers_header("X_Api_Key"));
  for (const char* name : {"", "Authorizatio", "Authorizations", "Proxy-Authorization"}) {
    EXPECT_FALSE(redaction.covers_header(name)) << name;
  }
}

TEST(RedactHeader, ALineInsideAValueCounts) {
  const Redaction redaction({"Authorization"}, {});
  EXPECT_TRUE(redaction.covers_field("Host", "a\rAuthorization: secret"));
  EXPECT_TRUE(redaction.covers_field("Host", "a\r\n b\r\n Authorization : secret"));
  EXPECT_FALSE(redaction.covers_field("Host", "a\rb"));
  EXPECT_FALSE(redaction.covers_field("Host", "Authorization: a"));
}

// ---------------------------------------------------------------- random targets

// A target put together from parts of which it is known what must be hidden and what must stay.
class Maker {
 public:
  explicit Maker(uint64_t seed) : random_(seed) {}

  void make() {
    if (chance(3)) text = chance(2) ? "http://" + userinfo() + "a.example" : "http://a.example";
    text += "/path";
    const bool in_path = chance(3);
    if (in_path) parameter(";", ";/");
    if (chance(4)) text += "/more";
    const char* separators[] = {"?", "#", "?x#", "?x=1&"};
    // A '#' may belong to a value in front of it.
    text += in_path ? "?" : separators[number(4)];
    for (uint64_t i = number(5); i > 0; --i) {
      parameter("", "");
      text += "&";
    }
  }

  std::string text;
  std::vector<std::string> hidden;
  std::vector<std::string> kept;

 private:
  uint64_t number(uint64_t below) { return random_() % below; }
  bool chance(uint64_t of) { return number(of) == 0; }
  std::string word() {
    std::string made = "v";
    for (int i = 0; i < 10; ++i) made += static_cast<char>('0' + number(10));
    return made;
  }
  std::string userinfo() {
    hidden.push_back(word());
    return "u:" + hidden.back() + "@";
  }
  // One way of many to write each letter.
  std::string spelled(std::string_view name) {
    std::string made;
    for (const char c : name) {
      char text_of[16];
      const auto code = static_cast<unsigned>(c);
      switch (number(6)) {
        case 0:
          std::snprintf(text_of, sizeof(text_of), "%%%02x", code);
          break;
        case 1:
          std::snprintf(text_of, sizeof(text_of), "%%u%04X", code);
          break;
        case 2:
          std::snprintf(text_of, sizeof(text_of), "%c", c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
          break;
        case 3:
          std::snprintf(text_of, sizeof(text_of), "%%25%02X", code);
          break;
        default:
          std::snprintf(text_of, sizeof(text_of), "%c", c);
      }
      made += text_of;
    }
    return made;
  }
  void parameter(const std::string& before, const std::string& in_value) {
    constexpr std::array<std::string_view, 5> kBefore = {"", "+", "%20", "%09", " "};
    constexpr std::array<std::string_view, 6> kBehind = {"", "+", "[]", "%5b0%5D", "[a][b]", "%00"};
    text += before;
    const bool covered = chance(2);
    text += kBefore[number(kBefore.size())];
    text += covered ? spelled(chance(2) ? "token" : "api_key")
                    : std::string(chance(2) ? "tokens" : "page");
    text += kBehind[number(kBehind.size())];
    text += "=";
    std::string value = word();
    (covered ? hidden : kept).push_back(value);
    text += value;
    if (covered && chance(3)) {
      hidden.push_back(word());
      constexpr std::string_view kInside = ";=/,#+%";
      text += in_value.empty() ? kInside[number(kInside.size())] : in_value[number(2)];
      text += hidden.back();
    }
  }

  std::mt19937_64 random_;
};

TEST(RedactTarget, RandomTargetsShowWhatTheyMayAndNothingElse) {
  Redaction redaction({}, {"token", "api_key"});
  for (uint64_t seed = 1; seed <= seeds(20000); ++seed) {
    Maker made(seed);
    made.make();
    const std::string shown(redaction.redact_target(made.text));
    for (const std::string& value : made.hidden) {
      ASSERT_EQ(shown.find(value), std::string::npos) << made.text << "\n" << shown;
    }
    for (const std::string& value : made.kept) {
      ASSERT_NE(shown.find(value), std::string::npos) << made.text << "\n" << shown;
    }
    const std::string again(redaction.redact_target(shown));
    ASSERT_EQ(again, shown) << "what is hidden once stays as it is";
  }
}

TEST(RedactTarget, AnyBytesAreTaken) {
  Redaction redaction({"a"}, {"t"});
  constexpr std::string_view kLetters("tT%u0072=&?;#/@:+[] \0\xe4", 22);
  std::mt19937_64 random(1);
  for (uint64_t round = 0; round < seeds(100000); ++round) {
    std::string text;
    for (uint64_t size = random() % 24; size > 0; --size) {
      text += kLetters[random() % kLetters.size()];
    }
    const std::string shown(redaction.redact_target(text));
    // Without a placeholder it is as it was sent.
    if (shown.find("[redacted]") == std::string::npos) {
      ASSERT_EQ(shown, text);
    }
    ASSERT_EQ(
        shown.find("&t=") == std::string::npos || shown.find("&t=[redacted]") != std::string::npos,
        true)
        << text;
  }
}

}  // namespace
}  // namespace tcp_sniffer::redaction_test
