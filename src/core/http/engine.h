#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/http/connection.h"
#include "core/http/exchanges.h"
#include "core/http/head.h"
#include "core/http/message_finder.h"
#include "core/http/open_message.h"
#include "core/message/connection_identity.h"
#include "core/message/event_record.h"
#include "core/message/message_emitter.h"
#include "core/message/message_output.h"
#include "core/tcp/stream_protocol.h"

namespace tcp_sniffer {

struct HttpSettings {
  uint64_t body_max = 1u << 20;        // maxBodySize: bytes of body kept
  uint32_t header_bytes_max = 262144;  // maxHeaderBytes
  uint32_t headers_max = 1000;         // maxHeaders
  uint32_t outstanding_max = 256;      // maxOutstandingRequests
  // Nobody will see bodies that are not UTF-8 (binaryBody: omit): they are counted, not kept.
  bool drop_binary_bodies = false;
  bool keep_request_text = false;  // format pretty: the response's line names its request
};

// One connection, for the length of a call.
struct HttpContext {
  HttpConnection& http;
  ConnectionIdentity& identity;
  int64_t clock_ns;
  uint64_t frame = 0;                   // of the segment that is the reason for the call; 0 = none
  Incomplete ending = Incomplete::kNo;  // the connection is over, for this reason
};

// Follows HTTP/1.x in both directions of a connection (RFC 9112) and hands finished messages to
// the output: once each, in the order they completed, a request before its response. An observer:
// whatever two ends agree on is right, so nothing is refused that can be understood.
//
// 1. A message that lies in one segment is put together from views of the packet; nothing is
//    copied and no memory is taken. Any other is an OpenMessage, in memory of the pool.
// 2. Every byte of the stream is counted once: parsed, tunnel, ignored_stream or
//    skipped_in_resync. Bytes of an unfinished head are counted when its fate is known.
// 3. Three things are refused (StreamProtocol): a response, while the request it would answer is
//    incomplete (when they have to be taken nevertheless, the request is given out first, as far
//    as it was captured); a client's next message, while such a response waits for the request
//    before it; and the first bytes of a stream met in its middle that begin no message,
//    until the connection's next segment: capture reorders, and what comes before them may still
//    come.
// 4. Pairing: a response has the exchange of a request only where no other can have been before it.
//    a. Without a loss, requests and responses are in the same order.
//    b. A gap in the client's stream hides requests, unless it lies in a body of known length: as
//       many as fit, if none is smaller than three quarters of the smallest one seen. Each response
//       that comes without a known request, and each gap where a response begins, answers one.
//    c. After a loss the order is known again when a request begins alone: its client was never
//       seen to send one while another waited, and no more can have been hidden than were answered
//       (or the client waited for some responses before anything was lost); or nobody has sent
//       anything for two to three seconds. Its response starts where the client had received all,
//       and acknowledges it; any other response has no exchange.
//    d. A stream met in its middle is taken for that of a client that waits, until it is seen not
//       to. One that has several requests under way in lockstep cannot be told from that.
//
// One per shard, used by its thread; all memory from the pool, which outlives it.
class HttpEngine {
 public:
  HttpEngine(const HttpSettings& settings, BufferPool& pool, ShardCounters& counters,
             MessageOutput& output, EventSink& events);

  // A stream whose beginning was not captured: its first message must be searched.
  static void start_midstream(HttpConnection& http, Side side);
  // It was, after all, and nothing of it was consumed yet.
  static void start_at_beginning(HttpConnection& http, Side side) {
    http.streams[static_cast<size_t>(side)] = HttpStream{};
  }

  // The StreamProtocol functions, see there.
  uint32_t consume(HttpContext& context, Side side, uint64_t offset, std::span<const uint8_t> bytes,
                   const SegmentMeta& meta, bool force);
  void gap(HttpContext& context, Side side, uint64_t offset, uint64_t length, GapCause cause);
  void end_of_stream(HttpContext& context, Side side, bool reset);
  static bool in_message(const HttpConnection& http, Side side);
  static bool ends_with_stream(const HttpConnection& http, Side side);
  bool pass_over(HttpConnection& http, Side side, uint64_t length, const SegmentMeta& meta);

  // How many of the next bytes are body that nobody will look at: all but the last one of it.
  uint64_t unread_bytes(const HttpConnection& http, Side side) const;
  // Memory of the pool, without the texts that wait beside the exchanges, which are small.
  static size_t held_bytes(const HttpConnection& http);

  // The connection is over: open messages are given out with this cause, memory is released.
  void close(HttpContext& context, Incomplete cause);

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

  HttpStream& stream(HttpContext& context, Side side) {
    return context.http.streams[static_cast<size_t>(side)];
  }

  // ---- http/engine.cc: the phases
  size_t run(HttpContext& context, Side side, const Input& input);
  size_t step(HttpContext& context, Side side, const Input& input);
  size_t start_message(HttpContext& context, Side side, const Input& input);
  size_t begin_head(HttpContext& context, Side side, const Input& input, bool after_gap);
  size_t continue_head(HttpContext& context, Side side, const Input& input);
  bool is_next_answer(HttpContext& context, Side side);
  bool must_wait(HttpContext& context, Side side, uint64_t start_offset, bool candidate);
  size_t response_room(HttpContext& context, Side side, std::string_view head,
                       uint64_t start_offset, bool candidate, bool force);
  void head_beyond_limit(HttpContext& context, Side side, const char* which, uint64_t value);
  size_t not_a_message(HttpContext& context, Side side, const Input& input);
  static StreamNature nature_of(std::string_view text);

