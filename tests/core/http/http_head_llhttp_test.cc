// llhttp as the oracle of the head reader: where llhttp accepts a head, both must read the same.

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <utility>
#include <vector>

#include "core/http/framing.h"
#include "core/http/head.h"
#include "llhttp.h"

namespace tcp_sniffer::http_head_llhttp_test {
namespace {

struct Oracle {
  bool complete = false;
  size_t size = 0;
  std::string method, target, reason;
  int status = 0;
  int minor = 0;
  std::vector<std::pair<std::string, std::string>> fields;
  bool chunked = false;
  bool has_length = false;
  uint64_t length = 0;
  bool value_open = false;
};

Oracle& oracle_in(llhttp_t* parser) {
  return *static_cast<Oracle*>(parser->data);
}

llhttp_settings_t oracle_settings() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_method = [](llhttp_t* p, const char* at, size_t size) {
    oracle_in(p).method.append(at, size);
    return 0;
  };
  settings.on_url = [](llhttp_t* p, const char* at, size_t size) {
    oracle_in(p).target.append(at, size);
    return 0;
  };
  settings.on_status = [](llhttp_t* p, const char* at, size_t size) {
    oracle_in(p).reason.append(at, size);
    return 0;
  };
  settings.on_header_field = [](llhttp_t* p, const char* at, size_t size) {
    Oracle& oracle = oracle_in(p);
    if (oracle.fields.empty() || oracle.value_open) oracle.fields.emplace_back();
    oracle.value_open = false;
    oracle.fields.back().first.append(at, size);
    return 0;
  };
  settings.on_header_value = [](llhttp_t* p, const char* at, size_t size) {
    oracle_in(p).value_open = true;
    oracle_in(p).fields.back().second.append(at, size);
    return 0;
  };
  settings.on_header_value_complete = [](llhttp_t* p) {
    oracle_in(p).value_open = true;
    return 0;
  };
  settings.on_headers_complete = [](llhttp_t* p) {
    Oracle& oracle = oracle_in(p);
    oracle.complete = p->http_major == 1 && (p->type == HTTP_REQUEST || p->status_code >= 100);
    oracle.status = p->status_code;
    oracle.minor = p->http_minor;
    oracle.chunked = (p->flags & F_CHUNKED) != 0;
    oracle.has_length = (p->flags & F_CONTENT_LENGTH) != 0;
    oracle.length = p->content_length;
    return static_cast<int>(HPE_PAUSED);
  };
  return settings;
}

Oracle oracle_of(const std::string& head) {
  const llhttp_settings_t settings = oracle_settings();
  Oracle oracle;
  llhttp_t parser;
  llhttp_init(&parser, head.starts_with("HTTP/") ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
  llhttp_set_lenient_headers(&parser, 1);
  llhttp_set_lenient_chunked_length(&parser, 1);
  llhttp_set_lenient_transfer_encoding(&parser, 1);
  parser.data = &oracle;
  llhttp_execute(&parser, head.data(), head.size());
  return oracle;
}

std::string trimmed(std::string text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\r'; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  while (!text.empty() && is_space(text.front())) text.erase(0, 1);
  return text;
}

// llhttp joins a folded value without its line breaks.
std::string unfolded(std::string_view value) {
  std::string text;
  for (const char c : value) {
    if (c != '\r' && c != '\n') text += c;
  }
  return text;
}

void expect_same(const std::string& bytes, const Oracle& oracle) {
  HeadReader reader(65536, 100);
  HeadProgress progress;
  HttpHead head;
  ASSERT_EQ(reader.read(bytes, progress, head), HeadStatus::kComplete) << bytes;
  if (head.start.kind == StartLineKind::kRequest) {
    EXPECT_EQ(head.start.method, oracle.method) << bytes;
    EXPECT_EQ(head.start.target, trimmed(oracle.target)) << bytes;
  } else {
    EXPECT_EQ(head.start.status, oracle.status) << bytes;
    EXPECT_EQ(head.start.reason, trimmed(oracle.reason)) << bytes;
  }
  EXPECT_EQ(head.start.version_minor, oracle.minor) << bytes;
  ASSERT_EQ(head.fields.size(), oracle.fields.size()) << bytes;
  for (size_t i = 0; i < head.fields.size(); ++i) {
    EXPECT_EQ(head.fields[i].name, trimmed(oracle.fields[i].first)) << bytes;
    EXPECT_EQ(unfolded(head.fields[i].value), trimmed(oracle.fields[i].second)) << bytes;
  }
  const Framing framing = request_framing(head);
  if (head.start.version_minor == 1) {
    EXPECT_EQ(framing.kind == BodyKind::kChunked, oracle.chunked) << bytes;
    if (oracle.has_length && !oracle.chunked) {
      EXPECT_EQ(framing.length, oracle.length) << bytes;
    }
  }
}

const std::string_view kStarts[] = {
    "GET / HTTP/1.1",   "POST /a/b?c=d&e=%20 HTTP/1.1",    "OPTIONS * HTTP/1.1",
    "HEAD /x HTTP/1.0", "GET http://a.example/b HTTP/1.1", "PROPFIND /dav HTTP/1.1",
    "HTTP/1.1 200 OK",  "HTTP/1.0 404 Not Found",          "HTTP/1.1 304 Not Modified",
    "HTTP/1.1 500",
};
const std::string_view kFields[] = {
    "Host: a.example",
    "Content-Length: 17",
    "Transfer-Encoding: chunked",
    "Connection: keep-alive",
    "Connection: Upgrade, close",
    "Upgrade: websocket",
    "Cookie: a=b; c=\"d:e\"",
    "X-Empty:",
    "X-Blank:   ",
    "X-Padded: \t  v a l \t ",
    "x-folded: one\r\n two\r\n\tthree",
    "X-Url: http://x/y:z",
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
};

TEST(HeadReaderAndLlhttp, ReadTheSameFromRegularHeads) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 4000; ++round) {
    std::string head(kStarts[random() % std::size(kStarts)]);
    head += "\r\n";
    bool has_framing = false;
    for (size_t i = random() % 12; i > 0; --i) {
      const std::string_view field = kFields[random() % std::size(kFields)];
      const bool is_framing = field.starts_with("Content-L") || field.starts_with("Transfer");
      if (is_framing && std::exchange(has_framing, true)) continue;
      head.append(field).append("\r\n");
    }
    head += "\r\n";
    const Oracle oracle = oracle_of(head);
    ASSERT_TRUE(oracle.complete) << head;
    ASSERT_NO_FATAL_FAILURE(expect_same(head, oracle));
  }
}

