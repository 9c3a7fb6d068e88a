#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/http/engine.h"
#include "core/http/exchanges.h"
#include "core/http/head.h"
#include "core/http/message_finder.h"
#include "core/http/open_message.h"
#include "core/http/start_line.h"
#include "core/message/event_record.h"
#include "core/message/message.h"
#include "core/tcp/stream_protocol.h"

namespace tcp_sniffer {

// One direction of one connection, for the length of a call: what its side sends is read here.
// `here_` is what is remembered of it between calls; the direction that answers it is other().
class HttpDirection {
 public:
  HttpDirection(HttpEngine& engine, HttpContext& context, Side side)
      : engine_(engine),
        context_(context),
        http_(context.http),
        here_(context.http.streams[static_cast<size_t>(side)]),
        side_(side) {}

  // The StreamProtocol functions, see there.
  uint32_t consume(uint64_t offset, std::span<const uint8_t> bytes, const SegmentMeta& meta,
                   bool force);
  void gap(uint64_t offset, uint64_t length, GapCause cause);
  void end_of_stream(bool reset);

  // Whether the first bytes of a stream met in its middle have to wait.
  bool must_hold_back();

  bool has_open_message() const { return here_.open != nullptr; }
  bool is_request_open() const;
  // parts.cc: when the open message is given out in parts, and one is due.
  void give_out_part();
  // The connection is over: the open message is given out with this cause.
  void close(Incomplete cause);

 private:
  static constexpr size_t kRefused = ~size_t{0};
  static constexpr size_t kStatusBytes = 12;  // "HTTP/1.1 200"

  struct Input {
    std::string_view text;
    uint64_t offset;  // of text[0] in the stream
    const SegmentMeta& meta;
    bool force;
    uint64_t segment;  // where the segment that is being taken begins in the stream
  };

  HttpDirection other() const { return {engine_, context_, tcp_sniffer::other(side_)}; }
  HttpStream& peer() const { return http_.streams[static_cast<size_t>(tcp_sniffer::other(side_))]; }
  ExchangeRing exchanges() const { return {http_, engine_.pool_}; }

  // ---- direction.cc: the phases
  size_t run(const Input& input);
  size_t step(const Input& input);
  size_t start_message(const Input& input);
  size_t begin_head(const Input& input, bool after_gap);
  size_t continue_head(const Input& input);
  static bool may_be_candidate(const OpenMessage& open, HeadStatus status, const HttpHead& head);
  bool is_next_answer();
  bool must_wait(uint64_t start_offset, bool candidate);
  size_t response_room(std::string_view head, uint64_t start_offset, bool candidate, bool force);
  void head_beyond_limit(const char* which, uint64_t value);
  size_t not_a_message(const Input& input);
  static StreamNature nature_of(std::string_view text);

  // ---- long_head.cc: the rest of a head beyond maxHeaderBytes
  size_t begin_long_head(size_t before);
  size_t continue_long_head(const Input& input);
  bool take_long_head_line();

  // ---- odd_start.cc: starts that are read only where the context says HTTP
  StartContext start_context();
  size_t odd_start(const Input& input);
  bool bare_answer_due();
  void begin_bare_answer();
  bool complete_http09();
  void settle_head();
  Anomalies take_skipped(MessageDirection direction);

  // ---- body.cc: from a complete head to the finished message
  size_t head_in_segment(const Input& input, const HttpHead& head);
  void head_in_open_message(const HttpHead& head);
  void head_in_open_message(const HttpHead& head, Exchange* exchange);
  size_t continue_body(const Input& input);
  size_t continue_chunked(const Input& input);
  bool keep_body(OpenMessage& open, std::string_view bytes);
  bool enlarge_body(OpenMessage& open, size_t needed);
  void take_body(OpenMessage& open, std::string_view bytes, const SegmentMeta& meta);
  static void note_behind_cut(OpenMessage& open, std::string_view bytes);
  size_t continue_broken_body(const Input& input);
  bool end_broken_request();
  void finish();
  void after_message();
  void make_tunnel();

