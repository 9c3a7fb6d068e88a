#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "core/line/exchange_notes.h"
#include "core/line/exchange_parts.h"
#include "core/line/json_string.h"
#include "core/line/line_options.h"
#include "core/line/pretty_body.h"
#include "core/line/time_text.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// `format: pretty`: one line per exchange, for people.
//
//     2025-02-21, local time (UTC+01:00)
//     12:00:00.123456  10.0.0.1         GET      200    1.234 ms       0 B    5.3 kB  example.com/p
//     12:00:00.200000  10.0.0.1         POST     ...                1.2 kB            a/x
//     unanswered
//
// Time of the response (of the request when unanswered), client, method, status, latency, size of
// the request's and the response's body, host and path, then what is wrong with it. A line with the
// day stands before the first exchange and where the day changes. On a terminal of less than 120
// columns the time has no fractions, the latency one decimal, and the request's size is left out.
// A URL for which the terminal has no room is cut in its middle.
//
// Text from the wire is escaped as in JSON, and so are characters that turn or hide the text around
// them: it cannot give the terminal a command or look like something that was not sent. With
// colours the status is green (2xx), cyan (3xx), yellow (4xx) or red (5xx), a method that changes
// something magenta, a latency of a second or more yellow, remarks are red. With `detail` the start
// lines, headers and bodies of both messages follow the line. One per line writer.
class PrettyLineWriter {
 public:
  PrettyLineWriter(const PrettyOptions& options, const EscapeKernels& kernels)
      : options_(options),
        strings_(kernels),
        time_(options.utc_offset_s),
        bodies_(options.colours),
        notes_(options.takes_notes ? std::make_unique<ExchangeNotes>() : nullptr) {}

  // Appends the line of a final response, nothing for a request or an interim response.
  void write(const Message& message, LineSink& sink);
  void write_unanswered(const Message& request, LineSink& sink);

  // Of the responses that were written; nullptr without takes_notes.
  const ExchangeNotes* notes() const { return notes_.get(); }

  // ---- pretty_exchange.cc: with details, as MessageLineWriter's

  void write_part(const Message& message, LineSink& sink);
  void write_exchange(const ExchangeParts& parts, LineSink& sink);

 private:
  struct Columns {
    int64_t time_ns;
    std::string_view method;
    std::string_view target;
    std::string_view status;
    bool slow;
    std::string_view latency;
    std::string_view request_size;
    std::string_view response_size;
  };

  bool narrow() const { return options_.columns != 0 && options_.columns < kNarrowColumns; }

  void append_line(const Columns& columns, const Message& message, bool unanswered, LineSink& sink);
  void append_day(int64_t time_ns, LineSink& sink);
  void append_client(const Message& message, LineSink& sink);
  void append_method(std::string_view method, LineSink& sink);
  void append_shown(std::string_view text, LineSink& sink);
  void append_url(const Columns& columns, const Message& message, LineSink& sink);
  void append_remarks(const Message& message, bool unanswered, LineSink& sink);
  void append_colour(std::string_view code, LineSink& sink) const;
  void append_details(const Message& message, LineSink& sink);
  static void append_start_line(const Message& message, LineSink& sink);
  void append_fields(std::span<const HeaderField> fields, std::string_view prefix, LineSink& sink);
  void fit_url(size_t line_at, size_t url_at, size_t url_end, LineSink& sink) const;

  static constexpr uint32_t kNarrowColumns = 120;
  static constexpr size_t kTargetMax = 1024;  // bytes of a target that a line may show
  static constexpr std::string_view kReset = "\x1b[0m";
  static constexpr std::string_view kNameColour = "\x1b[36m";

  const PrettyOptions options_;
  JsonStringWriter strings_;
  TimeText time_;
  PrettyBodyWriter bodies_;
  const std::unique_ptr<ExchangeNotes> notes_;
  ScratchLine part_;  // a request that did not wait
};

}  // namespace tcp_sniffer
