#include "exchange.h"

#include <array>
#include <charconv>

namespace tcp_sniffer::pcapgen {
namespace {

// A short text on the stack; appending past its end is cut, which its size rules out.
class Line {
 public:
  Line& operator<<(std::string_view text) {
    const std::size_t bytes = std::min(text.size(), buffer_.size() - used_);
    std::memcpy(buffer_.data() + used_, text.data(), bytes);
    used_ += bytes;
    return *this;
  }
  Line& operator<<(std::uint64_t number) { return append(number, 10); }
  Line& hex(std::uint64_t number) { return append(number, 16); }
  std::string_view view() const { return {buffer_.data(), used_}; }

 private:
  Line& append(std::uint64_t number, int base) {
    const auto [end, status] =
        std::to_chars(buffer_.data() + used_, buffer_.data() + buffer_.size(), number, base);
    if (status == std::errc{}) used_ = static_cast<std::size_t>(end - buffer_.data());
    return *this;
  }

  std::array<char, 512> buffer_;
  std::size_t used_ = 0;
};

std::string_view method_of(Exchange::Kind kind) {
  if (kind == Exchange::Kind::kPost) return "POST";
  if (kind == Exchange::Kind::kHead) return "HEAD";
  if (kind == Exchange::Kind::kNoContent) return "DELETE";
  return "GET";
}

std::string_view status_line_of(Exchange::Kind kind) {
  switch (kind) {
    case Exchange::Kind::kPost:
      return "HTTP/1.1 201 Created\r\n";
    case Exchange::Kind::kNoContent:
      return "HTTP/1.1 204 No Content\r\n";
    case Exchange::Kind::kNotModified:
      return "HTTP/1.1 304 Not Modified\r\n";
    case Exchange::Kind::kNotFound:
      return "HTTP/1.1 404 Not Found\r\n";
    default:
      return "HTTP/1.1 200 OK\r\n";
  }
}

bool is_tiny(Workload workload) {
  return workload == Workload::kTiny || workload == Workload::kIdle;
}

bool has_body(Exchange::Kind kind) {
  return kind == Exchange::Kind::kGet || kind == Exchange::Kind::kPost ||
         kind == Exchange::Kind::kNotFound;
}

}  // namespace

Exchange ExchangeWriter::choose(Workload workload, bool last_of_connection, Random& random) {
  Exchange exchange;
  exchange.id = next_id_++;
  choose_answer(workload, random, exchange);
  if (random.chance(options_.bodyless)) {
    constexpr std::array<Exchange::Kind, 3> kKinds = {
        Exchange::Kind::kHead, Exchange::Kind::kNoContent, Exchange::Kind::kNotModified};
    exchange.kind = kKinds[random.below(kKinds.size())];
  } else if (random.chance(options_.post)) {
    exchange.kind = Exchange::Kind::kPost;
    exchange.upload =
        is_tiny(workload) ? &content_.tiny_json(random) : &content_.small_json(random);
  } else if (options_.workload == Workload::kMixed && random.chance(0.02)) {
    exchange.kind = Exchange::Kind::kNotFound;
  }
  exchange.gzip = !exchange.answer->packed.empty() && random.chance(options_.gzip);
  exchange.until_close =
      last_of_connection && has_body(exchange.kind) && random.chance(options_.until_close);
  exchange.chunked = !exchange.until_close && random.chance(options_.chunked);
  return exchange;
}

void ExchangeWriter::choose_answer(Workload workload, Random& random, Exchange& exchange) {
  if (is_tiny(workload)) {
    exchange.answer = &content_.tiny_json(random);
  } else if (workload != Workload::kBulk) {
    exchange.answer = &content_.small_json(random);
  } else if (const std::uint64_t dice = random.below(10); dice < 6) {
    exchange.answer = &content_.json(random);
  } else if (dice < 9) {
    exchange.answer = &content_.page(random);
  } else {
    exchange.answer = &content_.file(random);
  }
}

void ExchangeWriter::append_request(const Exchange& exchange, Workload workload, Random& random,
                                    Batch& batch) {
  Message message;
  message.request = true;
  message.begin = batch.bytes();
  message.header_at = batch.text().size();
  Line line;
  line << method_of(exchange.kind);
  if (exchange.kind == Exchange::Kind::kPost) {
    line << " /api/v2/orders?source=web&n=";
  } else if (exchange.answer->extension == "json") {
    line << " /api/v2/items?page=" << random.below(100) << "&limit=50&sort=-created&n=";
  } else {
    line << " /static/" << exchange.answer->extension << "/item." << exchange.answer->extension
         << "?n=";
  }
  line << exchange.id << " HTTP/1.1\r\n";
  batch.add_text(line.view());
  if (is_tiny(workload)) {
    batch.add_text("Host: push.shop.example\r\nAccept: application/json\r\n");
  } else {
    batch.add_text(content_.request_headers(random));
  }
  Line tail;
  (tail << "X-Request-Id: ").hex(Random::mix(exchange.id)) << "\r\n";
  if (exchange.upload != nullptr) {
    tail << "Content-Type: " << exchange.upload->content_type
         << "\r\nContent-Length: " << exchange.upload->plain.size() << "\r\n";
    message.body = exchange.upload->plain;
  }
  tail << "\r\n";
  batch.add_text(tail.view());
  message.header_bytes = batch.text().size() - message.header_at;
  batch.add_view(message.body);
  message.end = batch.bytes();
  batch.messages.push_back(message);
}

void ExchangeWriter::append_response(const Exchange& exchange, Workload workload, Random& random,
                                     Batch& batch) {
  Message message;
  message.begin = batch.bytes();
  message.header_at = batch.text().size();
  const std::string_view body = exchange.gzip ? exchange.answer->packed : exchange.answer->plain;
  if (has_body(exchange.kind)) message.body = body;

  batch.add_text(status_line_of(exchange.kind));
  if (is_tiny(workload)) {
    batch.add_text("Server: push\r\n");
  } else {
    batch.add_text(content_.response_headers(random));
  }
  Line tail;
  (tail << "X-Request-Id: ").hex(Random::mix(exchange.id)) << "\r\n";
  if (exchange.kind != Exchange::Kind::kNoContent) {
    tail << "Content-Type: " << exchange.answer->content_type << "\r\n";
    if (exchange.gzip) tail << "Content-Encoding: gzip\r\n";
    if (exchange.until_close) {
      tail << "Connection: close\r\n";
    } else if (exchange.chunked) {
      tail << "Transfer-Encoding: chunked\r\n";
    } else {
      tail << "Content-Length: " << body.size() << "\r\n";
    }
  }
  tail << "\r\n";
  batch.add_text(tail.view());
  message.header_bytes = batch.text().size() - message.header_at;
  if (exchange.chunked && has_body(exchange.kind)) {
    append_chunked(body, random, batch);
  } else {
    batch.add_view(message.body);
  }
  message.end = batch.bytes();
  batch.messages.push_back(message);
}

void ExchangeWriter::append_chunked(std::string_view body, Random& random, Batch& batch) {
  while (!body.empty()) {
    const std::size_t bytes =
        std::min(body.size(), static_cast<std::size_t>(random.between(256, 16384)));
    Line size;
    size.hex(bytes) << "\r\n";
    batch.add_text(size.view());
    batch.add_view(body.substr(0, bytes));
    batch.add_text("\r\n");
    body.remove_prefix(bytes);
  }
  batch.add_text("0\r\n\r\n");
}

}  // namespace tcp_sniffer::pcapgen
