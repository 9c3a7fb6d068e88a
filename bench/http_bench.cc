// The HTTP parts alone: the head reader beside llhttp with all its callbacks over the same heads,
// the chunked decoder, and the search for messages. llhttp runs twice: as the head reader does, to
// hand out every part, and with no callback at all, which is the least it can cost.

#include <benchmark/benchmark.h>

#include <array>
#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "core/base/byte_search.h"
#include "core/http/chunked_decoder.h"
#include "core/http/framing.h"
#include "core/http/head.h"
#include "core/http/message_finder.h"
#include "llhttp.h"

namespace tcp_sniffer {
namespace {

const std::string kBrowserRequest =
    "GET /assets/app.4f2a9c1b.js?v=20250221 HTTP/1.1\r\n"
    "Host: www.example.com\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/133.0.0.0 Safari/537.36\r\n"
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;"
    "q=0.8\r\n"
    "Accept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate, br, zstd\r\n"
    "Referer: https://www.example.com/index.html\r\n"
    "Connection: keep-alive\r\n"
    "Cookie: session=eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0; "
    "theme=dark; _ga=GA1.1.1234567890.1700000000\r\n"
    "Upgrade-Insecure-Requests: 1\r\n"
    "Sec-Fetch-Dest: document\r\n"
    "Sec-Fetch-Mode: navigate\r\n"
    "Sec-Fetch-Site: same-origin\r\n"
    "If-None-Match: \"67b8a1f2-1a2b\"\r\n"
    "\r\n";

const std::string kServiceRequest =
    "POST /v1/orders HTTP/1.1\r\n"
    "Host: orders.internal:8080\r\n"
    "Content-Type: application/json\r\n"
    "Accept: */*\r\n"
    "X-Request-Id: 6f1c2a4e-9b7d-4f0a-8c3e-2d5b6a7c8e9f\r\n"
    "Content-Length: 0\r\n"
    "\r\n";

const std::string kResponse =
    "HTTP/1.1 200 OK\r\n"
    "Server: nginx/1.22.1\r\n"
    "Date: Fri, 21 Feb 2025 12:00:00 GMT\r\n"
    "Content-Type: text/html; charset=utf-8\r\n"
    "Content-Length: 0\r\n"
    "Last-Modified: Fri, 21 Feb 2025 11:00:00 GMT\r\n"
    "Connection: keep-alive\r\n"
    "ETag: \"67b8a1f2-0\"\r\n"
    "Cache-Control: public, max-age=3600\r\n"
    "Strict-Transport-Security: max-age=31536000; includeSubDomains\r\n"
    "Accept-Ranges: bytes\r\n"
    "\r\n";

const std::string& head_of(int64_t index) {
  const std::string* heads[] = {&kBrowserRequest, &kServiceRequest, &kResponse};
  return *heads[index];
}

void count_heads(benchmark::State& state, const std::string& head) {
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(head.size()));
  state.SetItemsProcessed(state.iterations());
}

void head_reader(benchmark::State& state) {
  const std::string& head = head_of(state.range(0));
  HeadReader reader(262144, 1000);
  HttpHead read;
  for (auto _ : state) {
    HeadProgress progress;
    benchmark::DoNotOptimize(reader.read(head, progress, read));
    const Framing framing = read.start.kind == StartLineKind::kRequest
                                ? request_framing(read)
                                : response_framing(read, RequestMethodKind::kOther);
    benchmark::DoNotOptimize(framing);
  }
  count_heads(state, head);
}
BENCHMARK(head_reader)->DenseRange(0, 2);

// What a consumer of llhttp must do to hold the same result: remember the parts it is told.
struct LlhttpHead {
  std::array<HeaderField, 1000> fields;
  size_t count = 0;
  std::string_view method, target, reason;
  bool complete = false;
};

LlhttpHead& head_in(llhttp_t* parser) {
  return *static_cast<LlhttpHead*>(parser->data);
}

llhttp_settings_t settings_with_callbacks() {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_message_begin = [](llhttp_t* p) {
    head_in(p).count = 0;
    return 0;
  };
  settings.on_method = [](llhttp_t* p, const char* at, size_t size) {
    head_in(p).method = {at, size};
    return 0;
  };
  settings.on_url = [](llhttp_t* p, const char* at, size_t size) {
    head_in(p).target = {at, size};
    return 0;
  };
  settings.on_status = [](llhttp_t* p, const char* at, size_t size) {
    head_in(p).reason = {at, size};
    return 0;
  };
  settings.on_header_field = [](llhttp_t* p, const char* at, size_t size) {
    head_in(p).fields[head_in(p).count].name = {at, size};
    return 0;
  };
  settings.on_header_value = [](llhttp_t* p, const char* at, size_t size) {
    head_in(p).fields[head_in(p).count].value = {at, size};
    return 0;
  };
  settings.on_header_value_complete = [](llhttp_t* p) {
    ++head_in(p).count;
    return 0;
  };
  settings.on_headers_complete = [](llhttp_t* p) {
    head_in(p).complete = true;
    return 0;
  };
  settings.on_message_complete = [](llhttp_t*) { return 0; };
  return settings;
}

void run_llhttp(benchmark::State& state, const llhttp_settings_t& settings) {
  const std::string& head = head_of(state.range(0));
  auto parts = std::make_unique<LlhttpHead>();
  llhttp_t parser;
  llhttp_init(&parser, head.starts_with("HTTP/") ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
  parser.data = parts.get();
  for (auto _ : state) {
    if (llhttp_execute(&parser, head.data(), head.size()) != HPE_OK) state.SkipWithError("refused");
    benchmark::DoNotOptimize(parts->count);
  }
  count_heads(state, head);
}

void llhttp_with_all_callbacks(benchmark::State& state) {
  const llhttp_settings_t settings = settings_with_callbacks();
  run_llhttp(state, settings);
}
BENCHMARK(llhttp_with_all_callbacks)->DenseRange(0, 2);

void llhttp_without_callbacks(benchmark::State& state) {
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  run_llhttp(state, settings);
}
BENCHMARK(llhttp_without_callbacks)->DenseRange(0, 2);

// A head that comes one byte at a time: the cost must stay linear in its size.
void head_reader_byte_by_byte(benchmark::State& state) {
  std::string head = "GET / HTTP/1.1\r\n";
  while (head.size() < static_cast<size_t>(state.range(0))) head += "X-Field: some value\r\n";
  head += "\r\n";
  HeadReader reader(1 << 20, 100000);
  HttpHead read;
  for (auto _ : state) {
    HeadProgress progress;
    for (size_t size = 1; size <= head.size(); ++size) {
      benchmark::DoNotOptimize(reader.read(std::string_view(head).substr(0, size), progress, read));
    }
  }
  count_heads(state, head);
}
BENCHMARK(head_reader_byte_by_byte)->Arg(4096)->Arg(65536);

std::string chunked_body(size_t chunk_bytes) {
  char size[32];
  std::snprintf(size, sizeof(size), "%zx\r\n", chunk_bytes);
  std::string body;
  while (body.size() < (1 << 20)) body.append(size).append(chunk_bytes, 'x').append("\r\n");
  return body + "0\r\n\r\n";
}

void chunked_decoder(benchmark::State& state) {
  const std::string body = chunked_body(static_cast<size_t>(state.range(0)));
  ChunkedDecoder decoder;
  size_t decoded = 0;
  for (auto _ : state) {
    decoder.start();
    std::string_view input = body, piece;
    while (decoder.next(input, piece) == ChunkedDecoder::Event::kBody) decoded += piece.size();
  }
  benchmark::DoNotOptimize(decoded);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(chunked_decoder)->Arg(16)->Arg(1024)->Arg(16384);

void chunked_llhttp(benchmark::State& state) {
  const std::string body = chunked_body(static_cast<size_t>(state.range(0)));
  constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
  llhttp_settings_t settings;
  llhttp_settings_init(&settings);
  settings.on_body = [](llhttp_t* p, const char*, size_t size) {
    *static_cast<size_t*>(p->data) += size;
    return 0;
  };
  size_t decoded = 0;
  llhttp_t parser;
  llhttp_init(&parser, HTTP_REQUEST, &settings);
  parser.data = &decoded;
  for (auto _ : state) {
    llhttp_execute(&parser, kHead.data(), kHead.size());
    if (llhttp_execute(&parser, body.data(), body.size()) != HPE_OK) state.SkipWithError("refused");
  }
  benchmark::DoNotOptimize(decoded);
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(body.size()));
}
BENCHMARK(chunked_llhttp)->Arg(16)->Arg(1024)->Arg(16384);

constexpr size_t kGarbageBytes = 64 << 20;

std::string repeated(std::string_view text) {
  std::string bytes;
  bytes.reserve(kGarbageBytes + text.size());
  while (bytes.size() < kGarbageBytes) bytes += text;
  return bytes;
}

std::string random_bytes() {
  std::mt19937_64 random(1);
  std::string bytes(kGarbageBytes, '\0');
  for (size_t i = 0; i + 8 <= bytes.size(); i += 8) {
    const uint64_t word = random();
    bytes.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
  }
  return bytes;
}

// Searches the garbage in pieces of a segment's size. A candidate is judged at once and the search
// started again behind its first line, as a stream does it.
void search_pieces(benchmark::State& state, const std::string& garbage, size_t piece_bytes) {
  std::array<char, MessageFinder::kSearchLineMax> buffer;
  int64_t candidates = 0;
  for (auto _ : state) {
    MessageFinder finder;
    finder.start(buffer, MessageFinder::StartsAt::kGap);
    for (size_t at = 0; at < garbage.size(); at += piece_bytes) {
      std::string_view piece = std::string_view(garbage).substr(at, piece_bytes);
      for (;;) {
        const MessageFinder::Candidate candidate = finder.search(piece);
        if (!candidate.found) break;
        ++candidates;
        piece.remove_prefix(candidate.offset + candidate.line_bytes - candidate.kept.size());
        finder.start(buffer, MessageFinder::StartsAt::kBehindLineFeed);
      }
    }
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(garbage.size()));
  state.counters["candidates"] =
      benchmark::Counter(static_cast<double>(candidates), benchmark::Counter::kAvgIterations);
}

void find_in_random_bytes(benchmark::State& state) {
  static const std::string garbage = random_bytes();
  search_pieces(state, garbage, static_cast<size_t>(state.range(0)));
}
BENCHMARK(find_in_random_bytes)->Arg(1460)->Arg(65536)->Unit(benchmark::kMillisecond);

void find_in_html(benchmark::State& state) {
  static const std::string garbage =
      repeated("<li><a href=\"/path/to/page.html\">A link, 12 words: PHP/5 P/E HTTP/2 text</a>\n");
  search_pieces(state, garbage, 1460);
}
BENCHMARK(find_in_html)->Unit(benchmark::kMillisecond);

// Adversaries: every seven bytes a hit, without and with line feeds; and every line a candidate.
void find_among_versions(benchmark::State& state) {
  static const std::string garbage = repeated("HTTP/1.");
  search_pieces(state, garbage, static_cast<size_t>(state.range(0)));
}
BENCHMARK(find_among_versions)->Arg(1)->Arg(1460)->Arg(65536)->Unit(benchmark::kMillisecond);

void find_among_version_lines(benchmark::State& state) {
  static const std::string garbage = repeated("HTTP/1.\n");
  search_pieces(state, garbage, 1460);
}
BENCHMARK(find_among_version_lines)->Unit(benchmark::kMillisecond);

void find_among_start_lines(benchmark::State& state) {
  static const std::string garbage = repeated("GET / HTTP/1.1\n");
  search_pieces(state, garbage, 1460);
}
BENCHMARK(find_among_start_lines)->Unit(benchmark::kMillisecond);

void find_http_version_alone(benchmark::State& state) {
  static const std::string garbage = random_bytes();
  for (auto _ : state) {
    benchmark::DoNotOptimize(state.range(0) == 0 ? find_http_version(garbage, 0)
                                                 : find_http_version_portable(garbage, 0));
  }
  state.SetBytesProcessed(state.iterations() * static_cast<int64_t>(garbage.size()));
}
BENCHMARK(find_http_version_alone)->Arg(0)->Arg(1)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tcp_sniffer
