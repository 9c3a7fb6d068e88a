// Secrets in every place that a message has, in one capture with every loss: nothing that the
// program writes may hold a piece of one, whatever the format and however many shards there are.

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "support/capture_maker.h"
#include "support/content_coders.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::redaction_e2e_test {
namespace {

using From = CaptureMaker::From;

// No four letters of it stand in anything that the program writes by itself.
const std::string kSecret = "ZqXwVkJyZgQvWxKj";
constexpr size_t kPieceMin = 4;

const std::string kJson = R"({"user":"bob","password":")" + kSecret + R"(","card":{"number":")" +
                          kSecret + R"("},"m":"{\"password\":\")" + kSecret +
                          R"(\"}","note":"PAT-)" + kSecret + R"("})";

std::string with_body(const std::string& head, const std::string& body) {
  return head + "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string part(const std::string& name, const std::string& content) {
  return "--B\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + content + "\r\n";
}

std::string coded_json(const std::string& coding, const std::string& body) {
  return with_body(
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: " + coding + "\r\n",
      body);
}

// Requests and responses in turn.
std::vector<std::pair<From, std::string>> conversation() {
  const std::string target = "/p?token=" + kSecret + "&a=1";
  const std::string form =
      "user=bob&password=" + kSecret + "&card[number]=" + kSecret + "&note=PAT-" + kSecret + "&c=1";
  return {
      {CaptureMaker::kClient,
       with_body("POST http://u:" + kSecret + "@h" + target + "#token=" + kSecret +
                     " HTTP/1.1\r\nHost: h\r\nReferer: http://h" + target +
                     "\r\nAuthorization: Bearer " + kSecret + "\r\nX-Note: PAT-" + kSecret +
                     "\r\nContent-Type: application/json\r\n",
                 kJson)},
      {CaptureMaker::kServer, "HTTP/1.1 302 To " + target + "\r\nLocation: " + target +
                                  "\r\nContent-Location: " + target + "\r\nLink: <" + target +
                                  ">; rel=\"next\"\r\nRefresh: 1; url=" + target +
                                  "\r\nSet-Cookie: sid=" + kSecret +
                                  "\r\nContent-Type: text/html\r\nTransfer-Encoding: "
                                  "chunked\r\n\r\n2e\r\n<a href=\"/?password=" +
                                  kSecret + "\">here</a>\r\n0\r\nX-Back: " + target + "\r\n\r\n"},
      {CaptureMaker::kClient, with_body("POST " + target +
                                            " HTTP/1.1\r\nHost: h\r\nContent-Type: "
                                            "application/x-www-form-urlencoded\r\n",
                                        form)},
      {CaptureMaker::kServer, coded_json("gzip", content_coders::gzip(kJson))},
      {CaptureMaker::kClient,
       with_body("PUT /up HTTP/1.1\r\nHost: h\r\nContent-Type: multipart/form-data; boundary=B\r\n",
                 part("user", "bob") + part("password", kSecret) + part("card.number", kSecret) +
                     "--B--\r\n")},
      {CaptureMaker::kServer, coded_json("br", content_coders::brotli(kJson))},
      {CaptureMaker::kClient, "GET /1 HTTP/1.1\r\nHost: h\r\nCookie: sid=" + kSecret + "\r\n\r\n"},
      {CaptureMaker::kServer, coded_json("zstd", content_coders::zstd(kJson))},
      {CaptureMaker::kClient, "GET /2 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {CaptureMaker::kServer, coded_json("deflate", content_coders::deflate_zlib(kJson))},
      {CaptureMaker::kClient, "GET /3 HTTP/1.1\r\nHost: h\r\n\r\n"},
      {CaptureMaker::kServer,
       with_body("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n",
                 "\xff\xfe\"password\":\"" + kSecret)},
      {CaptureMaker::kClient, "GET /4" + target + " HTTP/1.1\r\nHost: u:" + kSecret + "@h\r\n\r\n"},
      {CaptureMaker::kServer,
       "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: " + kJson + "\n\n"},
  };
}

// The conversation in small segments: once whole, and for each segment once without it and once
// up to it; and in whole segments of which only the first bytes are captured, for each number.
std::string capture_with_every_loss(size_t segment_size) {
  CaptureMaker maker;
  const auto talk = conversation();
  size_t segments = 0;
  const auto play = [&](size_t lost, size_t last, size_t size) {
    auto connection = maker.open();
    size_t number = 0;
    for (const auto& [from, text] : talk) {
      for (size_t at = 0; at < text.size() && number < last; at += size, ++number) {
        const std::string piece = text.substr(at, size);
        if (number == lost) {
          maker.lose(connection, from, piece.size());
        } else {
          maker.segment(connection, from, piece);
        }
      }
    }
    segments = number;
    maker.close(connection);
  };
  constexpr size_t kNone = SIZE_MAX;
  play(kNone, kNone, segment_size);
  for (size_t i = 0, count = segments; i < count; ++i) play(i, kNone, segment_size);
  for (size_t i = 0, count = segments; i < count; ++i) play(kNone, i, segment_size);
  for (size_t snaplen = 40; snaplen < 800; ++snaplen) {
    maker.set_snaplen(snaplen);
    play(kNone, kNone, 1400);
  }
  maker.set_snaplen(SIZE_MAX);
  // A stream that is no HTTP, and one that is met in its middle.
  auto other = maker.open();
  maker.segment(other, CaptureMaker::kClient, kSecret + "%26token%3D" + kSecret + "\r\n");
  maker.close(other);
  auto middle = maker.connection();
  maker.segment(middle, CaptureMaker::kClient, kSecret + "&a=1 HTTP/1.1\r\nHost: h\r\n\r\n");
  maker.close(middle);
  return maker.bytes();
}

// The first piece of the secret in the text; empty: there is none.
std::string leak(const std::string& text) {
  for (size_t at = 0; at + kPieceMin <= kSecret.size(); ++at) {
    const size_t found = text.find(kSecret.substr(at, kPieceMin));
    if (found != std::string::npos) return text.substr(found < 200 ? 0 : found - 200, 300);
  }
  return {};
}

std::string content(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Redaction, NoPieceOfASecretIsInAnythingThatIsWritten) {
  const TemporaryFolder folder;
  const std::string capture = (folder.path() / "all.pcap").string();
  std::ofstream(capture, std::ios::binary) << capture_with_every_loss(11);
  const std::string key = (folder.path() / "key").string();
  std::ofstream(key) << "a key that nobody knows\n";
  ASSERT_EQ(chmod(key.c_str(), 0600), 0);
  int runs = 0;
  for (const std::string kind :
       {"ndjson", "framed", "packed", "pretty", "ndjson of exchanges", "packed of exchanges"}) {
    for (const char* shards : {"0", "1", "4"}) {
      const std::string format = kind.substr(0, kind.find(' '));
      const std::filesystem::path files = folder.path() / ("files" + std::to_string(runs));
      std::filesystem::create_directory(files);
      const std::string debug_log = (folder.path() / "debug").string();
      std::vector<std::string> arguments = {"-r",
                                            capture,
                                            "--format",
                                            format,
                                            "--shards",
                                            shards,
                                            "--binary-body",
                                            "base64",
                                            "--raw-headers",
                                            "--fields",
                                            "extended",
                                            "--redact-headers",
                                            "authorization,cookie,set-cookie",
                                            "--redact-query",
                                            "token",
                                            "--redact-body",
                                            "password,card.number",
                                            "--redact-pattern",
                                            "PAT-[A-Za-z]+",
                                            "--extract-dir",
                                            files.string(),
                                            "--write-incomplete",
                                            "--debug",
                                            "--debug-log",
                                            debug_log,
                                            "--log-level",
                                            "debug"};
      if (runs % 2 == 1) {
        for (const char* word : {"--redact-mode", "hash", "--redact-key-file", key.c_str()}) {
          arguments.emplace_back(word);
        }
      }
      if (kind != format) arguments.insert(arguments.end(), {"--records", "exchange"});
      // Bodies are cut, too.
      if (runs % 3 == 2) arguments.insert(arguments.end(), {"--max-body-size", "61"});
      SCOPED_TRACE(testing::PrintToString(arguments));
      const Finished run = run_sniffer(arguments);
      EXPECT_EQ(run.exit.code, 0) << run.err;
      EXPECT_EQ(leak(run.out), "");
      EXPECT_EQ(leak(run.err), "");
      EXPECT_EQ(leak(content(debug_log)), "");
      size_t extracted = 0;
      for (const auto& file : std::filesystem::directory_iterator(files)) {
        EXPECT_EQ(leak(content(file.path())), "") << file.path();
        ++extracted;
      }
      EXPECT_GT(extracted, 0u);
      EXPECT_NE(run.out.find(format == "pretty" ? "/p?token=" : "bob"), std::string::npos);
      const Json stopped = event_named(run.err, "stopped");
      expect_ledger_closes(stopped);
      for (const char* counter : {"redacted", "withheld", "unchanged"}) {
        EXPECT_GT(stopped["bodies"].value(counter, 0), counter[0] == 'u' ? -1 : 0) << counter;
      }
      ++runs;
    }
  }
}

// A line for people has the beginning of a long target; what is hidden may end after it.
TEST(Redaction, NothingOfAUserThatIsLongerThanALineIsShown) {
  std::string user;
  while (user.size() < 1100) user += kSecret;
  CaptureMaker maker;
  auto connection = maker.open();
  for (const std::string& target : {"//" + user + "@h/a", "/" + user + "?token=1"}) {
    maker.segment(connection, CaptureMaker::kClient,
                  "GET " + target + " HTTP/1.1\r\nHost: h\r\n\r\n");
    maker.segment(connection, CaptureMaker::kServer,
                  "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
  }
  const TemporaryFolder folder;
  const std::string path = (folder.path() / "user.pcap").string();
  std::ofstream(path, std::ios::binary) << maker.bytes();
  const Finished run = run_sniffer({"-r", path, "--format", "pretty", "--redact-query", "token",
                                    "--redact-pattern", "(" + kSecret + ")+\\?"});
  EXPECT_EQ(leak(run.out), "");
  EXPECT_NE(run.out.find("//[redacted]@h/a\n"), std::string::npos) << run.out;
  EXPECT_NE(run.out.find("/[redacted]token=[redacted]\n"), std::string::npos) << run.out;
}

TEST(Redaction, ABodyThatCannotBeReadSaysSo) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.exchange(connection, "/", "\xff");
  maker.exchange(connection, "/", "plain");
  maker.close(connection);
  const TemporaryFolder folder;
  const std::string capture = (folder.path() / "a.pcap").string();
  std::ofstream(capture, std::ios::binary) << maker.bytes();
  const Finished run = run_sniffer({"-r", capture, "--redact-body", "password", "--binary-body",
                                    "base64", "--format", "ndjson"});
  const std::vector<Json> lines = json_lines(run.out);
  ASSERT_EQ(lines.size(), 4u) << run.err;
  EXPECT_EQ(lines[1]["bodyRedacted"], "unreadable");
  EXPECT_FALSE(lines[1].contains("body"));
  EXPECT_EQ(lines[1]["bodySize"], 1);
  EXPECT_EQ(lines[3]["body"], "plain");
  EXPECT_FALSE(lines[3].contains("bodyRedacted"));
  const Json bodies = event_named(run.err, "stopped")["bodies"];
  EXPECT_EQ(bodies["searched"], 2);
  EXPECT_EQ(bodies["withheld"], 1);
  EXPECT_EQ(bodies["unchanged"], 1);
}

// A coding without a checksum tells of no damage: a changed bit may make another text of a body.
TEST(Redaction, ACodedBodyThatIsDamagedIsWithheld) {
  const std::string whole = R"({"user":"bob","password":")" + kSecret + R"(","n":[1,2,3]})";
  const std::string garbled = R"({"user":"bob","pass"rd":")" + kSecret + R"(","n":[1,2,3]})";
  const std::pair<std::string, std::string> bodies[] = {
      {"br", content_coders::brotli(garbled)},
      {"deflate", content_coders::deflate_raw(garbled)},
      {"zstd", content_coders::zstd(garbled, 0, false)},
      {"br", content_coders::brotli(whole) + "more"},
      {"deflate", content_coders::deflate_raw(whole) + "more"},
      {"gzip", content_coders::gzip(whole).substr(0, 60)},
      {"br", content_coders::brotli(whole)},
  };
  CaptureMaker maker;
  for (const auto& [coding, body] : bodies) {
    auto connection = maker.open();
    maker.segment(connection, CaptureMaker::kClient,
                  with_body("POST / HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                            "Content-Encoding: " +
                                coding + "\r\n",
                            body));
    maker.close(connection);
  }
  const TemporaryFolder folder;
  const std::string capture = (folder.path() / "a.pcap").string();
  std::ofstream(capture, std::ios::binary) << maker.bytes();
  const Finished run = run_sniffer(
      {"-r", capture, "--redact-body", "password", "--format", "ndjson", "--shards", "0"});
  EXPECT_EQ(leak(run.out), "");
  const std::vector<Json> lines = json_lines(run.out);
  ASSERT_EQ(lines.size(), std::size(bodies)) << run.err;
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    EXPECT_EQ(lines[i].value("bodyRedacted", ""), "unreadable") << i;
    EXPECT_FALSE(lines[i].contains("body")) << i;
  }
  EXPECT_EQ(lines.back()["body"], R"({"user":"bob","password":"[redacted]","n":[1,2,3]})");
}

