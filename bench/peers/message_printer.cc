#include "message_printer.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>

namespace peers {
namespace {

constexpr std::array<bool, 256> make_plain() {
  std::array<bool, 256> plain{};
  for (std::size_t byte = 0; byte < 256; ++byte) {
    plain[byte] = byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\';
  }
  return plain;
}
constexpr std::array<bool, 256> kPlain = make_plain();

void append_escaped(std::string_view text, std::string& out) {
  std::size_t run = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const auto byte = static_cast<unsigned char>(text[at]);
    if (kPlain[byte]) continue;
    out.append(text, run, at - run);
    char escape[8];
    std::snprintf(escape, sizeof escape, "\\u%04x", byte);
    out += escape;
    run = at + 1;
  }
  out.append(text, run);
}

void append_lower(std::string_view text, std::string& out) {
  for (const char letter : text) {
    out += letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
  }
}

}  // namespace

void Output::flush() {
  std::size_t done = 0;
  while (done != buffer_.size()) {
    const ssize_t bytes = ::write(STDOUT_FILENO, buffer_.data() + done, buffer_.size() - done);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) {
      std::perror("standard output");
      std::_Exit(1);
    }
    done += static_cast<std::size_t>(bytes);
  }
  buffer_.clear();
}

ConnectionPrinter::ConnectionPrinter(std::string_view client, std::string_view server,
                                     Output& output)
    : output_(output) {
  endpoints_.append("{\"client\":\"").append(client);
  endpoints_.append("\",\"server\":\"").append(server).append("\",\"direction\":\"");
  for (Direction* side : {&request_, &response_}) {
    llhttp_init(&side->parser, side == &request_ ? HTTP_REQUEST : HTTP_RESPONSE, &settings());
    side->parser.data = side;
    side->connection = this;
    side->body_bytes = 0;
    side->given_up = false;
  }
}

const llhttp_settings_t& ConnectionPrinter::settings() {
  static const llhttp_settings_t kSettings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_message_begin = on_begin;
    made.on_url = on_url;
    made.on_status = on_status;
    made.on_header_field = on_name;
    made.on_header_value = on_value;
    made.on_header_value_complete = on_value_complete;
    made.on_headers_complete = on_headers_complete;
    made.on_body = on_body;
    made.on_message_complete = on_complete;
    return made;
  }();
  return kSettings;
}

ConnectionPrinter::Direction& ConnectionPrinter::direction(llhttp_t* parser) {
  return *static_cast<Direction*>(parser->data);
}

int ConnectionPrinter::on_begin(llhttp_t* parser) {
  Direction& side = direction(parser);
  side.line = side.connection->endpoints_;
  side.line +=
      parser->type == HTTP_REQUEST ? "request\",\"headers\":{" : "response\",\"headers\":{";
  side.name.clear();
  side.value.clear();
  side.target.clear();
  side.body_bytes = 0;
  return 0;
}

int ConnectionPrinter::on_url(llhttp_t* parser, const char* at, std::size_t bytes) {
  direction(parser).target.append(at, bytes);
  return 0;
}

int ConnectionPrinter::on_status(llhttp_t* parser, const char* at, std::size_t bytes) {
  direction(parser).target.append(at, bytes);
  return 0;
}

int ConnectionPrinter::on_name(llhttp_t* parser, const char* at, std::size_t bytes) {
  direction(parser).name.append(at, bytes);
  return 0;
}

int ConnectionPrinter::on_value(llhttp_t* parser, const char* at, std::size_t bytes) {
  direction(parser).value.append(at, bytes);
  return 0;
}

int ConnectionPrinter::on_value_complete(llhttp_t* parser) {
  Direction& side = direction(parser);
  side.line += side.line.back() == '{' ? "\"" : ",\"";
  append_lower(side.name, side.line);
  side.line += "\":\"";
  append_escaped(side.value, side.line);
  side.line += '"';
  side.name.clear();
  side.value.clear();
  return 0;
}

int ConnectionPrinter::on_headers_complete(llhttp_t* parser) {
  Direction& side = direction(parser);
  ConnectionPrinter& connection = *side.connection;
  if (parser->type == HTTP_REQUEST) {
    connection.methods_.push_back(parser->method);
    return 0;
  }
  const unsigned status = parser->status_code;
  if (status / 100 == 1) return 1;
  bool head = false;
  if (connection.methods_answered_ < connection.methods_.size()) {
    head = connection.methods_[connection.methods_answered_++] == HTTP_HEAD;
    if (connection.methods_answered_ == connection.methods_.size()) {
      connection.methods_.clear();
      connection.methods_answered_ = 0;
    }
  }
  return head || status == 204 || status == 304 ? 1 : 0;
}

int ConnectionPrinter::on_body(llhttp_t* parser, const char*, std::size_t bytes) {
  direction(parser).body_bytes += bytes;
  return 0;
}

int ConnectionPrinter::on_complete(llhttp_t* parser) {
  Direction& side = direction(parser);
  if (parser->type == HTTP_REQUEST) {
    side.line += "},\"method\":\"";
    side.line += llhttp_method_name(static_cast<llhttp_method_t>(parser->method));
    side.line += "\",\"path\":\"";
  } else {
    side.line += "},\"statusCode\":" + std::to_string(parser->status_code) + ",\"statusText\":\"";
  }
  append_escaped(side.target, side.line);
  side.line += "\",\"bodySize\":" + std::to_string(side.body_bytes) + "}\n";
  side.connection->output_.add(side.line);
  return 0;
}

void ConnectionPrinter::execute(Direction& side, const char* data, std::size_t bytes) {
  if (side.given_up || bytes == 0) return;
  side.given_up = llhttp_execute(&side.parser, data, bytes) != HPE_OK;
}

void ConnectionPrinter::finish() {
  for (Direction* side : {&request_, &response_}) {
    if (!side->given_up) llhttp_finish(&side->parser);
    side->given_up = true;
  }
}

}  // namespace peers
