#pragma once

#include <cstdint>
#include <string_view>
#include <utility>

#include "core/line/connection_text.h"
#include "core/line/exchange_parts.h"
#include "core/line/header_object.h"
#include "core/line/json_string.h"
#include "core/line/line_options.h"
#include "core/line/line_sink.h"
#include "core/line/packed_record.h"
#include "core/line/pretty_line.h"
#include "core/line/selected_line.h"
#include "core/line/time_text.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// Turns finished messages into the bytes that go out: NDJSON lines, frames (framed_line.h), records
// for programs (packed_record.h), lines for people (pretty_line.h), or what was selected of each
// message (selected_line.h). One per shard, used by one thread; keeps only caches and scratch
// memory between messages, so the bytes of a message depend on the message alone.
//
// Order of the JSON fields: timestamp, connectionId, exchange, direction, receiver, destination,
// proxied, client, part, lastPart, method and path | statusCode and statusText, httpVersion,
// headers, rawHeaders, trailers, bodySize, bodyTruncated, bodyRedacted, contentDecoded,
// contentDecodeError, durationMs, latencyMs, incomplete, missingBytes, bodyGaps, headersIncomplete,
// afterGap, anomalies, interface, firstFrame, lastFrame, headersSize, vlan, communityId, connectMs,
// latin1, bodyEncoding, body.
class MessageLineWriter {
 public:
  explicit MessageLineWriter(const LineOptions& options,
                             const EscapeKernels& kernels = escape_kernels());
  MessageLineWriter(const MessageLineWriter&) = delete;
  MessageLineWriter& operator=(const MessageLineWriter&) = delete;

  // Appends one whole line with its '\n', one frame, or one record. With kPretty a request and an
  // interim response (1xx but 101) append nothing: the final response's line is for the whole
  // exchange.
  void write(const Message& message, LineSink& sink);

  // Per line: keys, numbers, addresses, and the room that is reserved but not used.
  static constexpr size_t kFixedSize = 32768;
  // Per field, besides its name and value: quotes, brackets, commas, "[redacted]", and its name in
  // `latin1`.
  static constexpr size_t kFieldSize = 64;

  // What bounds a line: how often bytes of a message's head may stand in it (each may be in
  // `rawHeaders` and `latin1` as well), those of its other texts, and of its body; and the rest.
  struct Bounds {
    size_t head_copies = 2;
    size_t text_copies = 1;
    size_t body_copies = 1;
    size_t fixed_size = kFixedSize;
    size_t line_max = SIZE_MAX;  // longer lines are never written
  };
  const Bounds& bounds() const { return bounds_; }

  // Room in the sink that `write` of this message surely does not exceed, far less than that of six
  // bytes for each: it looks at each byte of the body.
  size_t size_max(const Message& message) const;
  // How many bytes of the body may stay so that the line is at most `size`; 0 when even an empty
  // one is larger.
  size_t body_that_fits(const Message& message, size_t size) const;

  // kPretty: PrettyLineWriter's.
  const ExchangeNotes* notes() const { return pretty_.notes(); }

  // ---- exchange_line.cc: lines of exchanges (LineOptions::by_exchange)

  // Appends the object of one message, as it stands in its exchange's line, without its latency
  // when that stands in the line. With kFramed it is without the body, which is returned: its bytes
  // belong after the line's JSON. With kPacked it is the message's record. With kPretty and when
  // fields are selected, what is appended is for write_exchange alone.
  std::string_view write_part(const Message& message, LineSink& sink);
  // What stands between the parts of interim responses.
  std::string_view part_separator() const {
    return form_ == Form::kPacked || form_ == Form::kPretty ? "" : ",";
  }
  // Appends one whole line, frame or record.
  void write_exchange(const ExchangeParts& parts, LineSink& sink);

  // To be called for a request whose response will not come any more (the connection ended, was
  // evicted or drained): with kPretty appends the request's own line, else nothing. Needs
  // direction, method, target, request_host, body_size, receiver, first_byte_ns, incomplete.
  void write_unanswered(const Message& request, LineSink& sink);

 private:
  size_t body_size_max(std::string_view body) const;
  void write_ndjson(const Message& message, LineSink& sink);
  void write_framed(const Message& message, LineSink& sink);

  // The object up to where `bodyEncoding` would follow, without its closing brace.
  void append_fields(const Message& message, LineSink& sink);
  void append_identity(const Message& message, LineSink& sink);
  static void append_client(const ClientAddress& client, LineSink& sink);
  static void append_protocol(std::string_view protocol, LineSink& sink);
  void append_command_line(const Message& message, LineSink& sink);
  void append_start_line(const Message& message, LineSink& sink);
  void append_headers(const Message& message, LineSink& sink);
  void append_trailers(const Message& message, LineSink& sink);
  void append_part(const Message& message, LineSink& sink);
  void append_measures(const Message& message, bool with_latency, LineSink& sink);
  void append_losses(const Message& message, LineSink& sink);
  void append_shared(const ExchangeParts& parts, LineSink& sink);
  std::pair<std::string_view, std::string_view> append_exchange(const ExchangeParts& parts,
                                                                LineSink& sink);
  static std::string_view append_framed_body(const Message& message, LineSink& sink);
  static void append_orphan(Orphan orphan, LineSink& sink);
  void append_interface(uint16_t link_id, LineSink& sink);
  void append_frames(const Message& message, LineSink& sink);
  void append_capture(const Message& message, LineSink& sink);
  void append_latin1(LineSink& sink) const;
  void append_body(const Message& message, LineSink& sink);
  void append_text_field(std::string_view key, std::string_view text, std::string_view latin1_name,
                         LineSink& sink);

  enum class Form : uint8_t { kNdjson, kFramed, kPacked, kPretty, kSelected };
  static Form form_of(const LineOptions& options);

  LineOptions options_;
  const Form form_;
  Bounds bounds_;
  JsonStringWriter strings_;
  HeaderObjectWriter headers_;
  TimeText time_;
  ConnectionTexts connections_;
  PackedRecordWriter packed_;
  PrettyLineWriter pretty_;
  SelectedLineWriter selected_;
  ScratchLine latin1_;  // `"path","headers.x",` of the message being written
};

}  // namespace tcp_sniffer