  // ---- parts.cc: a body that is given out while it arrives
  void start_parts(const HttpHead& head);
  void time_part();
  void release_parts(OpenMessage& open);
  static size_t size_of_part(const OpenMessage& open, std::string_view bytes);
  void take_last_part(Message& message);

  // ---- expect.cc: a request that asked before it sent its body
  static bool note_answer(OpenMessage& asker, std::string_view head, uint64_t start_offset);
  bool was_answered(const SegmentMeta& meta);
  size_t take_expected(const Input& input);
  void take_undecided_as_body();
  void finish_without_body();
  bool settle_expected(Incomplete cause);
  bool waits_its_turn(bool force);

  // ---- search.cc: what is not HTTP, and the next message
  size_t search(const Input& input);
  size_t search_at_segments(const Input& input, MessageFinder::Wanted wanted);
  static bool is_beginning(std::string_view text, MessageFinder::Wanted wanted);
  MessageSearch* take_search(OpenMessage* open);
  void release_search(OpenMessage& open);
  bool starts_at_segments(MessageFinder::Wanted wanted);
  size_t ignored(const Input& input);
  void start_search(bool direct);
  void begin_candidate(uint64_t offset, const SegmentMeta& meta);
  MessageFinder::Wanted wanted_messages() const;
  void fail_head(size_t resume);
  size_t pass_candidate(size_t resume);
  void note_cut(OpenMessage& open);
  static size_t surplus_before_message(const OpenMessage& open, MessageFinder::Wanted wanted);
  void ignore_stream(StreamNature nature, std::string_view sample);
  void report_parse_error();

  // ---- ends.cc: what is lost, and ends
  void bridge(uint64_t length);
  void end_message(bool reset);
  void interrupt(Incomplete cause);
  void interrupt_head(Incomplete cause);

  // ---- pairing.cc
  bool open_exchange(const HttpHead& head, const SegmentMeta& first, uint64_t start_offset,
                     uint64_t& number, uint32_t& row);
  void open_exchange(const HttpHead& head, OpenMessage& open);
  bool complete_exchange(uint64_t number, int64_t last_byte_ns, uint64_t body_size);
  void complete_exchange(OpenMessage& open);
  void lose_response(const Exchange& exchange);
  Exchange* find_exchange(uint64_t start_offset, const SegmentMeta& first, uint16_t status);
  Exchange* find_exchange_after_loss(uint64_t start_offset, const SegmentMeta& first, bool interim);
  bool answers_only_one();
  void note_size(size_t size);
  void note_unseen(uint64_t length);
  void note_cut_request(uint64_t length);
  void note_skipped();
  bool serves() const { return context_.identity.roles.surely_serves(side_); }
  uint32_t outstanding_max() const;
  void be_certain();
  bool begins_alone(const SegmentMeta& first, bool uncertain);
  void note_answer_to_any();
  void note_gap(uint64_t length, bool message_begins);
  bool was_quiet(int64_t now_ns);
  void count_unpaired(int64_t last_byte_ns);
  void give_out_request();
  ClientAddress client_of_response();
  void keep_text(Exchange& exchange, const HttpHead& head);
  void describe_request(Message& message, const Exchange* exchange, int64_t first_byte_ns);
  void take_exchange(Exchange* exchange, bool is_final);

  // ---- emit.cc
  void emit_open_message(bool partial_head);
  void take_open_head(Message& message);
  void take_open_state(Message& message);
  static void take_start_line(Message& message, const HttpHead& head);
  void meter(const Message& message, uint32_t row, int64_t request_first_ns) const;
  void put_event(EventRecord& record);

  OpenMessage* take_open_message();
  void release_open_message();
  void limit_reached(const char* which, uint64_t value);

  HttpEngine& engine_;
  HttpContext& context_;
  HttpConnection& http_;
  HttpStream& here_;
  const Side side_;
  bool head_waits_ = false;  // when the request of a response was looked for, and is not known
};

}  // namespace tcp_sniffer
