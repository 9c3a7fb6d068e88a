#pragma once

#include <llhttp.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace peers {

// Lines leave in pieces of 1 MiB. One for the whole program.
class Output {
 public:
  Output() { buffer_.reserve(kPieceBytes + 65536); }
  ~Output() { flush(); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void add(std::string_view line) {
    buffer_ += line;
    if (buffer_.size() >= kPieceBytes) flush();
  }
  void flush();

 private:
  static constexpr std::size_t kPieceBytes = 1U << 20U;
  std::string buffer_;
};

// The two llhttp parsers of one connection. Prints one JSON line for each message with all its
// headers and the size of its body. Does what a careful user of llhttp does and no more: HEAD, 1xx,
// 204 and 304 have no body; a stream that is not HTTP is given up; nothing is searched after a
// loss.
class ConnectionPrinter {
 public:
  ConnectionPrinter(std::string_view client, std::string_view server, Output& output);
  ConnectionPrinter(const ConnectionPrinter&) = delete;
  ConnectionPrinter& operator=(const ConnectionPrinter&) = delete;

  void client_data(const char* data, std::size_t bytes) { execute(request_, data, bytes); }
  void server_data(const char* data, std::size_t bytes) { execute(response_, data, bytes); }
  // Bodies that last until the connection ends are complete now.
  void finish();

 private:
  struct Direction {
    llhttp_t parser;
    ConnectionPrinter* connection;
    std::string line;
    std::string name;
    std::string value;
    std::string target;
    std::uint64_t body_bytes;
    bool given_up;
  };

  static const llhttp_settings_t& settings();
  static Direction& direction(llhttp_t* parser);
  static int on_begin(llhttp_t* parser);
  static int on_url(llhttp_t* parser, const char* at, std::size_t bytes);
  static int on_status(llhttp_t* parser, const char* at, std::size_t bytes);
  static int on_name(llhttp_t* parser, const char* at, std::size_t bytes);
  static int on_value(llhttp_t* parser, const char* at, std::size_t bytes);
  static int on_value_complete(llhttp_t* parser);
  static int on_headers_complete(llhttp_t* parser);
  static int on_body(llhttp_t* parser, const char* at, std::size_t bytes);
  static int on_complete(llhttp_t* parser);
  static void execute(Direction& direction, const char* data, std::size_t bytes);

  Output& output_;
  std::string endpoints_;
  Direction request_;
  Direction response_;
  std::vector<std::uint8_t> methods_;  // of requests without a response yet
  std::size_t methods_answered_ = 0;
};

}  // namespace peers