  // ---- http/odd_start.cc: starts that are read only where the context says HTTP
  StartContext start_context(HttpContext& context, Side side);
  size_t odd_start(HttpContext& context, Side side, const Input& input);
  bool bare_answer_due(HttpContext& context, Side side);
  void begin_bare_answer(HttpContext& context, Side side);
  bool complete_http09(HttpContext& context, Side side);
  void settle_head(HttpContext& context, Side side);
  static Anomalies take_skipped(HttpStream& here, MessageDirection direction);

  // ---- http/body.cc: from a complete head to the finished message
  size_t head_in_segment(HttpContext& context, Side side, const Input& input, const HttpHead& head);
  void head_in_open_message(HttpContext& context, Side side, const HttpHead& head);
  size_t continue_body(HttpContext& context, Side side, const Input& input);
  size_t continue_chunked(HttpContext& context, Side side, const Input& input);
  bool keep_body(OpenMessage& open, std::string_view bytes);
  void take_body(OpenMessage& open, std::string_view bytes, const SegmentMeta& meta);
  static void note_behind_cut(OpenMessage& open, std::string_view bytes);
  size_t continue_broken_body(HttpContext& context, Side side, const Input& input);
  void end_broken_request(HttpContext& context, Side side);
  void finish(HttpContext& context, Side side);
  void after_message(HttpContext& context, Side side);
  void make_tunnel(HttpContext& context, Side side);

  // ---- http/expect.cc: a request that asked before it sent its body
  static bool note_answer(OpenMessage& asker, std::string_view head, uint64_t start_offset);
  bool was_answered(HttpContext& context, Side side, const SegmentMeta& meta);
  size_t take_expected(HttpContext& context, Side side, const Input& input);
  void take_undecided_as_body(HttpContext& context, Side side);
  void finish_without_body(HttpContext& context, Side side);
  bool settle_expected(HttpContext& context, Side side, Incomplete cause);
  bool waits_its_turn(HttpContext& context, Side side, bool force);

  // ---- http/search.cc: losses and what is not HTTP
  size_t search(HttpContext& context, Side side, const Input& input);
  size_t search_at_segments(HttpContext& context, Side side, const Input& input,
                            MessageFinder::Wanted wanted);
  bool starts_at_segments(HttpContext& context, Side side, MessageFinder::Wanted wanted);
  size_t ignored(HttpContext& context, Side side, const Input& input);
  void start_search(HttpContext& context, Side side, bool direct);
  void begin_candidate(HttpContext& context, Side side, uint64_t offset, const SegmentMeta& meta);
  void bridge(HttpStream& here, uint64_t length);
  static MessageFinder::Wanted wanted_of(const HttpContext& context, Side side);
  static bool must_hold_back(const HttpContext& context, HttpStream& here);
  void fail_head(HttpContext& context, Side side, size_t resume);
  size_t pass_candidate(HttpContext& context, Side side, size_t resume);
  void note_cut(OpenMessage& open);
  static size_t surplus_before_message(const OpenMessage& open, MessageFinder::Wanted wanted);
  void ignore_stream(HttpContext& context, Side side, StreamNature nature, std::string_view sample);
  void say_parse_error(HttpContext& context, Side side);
  void end_message(HttpContext& context, Side side, bool reset);
  void interrupt(HttpContext& context, Side side, Incomplete cause);
  void interrupt_head(HttpContext& context, Side side, Incomplete cause);

  // ---- http/pairing.cc
  void open_exchange(HttpContext& context, Side side, const HttpHead& head,
                     const SegmentMeta& first, uint64_t start_offset, uint64_t& number);
  void complete_exchange(HttpContext& context, uint64_t number, int64_t last_byte_ns,
                         uint64_t body_size);
  Exchange* find_exchange(HttpContext& context, Side side, uint64_t start_offset,
                          const SegmentMeta& first, uint16_t status);
  Exchange* find_exchange_after_loss(HttpContext& context, Side side, uint64_t start_offset,
                                     const SegmentMeta& first, bool interim);
  static void note_size(HttpConnection& http, size_t size);
  static void note_unseen(HttpContext& context, uint64_t length);
  static void note_cut_request(HttpConnection& http, uint64_t length);
  static void note_skipped(HttpContext& context, Side side);
  static bool serves(const HttpContext& context, Side side);
  static uint32_t outstanding_max(HttpContext& context);
  static void be_certain(HttpContext& context);
  bool begins_alone(HttpContext& context, Side side, const SegmentMeta& first, bool uncertain);
  void note_answer_to_any(HttpContext& context);
  void note_gap(HttpContext& context, Side side, uint64_t length, bool message_begins);
  bool was_quiet(HttpContext& context, Side side, int64_t now_ns);
  void count_unpaired(HttpContext& context, Side side, int64_t last_byte_ns);
  void give_out_request(HttpContext& context, Side side);
  void describe_request(HttpContext& context, Side side, Message& message, const Exchange* exchange,
                        int64_t first_byte_ns);
  static void take_request_text(OpenMessage& open, Exchange& exchange);

  // ---- http/emit.cc
  void emit_open_message(HttpContext& context, Side side, bool partial_head);
  static void take_start_line(Message& message, const HttpHead& head);
  void emit_unanswered(HttpContext& context);
  void put_event(HttpContext& context, Side side, EventRecord& record);

  OpenMessage* take_open_message(HttpContext& context, Side side);
  void release_open_message(HttpStream& stream);
  void limit_reached(HttpContext& context, Side side, const char* which, uint64_t value);

  HttpSettings settings_;
  BufferPool& pool_;
  ShardCounters& counters_;
  MessageEmitter emitter_;
  EventSink& events_;
  HeadReader heads_;
  HeadReader trailers_;
  GrowingText replay_;          // bytes of a failed candidate that must be searched again
  size_t replay_from_ = 0;      // the first of them
  uint64_t replay_offset_ = 0;  // its place in the stream
};

}  // namespace tcp_sniffer