// Damaged heads: llhttp refuses most of them; what it accepts must be read alike. It takes any byte
// behind a CR for the LF, so line ends are only added, and HTTP/0.9 with fields and statuses below
// 100, which are left out.
TEST(HeadReaderAndLlhttp, ReadTheSameFromDamagedHeadsThatLlhttpAccepts) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view alphabet = "aZ09-_ \t:;,/\"\n?=.";
  size_t compared = 0;
  for (int round = 0; round < 100000; ++round) {
    std::string head(kStarts[random() % std::size(kStarts)]);
    head += "\r\nHost: a\r\nX-Y: some value\r\nContent-Length: 12\r\n\r\n";
    for (size_t i = 1 + random() % 2; i > 0; --i) {
      const size_t at = random() % (head.size() - 4);
      if (head[at] == '\r' || head[at] == '\n') continue;
      head[at] = alphabet[random() % alphabet.size()];
    }
    if (head.find(" \n") != std::string::npos || head.find("\t\n") != std::string::npos) continue;
    const Oracle oracle = oracle_of(head);
    if (!oracle.complete) continue;
    ++compared;
    ASSERT_NO_FATAL_FAILURE(expect_same(head, oracle));
  }
  EXPECT_GT(compared, 10000u);
}

}  // namespace
}  // namespace tcp_sniffer::http_head_llhttp_test
