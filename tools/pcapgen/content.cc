#include "content.h"

#include <zlib.h>

#include <array>
#include <cstddef>
#include <cstring>

namespace tcp_sniffer::pcapgen {
namespace {

// Enough different documents that no cache holds them all, few enough to be made in a moment.
constexpr int kJsonDocuments = 256;
constexpr int kPages = 64;
constexpr int kFiles = 24;
constexpr int kHeaderBlocks = 64;
constexpr std::size_t kGarbageBytes = 1U << 20U;

constexpr std::array<std::string_view, 32> kWords = {
    "order",   "shipment", "green",  "valley", "customer", "invoice",  "pending", "window",
    "harbour", "station",  "silver", "market", "delivery", "address",  "north",   "archive",
    "payment", "account",  "summer", "bridge", "ticket",   "garden",   "mirror",  "signal",
    "Zürich",  "café",     "naïve",  "東京",   "größe",    "jalapeño", "Łódź",    "Ωmega"};

std::string_view word(Random& random) {
  return kWords[random.below(kWords.size())];
}

std::string number(Random& random, std::uint64_t bound) {
  return std::to_string(random.below(bound));
}

std::string hex(Random& random, std::size_t digits) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text(digits, '0');
  for (char& digit : text) digit = kDigits[random.below(16)];
  return text;
}

std::string sentence(Random& random, std::uint64_t words) {
  std::string text;
  for (std::uint64_t i = 0; i < words; ++i) {
    if (i != 0) text += ' ';
    text += word(random);
  }
  return text;
}

std::string json_record(Random& random) {
  std::string text = "{\"id\":" + number(random, 10'000'000);
  text += ",\"name\":\"" + sentence(random, 2) + "\",\"email\":\"";
  text += word(random);
  text += "@example.com\",\"active\":";
  text += random.below(2) == 0 ? "true" : "false";
  text += ",\"price\":" + number(random, 1000) + "." + number(random, 100);
  text += ",\"tags\":[\"" + std::string(word(random)) + "\",\"" + std::string(word(random)) + "\"]";
  text += ",\"note\":\"a \\\"quoted\\\" " + sentence(random, 3) + "\\n\"";
  text += ",\"created\":\"2025-02-21T12:" + std::to_string(10 + random.below(50)) + ":00Z\"}";
  return text;
}

std::string json_text(Random& random, std::size_t bytes) {
  std::string text = "{\"status\":\"ok\",\"trace\":\"" + hex(random, 16) + "\",\"items\":[";
  while (text.size() + 2 < bytes) {
    text += json_record(random);
    text += ',';
  }
  if (text.back() == ',') text.pop_back();
  return text + "]}";
}

std::string page_text(Random& random, std::size_t bytes) {
  std::string text = "<!DOCTYPE html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\"><title>" +
                     sentence(random, 4) +
                     "</title>\n<link rel=\"stylesheet\" href=\"/static/site.css\"></head>\n"
                     "<body>\n";
  while (text.size() < bytes) {
    text += "<div class=\"card\" id=\"c" + number(random, 100000) + "\">\n\t<h3>" +
            sentence(random, 3) + "</h3>\n\t<p>" + sentence(random, 40) +
            ".</p>\n\t<a href=\"/items/" + number(random, 100000) +
            "?ref=list&amp;n=" + number(random, 100) + "\">" + std::string(word(random)) +
            "</a>\n</div>\n";
  }
  return text + "</body>\n</html>\n";
}

std::string binary(Random& random, std::string_view signature, std::size_t bytes) {
  std::string data(bytes, '\0');
  for (std::size_t at = 0; at < bytes; at += 8) {
    const std::uint64_t value = random.next();
    std::memcpy(&data[at], &value, std::min<std::size_t>(8, bytes - at));
  }
  std::memcpy(data.data(), signature.data(), std::min(signature.size(), bytes));
  return data;
}

std::string gzip(const std::string& plain) {
  z_stream stream{};
  // 15 bits of window, and 16 asks for the gzip wrapper.
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) return {};
  std::string packed(deflateBound(&stream, static_cast<uLong>(plain.size())), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(plain.data()));
  stream.avail_in = static_cast<uInt>(plain.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed;
}

}  // namespace

Content::Content(std::uint64_t seed, bool with_gzip) {
  Random random(seed ^ 0x636f6e74656e74U);
  make_documents(random);
  make_headers(random);
  make_garbage(random);
  if (!with_gzip) return;
  for (auto* group : {&json_, &small_json_, &tiny_json_, &pages_}) {
    for (Document& document : *group) document.packed = gzip(document.plain);
  }
}

