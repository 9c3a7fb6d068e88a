#pragma once

#include <cstdint>
#include <string_view>

#include "core/line/json_string.h"
#include "core/line/time_text.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// `format: pretty`: one line per exchange, for people.
//
//     12:00:00.123456  GET      200    1.234 ms       0 B    5.3 kB  example.com/path?q=1
//     12:00:00.200000  POST     ...                 1.2 kB           example.com/x  unanswered
//
// Time of the response (of the request when unanswered), method, status, latency, size of the
// request's and the response's body, host and path, then what is wrong with it. Text from the
// wire is escaped as in JSON, and so are characters that turn or hide the text around them: it
// cannot give the terminal a command or look like something that was not sent. With colours the
// status is green (2xx), cyan (3xx), yellow (4xx) or red (5xx), remarks are red. One per line
// writer.
class PrettyLineWriter {
 public:
  PrettyLineWriter(bool colours, const EscapeKernels& kernels)
      : colours_(colours), strings_(kernels) {}

  // Appends the line of a final response, nothing for a request or an interim response.
  void write(const Message& message, LineSink& sink);
  void write_unanswered(const Message& request, LineSink& sink);

 private:
  struct Columns {
    int64_t time_ns;
    std::string_view method;
    std::string_view target;
    std::string_view status;
    std::string_view latency;
    std::string_view request_size;
    std::string_view response_size;
  };

  void append_line(const Columns& columns, const Message& message, bool unanswered, LineSink& sink);
  void append_shown(std::string_view text, LineSink& sink);
  void append_url(const Columns& columns, const Message& message, LineSink& sink);
  void append_remarks(const Message& message, bool unanswered, LineSink& sink);
  void append_colour(std::string_view code, LineSink& sink) const;

  const bool colours_;
  JsonStringWriter strings_;
  TimeText time_;
};

}  // namespace tcp_sniffer