TEST(Redaction, WhatCannotBeHeldToIsRejected) {
  const TemporaryFolder folder;
  const auto key_file = [&](const char* name, const std::string& key, mode_t mode) {
    const std::string path = (folder.path() / name).string();
    std::ofstream(path) << key;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  };
  const std::string others = key_file("others", "key", 0640);
  const std::string empty = key_file("empty", "\n", 0600);
  const std::pair<std::vector<std::string>, std::vector<std::string>> table[] = {
      {{"--hex-dump", "--redact-query", "a"}, {"hexDump"}},
      {{"--redact-body", "a", "--redact-mode", "hash"}, {"redactMode", "redactKeyFile"}},
      {{"--redact-mode", "hash", "--redact-key-file", others},
       {"redactKeyFile", others, "others than its owner"}},
      {{"--redact-body", "a", "--redact-mode", "hash", "--redact-key-file", others},
       {"redactKeyFile", others, "others than its owner"}},
      {{"--redact-body", "a", "--redact-mode", "hash", "--redact-key-file", empty},
       {"redactKeyFile", "\" is empty"}},
      {{"--redact-body", "a", "--redact-mode", "hash", "--redact-key-file", "/nowhere"},
       {"redactKeyFile", "/nowhere", "No such file"}},
      {{"--redact-pattern", "a(b"}, {"redactPattern", "a(b", "missing )"}},
      {{"--redact-pattern", ""}, {"redactPattern", "empty"}},
      {{"--redact-mode", "rot13"}, {"redactMode", "mask, hash"}},
  };
  for (const auto& [arguments, words] : table) {
    std::vector<std::string> all = {"-r", kShop};
    all.insert(all.end(), arguments.begin(), arguments.end());
    const Finished run = run_sniffer(all);
    EXPECT_EQ(run.exit.code, 2) << testing::PrintToString(all);
    const std::string message = fatal_of(run)["message"];
    for (const std::string& word : words) {
      EXPECT_NE(message.find(word), std::string::npos) << word << " in: " << message;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::redaction_e2e_test
