#pragma once

#include <string>
#include <vector>

#include "fuzz_input.h"
#include "http_words.h"

// Conversations of a client and a server that both keep to HTTP/1.1, chosen by an input: what was
// said is known.
namespace tcp_sniffer::fuzz {

// One message, and where its bytes stand in its stream.
struct SaidMessage {
  bool is_request = false;
  size_t exchange = 0;
  int status = 0;
  std::string method;
  std::string body;
};

// A part of a stream that is sent when all that stands before it in the list was sent.
struct Utterance {
  bool from_client = false;
  std::string bytes;
};

struct Conversation {
  std::vector<Utterance> utterances;
  size_t kept = 0;  // this many utterances at the beginning lose nothing
  std::vector<SaidMessage> messages;
};

class ConversationMaker {
 public:
  // `may_lose`: frames of it may be lost. Then no body reads like HTTP or like the beginning of a
  // method, so that a search cannot be misled; there is no HEAD, because the answer to one that was
  // lost seems to have a body. And where one of two requests is lost, the answer to it may be taken
  // for the other's unless the client is known to pipeline. So a client either sends each request
  // after the last answer, or, with `shows_pipelining`, several before anything may be lost.
  ConversationMaker(FuzzInput& input, bool may_lose, bool shows_pipelining)
      : input_(input), may_lose_(may_lose), shows_pipelining_(shows_pipelining) {}

  Conversation make() {
    for (size_t left = 1 + input_.below(8); left > 0 && !over_; left--) {
      const size_t more = input_.below(4) / 3 * input_.below(4);
      const bool begins = exchanges_ == 0;
      const size_t pipelined =
          may_lose_ && !shows_pipelining_ ? 1 : 1 + (shows_pipelining_ && begins ? 1 : 0) + more;
      std::string requests;
      std::string responses;
      for (size_t i = 0; i < pipelined && !over_; i++) exchange(requests, responses);
      say(true, std::move(requests));
      say(false, std::move(responses));
      if (shows_pipelining_ && begins) conversation_.kept = conversation_.utterances.size();
    }
    return std::move(conversation_);
  }

 private:
  static constexpr const char* kMethods[] = {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"};
  static constexpr int kStatuses[] = {200, 201, 204, 301, 304, 404, 417, 503};

  void say(bool from_client, std::string bytes) {
    if (!bytes.empty()) conversation_.utterances.push_back({from_client, std::move(bytes)});
  }

  void exchange(std::string& requests, std::string& responses) {
    const size_t number = exchanges_++;
    const std::string method = kMethods[input_.below(std::size(kMethods) - (may_lose_ ? 1 : 0))];
    const int status = kStatuses[input_.below(std::size(kStatuses))];
    const bool expects = input_.below(8) == 0 && !(shows_pipelining_ && number < 2);
    const std::string name = std::to_string(number);

    SaidMessage request{true, number, 0, method, {}};
    requests += method + " /" + name + " HTTP/1.1\r\nHost: h\r\n" + odd_field();
    const bool has_body = method == "POST" || method == "PUT" || method == "PATCH";
    std::string coded;
    if (has_body) {
      request.body = body();
      coded = framed(request.body, requests);
    }
    if (expects && has_body) {
      requests += "Expect: 100-continue\r\n\r\n";
      say(true, std::move(requests));
      say(false, std::move(responses));
      requests.clear();
      responses.clear();
      say(false, "HTTP/1.1 100 Continue\r\n\r\n");
      conversation_.messages.push_back({false, number, 100, method, {}});
    } else {
      requests += "\r\n";
    }
    requests += coded;
    conversation_.messages.push_back(std::move(request));

    SaidMessage response{false, number, status, method, {}};
    responses += "HTTP/1.1 " + std::to_string(status) + " Reason\r\nX-For: " + name + "\r\n";
    responses += odd_field();
    const bool bodiless = status == 204 || status == 304;
    if (method == "HEAD" || bodiless) {
      if (!bodiless) responses += "Content-Length: 77\r\n";
      responses += "\r\n";
    } else {
      response.body = body();
      if (input_.below(16) == 0) {  // until the close
        over_ = true;
        responses += "Connection: close\r\n\r\n" + response.body;
      } else {
        const std::string coded_body = framed(response.body, responses);
        responses += "\r\n" + coded_body;
      }
    }
    conversation_.messages.push_back(std::move(response));
  }

  std::string odd_field() {
    switch (input_.below(8)) {
      case 0:
        return "X-Long: " + std::string(input_.u8(), 'x') + "\r\n";
      case 1:
        return "X-Folded: a\r\n\tb\r\n";
      case 2:
        return "X-Bare: lf\n";
      default:
        return "";
    }
  }

  std::string body() {
    std::string text;
    for (size_t parts = input_.below(4); parts > 0; parts--) {
      if (may_lose_) {
        static constexpr std::string_view kNoToken = "(){}[]<>=,@";
        text.append(input_.u8(), kNoToken[input_.below(kNoToken.size())]);
      } else if (input_.below(2) == 0) {
        text += kWords[input_.below(std::size(kWords))];
      } else {
        text += input_.text(input_.below(64));
      }
    }
    return text;
  }

  // Appends the framing field to the head; the body as it is sent.
  std::string framed(const std::string& body, std::string& head) {
    if (input_.below(2) == 0) {
      head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
      return body;
    }
    head += "Transfer-Encoding: chunked\r\n";
    std::string coded;
    for (size_t at = 0; at < body.size();) {
      const size_t size = std::min(body.size() - at, 1 + input_.below(100));
      char digits[32];
      std::snprintf(digits, sizeof(digits), input_.below(2) == 0 ? "%zx" : "%04zX;x=y", size);
      coded += std::string(digits) + "\r\n" + body.substr(at, size) + "\r\n";
      at += size;
    }
    return coded + "0\r\n" + (input_.below(4) == 0 ? "X-Trailer: t\r\n" : "") + "\r\n";
  }

  FuzzInput& input_;
  const bool may_lose_;
  const bool shows_pipelining_;
  Conversation conversation_;
  size_t exchanges_ = 0;
  bool over_ = false;
};

}  // namespace tcp_sniffer::fuzz
