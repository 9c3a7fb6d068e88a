#include "core/redaction/targets.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/redaction/placeholder.h"
#include "support/repetitions.h"

namespace tcp_sniffer::targets_test {
namespace {

class Hider {
 public:
  explicit Hider(const std::vector<std::string>& query) : names_(query), scanner_(names_) {}

  std::string target(std::string_view text, bool is_cut = false) {
    Spans spans;
    scanner_.scan_target(text, is_cut, spans);
    return without(text, spans);
  }
  std::string text(std::string_view text, bool is_cut = false) {
    Spans spans;
    scanner_.scan_text(text, is_cut, spans);
    return without(text, spans);
  }

 private:
  static std::string without(std::string_view text, Spans& spans) {
    std::string out;
    Placeholder placeholder("");
    spans.write_without(text, placeholder, out);
    return out;
  }

  FieldNames names_;
  TargetScanner scanner_;
};

std::string target(std::string_view text, const std::vector<std::string>& query = {"token"}) {
  return Hider(query).target(text);
}

std::string text(std::string_view text_of, const std::vector<std::string>& query = {"token"}) {
  return Hider(query).text(text_of);
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
}

TEST(RedactTarget, HidesTheUserOfAnAuthority) {
  EXPECT_EQ(target("http://user:secret@a/b"), "http://[redacted]@a/b");
  EXPECT_EQ(target("HTTPS://secret@a"), "HTTPS://[redacted]@a");
  EXPECT_EQ(target("user:secret@a:443"), "[redacted]@a:443");
  EXPECT_EQ(target("//user:secret@a/b"), "//[redacted]@a/b");
  EXPECT_EQ(target("http://user:se@cret@a/b@c"), "http://[redacted]@a/b@c");
  EXPECT_EQ(target("http://user:se/cret@a/b"), "http://[redacted]@a/b");
  EXPECT_EQ(target("http://user:se?cret@a/b"), "http://[redacted]@a/b");
  EXPECT_EQ(target("/?to=http%3A%2F%2Fuser%3Asecret%40a"), "/?to=[redacted]");
}

TEST(RedactTarget, WhatMayBeAUserWithoutItsEndIsHidden) {
  Hider hider({"token"});
  EXPECT_EQ(hider.target("http://user:sec"), "http://[redacted]") << "no port";
  for (const char* cut : {"http://use", "http://user:12", "user:12", "//use"}) {
    EXPECT_EQ(hider.target(cut), cut);
    EXPECT_EQ(hider.text(cut), cut);
    EXPECT_NE(hider.target(cut, true).find("[redacted]"), std::string::npos) << cut;
  }
  EXPECT_EQ(hider.target("http://a:80/x", true), "http://a:80/x");
  EXPECT_EQ(hider.text("<http://a:80>; x, http://user:12", true),
            "<http://a:80>; x, http://[redacted]");
  EXPECT_EQ(hider.text("http://user:sec"), "http://[redacted]");
}

TEST(RedactTarget, ANameOfAnElementInBracketsIsNotItsFirstPart) {
  EXPECT_EQ(target("/?user=ada&user[password]=secret", {"user[password]"}),
            "/?user=ada&user[password]=[redacted]");
}

TEST(RedactTarget, ANameIsAPathOfElements) {
  for (const char* name : {"number", "card[number]", "Card.Number", "a[0][number][1]"}) {
    EXPECT_EQ(target("/?" + std::string(name) + "=secret", {"number"}),
              "/?" + std::string(name) + "=[redacted]");
  }
  for (const char* name : {"card[number]", "card.number", "order.card[0].NUMBER", "card_number",
                           "card%5Bnumber%5D", "card[number][]"}) {
    EXPECT_EQ(target("/?" + std::string(name) + "=secret", {"card.number"}),
              "/?" + std::string(name) + "=[redacted]");
  }
  EXPECT_EQ(target("/?number=1&card=2&number[card]=3&cards[number]=4", {"card.number"}),
            "/?number=1&card=2&number[card]=3&cards[number]=4");
}

TEST(RedactTarget, ANameNeedNotBeAscii) {
  EXPECT_EQ(target("/?密码=secret&b=1", {"密码"}), "/?密码=[redacted]&b=1");
  EXPECT_EQ(target("/?%E5%AF%86%E7%A0%81=secret", {"密码"}), "/?%E5%AF%86%E7%A0%81=[redacted]");
  EXPECT_EQ(target("/?ключ=1", {"密码"}), "/?ключ=1");
}

TEST(RedactText, HidesCopiesOfATargetInTheValuesOfHeaders) {
  EXPECT_EQ(text("http://a/b?token=secret&c=1#d"), "http://a/b?token=[redacted]&c=1#d");
  EXPECT_EQ(text("/b?c=1#token=secret"), "/b?c=1#token=[redacted]");
  EXPECT_EQ(text("0; url=/b?token=secret"), "0; url=/b?token=[redacted]");
  EXPECT_EQ(text("0; url=\"/b?token=secret\""), "0; url=\"/b?token=[redacted]\"");
  EXPECT_EQ(text("0; url='/b?token=secret'"), "0; url='/b?token=[redacted]");
  EXPECT_EQ(text("</a?token=secret>; rel=\"next\", </b?token=se>cret>;x"),
            "</a?token=[redacted]>; rel=\"next\", </b?token=[redacted]>;x");
  EXPECT_EQ(text("Digest uri=\"/a?token=se\"cret\", nc=1"),
            "Digest uri=\"/a?token=[redacted]\", nc=1");
  EXPECT_EQ(text("http://a/?url=%2Fx%3F%74oken%3Dsecret&c=1"), "http://a/?url=[redacted]&c=1");
  EXPECT_EQ(text("x\r\n token=secret"), "x\r\n token=[redacted]");
  EXPECT_EQ(text("https://login.example/cb?next=https://a/?b=2&token=sec;re,t"),
            "https://login.example/cb?next=https://a/?b=2&token=[redacted]");
}

TEST(RedactText, HidesTheUsersOfAuthorities) {
  EXPECT_EQ(text("http://user:secret@a/b"), "http://[redacted]@a/b");
  EXPECT_EQ(text("//user:secret@a/b"), "//[redacted]@a/b");
  EXPECT_EQ(text("<http://u:secret@a/>, <http://u:se/cret@b/>"),
            "<http://[redacted]@a/>, <http://[redacted]@b/>");
  EXPECT_EQ(text("0; url=ftp://secret@a"), "0; url=ftp://[redacted]@a");
}

TEST(RedactText, AnAuthorityNeedsNoScheme) {
  Hider hider({"token"});
  EXPECT_EQ(hider.text("1; url=//u:secret@h/a"), "1; url=//[redacted]@h/a");
  EXPECT_EQ(hider.text("</a>; rel=x, <//u:secret@h/a>"), "</a>; rel=x, <//[redacted]@h/a>");
  EXPECT_EQ(hider.text("a (//secret@h)"), "a (//[redacted]@h)");
  EXPECT_EQ(hider.text("http://h//b@c, a//b@c"), "http://h//b@c, a//b@c");
  EXPECT_EQ(hider.target("/a?next=//u:secret@h/b&c=1"), "/a?next=//[redacted]@h/b&c=1");
  EXPECT_EQ(hider.target("/a?next=http://u:secret@h/b&c=1"), "/a?next=http://[redacted]@h/b&c=1");
  EXPECT_EQ(hider.target("/a?next=%2f%2fu:secret@h/b&c=1").find("secret"), std::string::npos);
  EXPECT_EQ(hider.target("/a//b@c?d=http://h/e"), "/a//b@c?d=http://h/e");
}

TEST(RedactText, LeavesOtherTextAsItWas) {
  for (const char* other : {"max-age=3, public", "text/html; charset=utf-8", "W/\"a=b\"",
                            "someone@a.example", "http://a:80/@scope", "tokens=1; xtoken=2",
                            "Basic dXNlcjpzZWNyZXQ=", "100%", "</a?b=1>; rel=\"next\""}) {
    EXPECT_EQ(text(other), other);
  }
}

TEST(RedactHeader, ComparesNamesAsTheMostLenientReaderWould) {
  const HeaderNames names({"Authorization", "x-api-key"});
  for (const char* name :
       {"authorization", "AUTHORIZATION", "Authorization\r", "\rAuthorization", "Autho\rrization",
        "Authorization \t", "Authorization\x0b", "Authorization\xa0",
        "\xef\xbb\xbf"
        "Authorization"}) {
    EXPECT_TRUE(names.cover(name)) << name;
  }
  EXPECT_TRUE(names.cover("X_Api_Key"));
  for (const char* name : {"", "Authorizatio", "Authorizations", "Proxy-Authorization"}) {
    EXPECT_FALSE(names.cover(name)) << name;
  }
}

TEST(RedactHeader, ALineInsideAValueCounts) {
  const HeaderNames names({"Authorization"});
  EXPECT_TRUE(names.cover_field("Host", "a\rAuthorization: secret"));
  EXPECT_TRUE(names.cover_field("Host", "a\r\n b\r\n Authorization : secret"));
  EXPECT_FALSE(names.cover_field("Host", "a\rb"));
  EXPECT_FALSE(names.cover_field("Host", "Authorization: a"));
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
  Hider hider({"token", "api_key"});
  for (uint64_t seed = 1; seed <= seeds(20000); ++seed) {
    Maker made(seed);
    made.make();
    const std::string shown = hider.target(made.text);
    for (const std::string& value : made.hidden) {
      ASSERT_EQ(shown.find(value), std::string::npos) << made.text << "\n" << shown;
    }
    for (const std::string& value : made.kept) {
      ASSERT_NE(shown.find(value), std::string::npos) << made.text << "\n" << shown;
    }
    ASSERT_EQ(hider.target(shown), shown) << "what is hidden once stays as it is";
  }
}

TEST(RedactTarget, AnyBytesAreTaken) {
  Hider hider({"t"});
  constexpr std::string_view kLetters("tT%u0072=&?;#/@:+[] \0\xe4", 22);
  std::mt19937_64 random(1);
  for (uint64_t round = 0; round < seeds(100000); ++round) {
    std::string made;
    for (uint64_t size = random() % 24; size > 0; --size) {
      made += kLetters[random() % kLetters.size()];
    }
    hider.text(made);
    const std::string shown = hider.target(made);
    // Without a placeholder it is as it was sent.
    if (shown.find("[redacted]") == std::string::npos) {
      ASSERT_EQ(shown, made);
    }
    ASSERT_EQ(
        shown.find("&t=") == std::string::npos || shown.find("&t=[redacted]") != std::string::npos,
        true)
        << made;
  }
}

}  // namespace
}  // namespace tcp_sniffer::targets_test
