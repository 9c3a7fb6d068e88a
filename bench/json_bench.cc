// The cost of a line: escaping by kind of text and of kernel, header blocks, whole lines.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "core/line/json_escape.h"
#include "core/line/json_string.h"
#include "core/line/message_line.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kTextSize = 60000;

std::string repeat_varied(std::mt19937& random, const std::vector<std::string>& parts) {
  std::string text;
  while (text.size() < kTextSize) {
    text += parts[random() % parts.size()];
    for (size_t i = random() % 12; i > 0; --i) text += static_cast<char>('a' + random() % 26);
  }
  text.resize(kTextSize);
  return text;
}

// What an API answers: short keys and values in quotes, no whitespace.
std::string json_text() {
  std::mt19937 random(1);
  return repeat_varied(random, {"{\"id\":", "\",\"name\":\"", "\",\"email\":\"", "\"},{\"id\":\"",
                                "\",\"created_at\":\"2025-02-21T12:00:00Z", "\",\"active\":true",
                                ",\"score\":12.75", ",\"tags\":[\"", "\",\"", "\"]"});
}

std::string html_text() {
  std::mt19937 random(2);
  return repeat_varied(
      random, {"<div class=\"container\">\n", "<p>Lorem ipsum dolor sit amet, consectetur ",
               "adipiscing elit, sed do eiusmod tempor incididunt ut labore et dolore magna ",
               "</p>\n  </div>\n", "<a href=\"https://www.example.com/some/path?x=1&amp;y=2\">",
               "</a>", "<li>", "</li>\n", "<span style='color:red'>", "</span>"});
}

// French-like HTML: a character outside ASCII now and then.
std::string utf8_text() {
  std::string text = html_text();
  for (size_t i = 30; i + 2 < text.size(); i += 61) text.replace(i, 2, "\u00e9");
  return text;
}

// Greek-like: most characters have two bytes.
std::string utf8_dense_text() {
  std::mt19937 random(3);
  std::string text;
  while (text.size() < kTextSize) {
    text += random() % 6 == 0 ? " " : "\u03b1";
  }
  return text;
}

// Text such as base64: nothing to escape.
std::string plain_text() {
  return std::string(kTextSize, 'A');
}

const EscapeKernels* kernels_at(int64_t index) {
  switch (index) {
    case 0:
      return &portable_escape_kernels();
    case 1:
      return avx2_escape_kernels();
    default:
      return avx512_escape_kernels();
  }
}

void escape(benchmark::State& state, std::string (*make_text)()) {
  const EscapeKernels* kernels = kernels_at(state.range(0));
  if (kernels == nullptr) return state.SkipWithError("not on this processor");
  state.SetLabel(kernels->name);
  const std::string text = make_text();
  const JsonStringWriter strings(*kernels);
  ScratchLine line;
  for (auto _ : state) {
    line.clear();
    benchmark::DoNotOptimize(strings.write_utf8(text, line));
  }
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK_CAPTURE(escape, json, json_text)->DenseRange(0, 2);
BENCHMARK_CAPTURE(escape, html, html_text)->DenseRange(0, 2);
BENCHMARK_CAPTURE(escape, utf8, utf8_text)->DenseRange(0, 2);
BENCHMARK_CAPTURE(escape, utf8_dense, utf8_dense_text)->DenseRange(0, 2);
BENCHMARK_CAPTURE(escape, plain, plain_text)->DenseRange(0, 2);

// Bytes that are no text: what it costs to find out.
void refuse_binary(benchmark::State& state) {
  std::mt19937 random(4);
  std::string bytes;
  for (size_t i = 0; i < kTextSize; ++i) bytes += static_cast<char>(random());
  const JsonStringWriter strings(escape_kernels());
  ScratchLine line;
  for (auto _ : state) benchmark::DoNotOptimize(strings.write_utf8(bytes, line));
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * bytes.size()));
}
BENCHMARK(refuse_binary);

const HeaderField kRequestHeaders[] = {
    {"Host", "api.example.com"},
    {"Connection", "keep-alive"},
    {"User-Agent",
     "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 "
     "Safari/537.36"},
    {"Accept", "application/json, text/plain, */*"},
    {"Accept-Encoding", "gzip, deflate, br"},
    {"Accept-Language", "en-US,en;q=0.9,de;q=0.8"},
    {"Referer", "https://www.example.com/dashboard/overview"},
    {"Cookie", "session=4f3b2a1908f7e6d5c4b3a291807f6e5d; theme=dark; consent=1"},
    {"X-Request-Id", "7f1c2d3e-4b5a-6978-8a9b-0c1d2e3f4a5b"},
    {"Cache-Control", "no-cache"},
    {"Pragma", "no-cache"},
    {"Sec-Fetch-Mode", "cors"},
};

const HeaderField kResponseHeaders[] = {
    {"Server", "nginx/1.22.1"},
    {"Date", "Fri, 21 Feb 2025 12:00:00 GMT"},
    {"Content-Type", "application/json; charset=utf-8"},
    {"Content-Length", "700"},
    {"Connection", "keep-alive"},
    {"ETag", "\"5f3-abcdef0123456789\""},
    {"Cache-Control", "private, max-age=0, must-revalidate"},
    {"Vary", "Accept-Encoding, Origin"},
    {"Strict-Transport-Security", "max-age=31536000; includeSubDomains"},
    {"X-Content-Type-Options", "nosniff"},
    {"X-Frame-Options", "SAMEORIGIN"},
    {"X-Request-Id", "7f1c2d3e-4b5a-6978-8a9b-0c1d2e3f4a5b"},
};