void Content::make_documents(Random& random) {
  constexpr std::string_view kJson = "application/json; charset=utf-8";
  for (int i = 0; i < kJsonDocuments; ++i) {
    json_.push_back({kJson, "json", json_text(random, random.between(300, 3800)), {}});
    small_json_.push_back({kJson, "json", json_text(random, random.between(60, 500)), {}});
    tiny_json_.push_back({kJson, "json", "{\"seen\":" + number(random, 100000) + "}", {}});
  }
  for (int i = 0; i < kPages; ++i) {
    pages_.push_back({"text/html; charset=utf-8",
                      "html",
                      page_text(random, random.between(10'000, 60'000)),
                      {}});
  }
  struct Kind {
    std::string_view type, extension, signature;
  };
  using namespace std::string_view_literals;
  constexpr std::array<Kind, 3> kKinds = {
      Kind{"image/png", "png", "\x89PNG\r\n\x1a\n\0\0\0\rIHDR"sv},
      Kind{"application/gzip", "tar.gz", "\x1f\x8b\x08\0\0\0\0\0\0\x03"sv},
      Kind{"image/jpeg", "jpg", "\xff\xd8\xff\xe0\0\x10JFIF\0"sv}};
  for (std::size_t i = 0; i < kFiles; ++i) {
    const Kind& kind = kKinds[i % kKinds.size()];
    files_.push_back({kind.type,
                      kind.extension,
                      binary(random, kind.signature, random.between(200'000, 1'000'000)),
                      {}});
  }
}

void Content::make_headers(Random& random) {
  constexpr std::array<std::string_view, 4> kAgents = {
      "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
      "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
      "Chrome/133.0.0.0 Safari/537.36",
      "okhttp/4.12.0", "python-requests/2.31.0"};
  for (int i = 0; i < kHeaderBlocks; ++i) {
    const std::string host(i % 3 == 0 ? "api.shop.example" : "www.shop.example");
    std::string block = "Host: " + host + "\r\n";
    block += "User-Agent: " + std::string(kAgents[random.below(kAgents.size())]) + "\r\n";
    block += "Accept: application/json, text/html;q=0.9, */*;q=0.8\r\n";
    block += "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\n";
    block += "Referer: https://" + host + "/list?page=" + number(random, 40) + "\r\n";
    block +=
        "Cookie: session=" + hex(random, 32) + "; theme=dark; seen=" + number(random, 100) + "\r\n";
    block += "Connection: keep-alive\r\nCache-Control: no-cache\r\n";
    if (i % 2 == 0) block += "Sec-Fetch-Mode: cors\r\nSec-Fetch-Site: same-origin\r\n";
    if (i % 4 == 0) block += "X-Forwarded-For: 203.0.113." + number(random, 255) + "\r\n";
    if (i % 5 == 0) block += "If-None-Match: \"" + hex(random, 12) + "\"\r\n";
    request_headers_.push_back(block);

    block = "Server: nginx/1.22.1\r\nDate: Fri, 21 Feb 2025 12:00:00 GMT\r\n";
    block += "ETag: \"" + hex(random, 16) + "\"\r\n";
    block += i % 2 == 0 ? "Cache-Control: no-store\r\n" : "Cache-Control: public, max-age=600\r\n";
    block += "Vary: Accept-Encoding\r\nX-Content-Type-Options: nosniff\r\n";
    if (i % 3 == 0) block += "Strict-Transport-Security: max-age=31536000\r\n";
    if (i % 4 == 0) {
      block += "Set-Cookie: session=" + hex(random, 32) + "; Path=/; HttpOnly\r\n";
      block += "Set-Cookie: seen=" + number(random, 100) + "; Path=/\r\n";
    }
    response_headers_.push_back(block);
  }
}

void Content::make_garbage(Random& random) {
  garbage_ = binary(random, "\x16\x03\x01 not http", kGarbageBytes);
  for (std::size_t at = 1000; at + 100 < kGarbageBytes; at += random.between(3000, 30'000)) {
    constexpr std::string_view kLookalike = "HTTP/1. 200 no status line\r\n";
    std::memcpy(&garbage_[at], kLookalike.data(), kLookalike.size());
  }
}

}  // namespace tcp_sniffer::pcapgen
