// CONTRIBUTING.md lists what README.md and docs/ promise, and the tests that try to break it. Here:
// that the list is true, and the promises that had no other test.

#include <gtest/gtest.h>

#include <algorithm>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "support/run_program.h"

namespace tcp_sniffer::promises_test {
namespace {

struct Promise {
  std::string quote;
  std::vector<std::string> tests;
};

// Line breaks and the marks of bold text do not count.
std::string plain(const std::string& text) {
  std::string words;
  for (const char c : text) {
    if (c == '*') continue;
    const char shown = c == '\n' ? ' ' : c;
    if (shown == ' ' && !words.empty() && words.back() == ' ') continue;
    words += shown;
  }
  return words;
}

// README.md and the files of docs/, which are what users rely on.
std::vector<std::string> documents() {
  std::vector<std::string> texts = {content_of(source_dir() / "README.md")};
  for (const auto& entry : std::filesystem::directory_iterator(source_dir() / "docs")) {
    if (entry.path().extension() == ".md") texts.push_back(content_of(entry.path()));
  }
  return texts;
}

// The rows between the two markers: | promise | `test`, `test` |
std::vector<Promise> promises() {
  const std::string text = content_of(source_dir() / "CONTRIBUTING.md");
  const size_t begin = text.find("<!-- promises:begin -->");
  const size_t end = text.find("<!-- promises:end -->");
  EXPECT_LT(begin, end);
  std::vector<Promise> rows;
  if (end == std::string::npos) return rows;
  for (const std::string& line : lines_of(text.substr(begin, end - begin))) {
    const size_t middle = line.rfind(" | `");
    if (!line.starts_with("| ") || middle == std::string::npos) continue;
    Promise promise{line.substr(2, middle - 2), {}};
    const std::regex name("`([^`]+)`");
    const std::string tests = line.substr(middle);
    for (std::sregex_iterator at(tests.begin(), tests.end(), name), none; at != none; ++at) {
      promise.tests.push_back((*at)[1]);
    }
    rows.push_back(std::move(promise));
  }
  return rows;
}

// SUITE.TEST of every source, the titles of the scenarios, and the fuzz targets as fuzz_NAME.
std::set<std::string> all_tests() {
  std::set<std::string> names;
  const std::filesystem::path tests = source_dir() / "tests";
  const std::regex declared(R"(TEST(?:_F|_P)?\(\s*(\w+),\s*(\w+)\))");
  for (const auto& entry : std::filesystem::recursive_directory_iterator(tests)) {
    if (entry.path().extension() != ".cc") continue;
    const std::string text = content_of(entry.path());
    for (std::sregex_iterator at(text.begin(), text.end(), declared), none; at != none; ++at) {
      names.insert((*at)[1].str() + "." + (*at)[2].str());
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(tests / "scenarios")) {
    for (const std::string& line : lines_of(content_of(entry.path()))) {
      if (line.starts_with("== ")) names.insert(line.substr(3));
    }
  }
  for (const auto& entry : std::filesystem::directory_iterator(tests / "fuzz")) {
    const std::string name = entry.path().filename();
    if (name.ends_with("_fuzz.cc")) names.insert("fuzz_" + name.substr(0, name.size() - 8));
  }
  return names;
}

TEST(Promises, EachIsASentenceOfADocumentAndHasTestsThatExist) {
  std::string text;
  for (const std::string& document : documents()) text += document + "\n";
  const std::string words = plain(text);
  const std::set<std::string> names = all_tests();
  const std::vector<Promise> list = promises();
  EXPECT_GT(list.size(), 30u);
  for (const Promise& promise : list) {
    EXPECT_NE(words.find(plain(promise.quote)), std::string::npos)
        << "no document says: " << promise.quote;
    EXPECT_FALSE(promise.tests.empty()) << promise.quote;
    for (const std::string& test : promise.tests) {
      EXPECT_TRUE(names.contains(test)) << promise.quote << ": there is no test " << test;
    }
  }
}

// A sentence of a document's text (tables and code aside, also `--color never`) that says never,
// nothing or exactly is on the list.
TEST(Promises, EverySentenceThatSaysNeverNothingOrExactlyIsListed) {
  std::string text;
  for (const std::string& document : documents()) {
    bool in_code = false;
    for (const std::string& line : lines_of(document)) {
      if (line.starts_with("```")) in_code = !in_code;
      if (!in_code && !line.starts_with("|") && !line.starts_with("```")) text += line + "\n";
    }
  }
  std::vector<std::string> quotes;
  for (const Promise& promise : promises()) quotes.push_back(plain(promise.quote));
  const std::string words = plain(text);
  const std::regex strong(R"(\b([Nn]ever|[Nn]othing|exactly)\b)");
  for (std::sregex_iterator at(words.begin(), words.end(), strong), none; at != none; ++at) {
    const auto place = static_cast<size_t>(at->position());
    const auto begin = words.begin();
    if (std::count(begin, begin + at->position(), '`') % 2 == 1) continue;
    const bool is_listed = std::any_of(quotes.begin(), quotes.end(), [&](const std::string& quote) {
      const size_t from = words.rfind(quote, place);
      return from != std::string::npos && place < from + quote.size();
    });
    EXPECT_TRUE(is_listed) << "not on the list in CONTRIBUTING.md: ..."
                           << words.substr(place - std::min<size_t>(place, 60), 120);
  }
}

TEST(Promises, NothingIsRedactedUnlessItIsAskedFor) {
  const Finished run = run_sniffer(
      {"-r", capture("site_and_api.pcap").string(), "--format", "ndjson", "--raw-headers"});
  for (const char* sent : {"user=ada&password=lovelace", "session=8f14e45f"}) {
    EXPECT_NE(run.out.find(sent), std::string::npos) << sent;
  }
  EXPECT_EQ(run.out.find("[redacted]"), std::string::npos);
}

// Names would be resolved and packets sent by these.
TEST(Promises, TheProgramHasNoFunctionThatSendsPackets) {
  const std::string binary = content_of(std::filesystem::path(TCP_SNIFFER_BINARY));
  ASSERT_FALSE(binary.empty());
  for (const char* function : {"pcap_inject", "pcap_sendpacket", "gethostbyname", "res_query"}) {
    EXPECT_EQ(binary.find(function), std::string::npos) << function;
  }
}

}  // namespace
}  // namespace tcp_sniffer::promises_test