Message request() {
  Message message;
  message.method = "GET";
  message.target = "/v1/accounts/1234567/items?limit=50&offset=100";
  message.headers = kRequestHeaders;
  message.receiver = {kV4MappedPrefix, 80};
  message.destination = {kV4MappedPrefix, 51234};
  message.receiver.ip[12] = 192;
  message.destination.ip[12] = 10;
  message.connection_id = 0x0123456789abcdef;
  message.exchange = 17;
  message.first_byte_ns = 1740139200123456789;
  message.last_byte_ns = 1740139200123456789;
  return message;
}

Message response(std::string_view body) {
  Message message = request();
  message.direction = MessageDirection::kResponse;
  message.status = 200;
  message.reason = "OK";
  message.headers = kResponseHeaders;
  message.body = body;
  message.body_size = body.size();
  message.last_byte_ns += 1234567;
  message.has_latency = true;
  message.latency_ns = 4567890;
  return message;
}

void write_line(benchmark::State& state, const Message& message, LineOptions options = {}) {
  const EscapeKernels* kernels = kernels_at(state.range(0));
  if (kernels == nullptr) return state.SkipWithError("not on this processor");
  state.SetLabel(kernels->name);
  MessageLineWriter writer(options, *kernels);
  ScratchLine line;
  Message moving = message;
  for (auto _ : state) {
    line.clear();
    moving.first_byte_ns += 1000;
    moving.last_byte_ns += 1000;
    writer.write(moving, line);
    benchmark::DoNotOptimize(line.size());
  }
  state.counters["line"] = static_cast<double>(line.size());
}

void request_line(benchmark::State& state) {
  write_line(state, request());
}
BENCHMARK(request_line)->DenseRange(0, 2);

void response_line_without_body(benchmark::State& state) {
  Message message = response({});
  message.body_kept = false;
  message.body_size = 700;
  write_line(state, message);
}
BENCHMARK(response_line_without_body)->DenseRange(0, 2);

void response_line_with_700_bytes_of_json(benchmark::State& state) {
  const std::string body = json_text().substr(0, 700);
  write_line(state, response(body));
}
BENCHMARK(response_line_with_700_bytes_of_json)->DenseRange(0, 2);

void response_line_with_two_cookies(benchmark::State& state) {
  std::vector<HeaderField> headers(std::begin(kResponseHeaders), std::end(kResponseHeaders));
  headers.push_back({"Set-Cookie", "session=4f3b2a1908f7e6d5; Path=/; HttpOnly"});
  headers.push_back({"Set-Cookie", "theme=dark; Path=/"});
  Message message = response({});
  message.headers = headers;
  write_line(state, message);
}
BENCHMARK(response_line_with_two_cookies)->DenseRange(0, 2);

void framed_response_with_60_kb_of_json(benchmark::State& state) {
  const std::string body = json_text();
  LineOptions options;
  options.format = LineOptions::kFramed;
  write_line(state, response(body), options);
}
BENCHMARK(framed_response_with_60_kb_of_json)->DenseRange(2, 2);

// A head in one piece, as it comes from the wire, or text by text, as after redaction.
void packed_record(benchmark::State& state, bool as_sent, std::string_view body) {
  std::string head = "HTTP/1.1 200 OK\r\n";
  for (const HeaderField& field : kResponseHeaders) {
    head.append(field.name).append(": ").append(field.value).append("\r\n");
  }
  const std::string_view all = head;
  std::vector<HeaderField> headers;
  for (const HeaderField& field : kResponseHeaders) {
    headers.push_back({all.substr(all.find(field.name), field.name.size()),
                       all.substr(all.find(field.value), field.value.size())});
  }
  Message message = response(body);
  message.reason = all.substr(13, 2);
  message.headers = headers;
  if (as_sent) message.head = all;
  LineOptions options;
  options.format = LineOptions::kPacked;
  write_line(state, message, options);
}

void packed_response_without_body(benchmark::State& state) {
  packed_record(state, true, {});
}
BENCHMARK(packed_response_without_body)->DenseRange(2, 2);

void packed_response_without_body_text_by_text(benchmark::State& state) {
  packed_record(state, false, {});
}
BENCHMARK(packed_response_without_body_text_by_text)->DenseRange(2, 2);

void packed_response_with_60_kb_of_json(benchmark::State& state) {
  const std::string body = json_text();
  packed_record(state, true, body);
}
BENCHMARK(packed_response_with_60_kb_of_json)->DenseRange(2, 2);

// A thousand headers whose names are all different: the search for repeats must not be quadratic.
void request_line_with_a_thousand_headers(benchmark::State& state) {
  std::vector<std::string> names;
  for (int i = 0; i < 1000; ++i) names.push_back("x-" + std::to_string(i));
  std::vector<HeaderField> headers;
  for (const std::string& name : names) headers.push_back({name, "v"});
  Message message = request();
  message.headers = headers;
  write_line(state, message);
}
BENCHMARK(request_line_with_a_thousand_headers)->DenseRange(2, 2);

}  // namespace
}  // namespace tcp_sniffer
