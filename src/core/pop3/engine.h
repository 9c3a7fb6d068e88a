#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/growing_text.h"
#include "core/message/message.h"
#include "core/message/message_emitter.h"
#include "core/pop3/line.h"
#include "core/pop3/secrets.h"
#include "core/tcp/stream_protocol.h"

namespace tcp_sniffer {

// How the reply to a command is read.
struct Pop3Kind {
  Pop3Verb verb = Pop3Verb::kOther;
  bool hidden = false;  // an -ERR to it may quote a credential

  bool operator==(const Pop3Kind&) const = default;
};

// A command that waits for its reply.
struct Pop3Exchange {
  uint64_t number = 0;
  int64_t last_byte_ns = 0;
  uint64_t sent_ack = 0;  // how far the client had received the server's stream; 0 = not known
  Pop3Kind kind;
  std::array<char, 12> name{};  // as shown; for the reply's line in `pretty`
};

// Commands one after the other of which nothing is remembered but how their replies are read.
struct Pop3Forgotten {
  Pop3Kind kind;
  uint32_t count = 0;
};

// What was put in first comes out first.
template <class Item, uint32_t kSizeMax>
class Pop3Queue {
 public:
  bool empty() const { return size_ == 0; }
  uint32_t size() const { return size_; }
  Item& at(uint32_t index) { return items_[(first_ + index) % kSizeMax]; }
  bool full() const { return size_ == kSizeMax; }
  Item& front() { return items_[first_]; }
  Item& back() { return items_[(first_ + size_ - 1) % kSizeMax]; }
  void push(const Item& item) {
    size_++;
    back() = item;
  }
  void pop() {
    first_ = (first_ + 1) % kSizeMax;
    size_--;
  }
  void clear() { size_ = 0; }

 private:
  std::array<Item, kSizeMax> items_;
  uint32_t first_ = 0;
  uint32_t size_ = 0;
};

// One direction of a POP3 connection.
struct Pop3Stream {
  GrowingText line;        // the beginning of a line that is not whole yet
  GrowingText body;        // of a multi-line reply, dots undone
  SegmentMeta line_first;  // brought the first byte of the line being taken
  SegmentMeta first;       // brought the message's first byte
  SegmentMeta last;
  uint64_t line_offset = 0;   // of the line's first byte in the stream
  uint64_t first_offset = 0;  // of the message's first byte in the stream
  uint64_t body_size = 0;
  uint64_t missing = 0;
  uint64_t body_max = 0;  // bytes of the body that are kept
  bool in_body = false;
  bool body_truncated = false;
  bool line_cut = false;      // the line being taken was longer than lines may be
  bool in_long_line = false;  // the beginning of a line that is too long was taken or passed over
  bool searching = false;     // after a loss, or met in its middle: a line must begin first
  bool after_gap = false;
  bool ended = false;  // its end is final, and what came before it was taken
  Incomplete cause = Incomplete::kNo;
};

// The POP3 state of a connection; memory of the shard's pool, taken when a connection turns out to
// be POP3.
struct Pop3Connection {
  // Pipelined commands remembered (RFC 2449 section 6.6). Of those beyond them is counted how many
  // of one kind follow each other; 112 such runs keep this object within 4 KiB.
  static constexpr uint32_t kWaitingMax = 64;
  static constexpr uint32_t kForgottenMax = 112;

  // The identity or the port may show which side is the server.
  explicit Pop3Connection(const ConnectionIdentity& identity);

  std::array<Pop3Stream, 2> streams;  // by Side
  Pop3Queue<Pop3Exchange, kWaitingMax> waiting;
  Pop3Queue<Pop3Forgotten, kForgottenMax> forgotten;  // sent after those that wait
  uint64_t next_exchange = 0;
  Side server = Side::kHigh;
  bool server_known = false;
  bool greeted = false;  // the server's first reply answers nothing (RFC 1939 section 4)
  bool logged_in = false;
  bool in_auth = false;            // an AUTH waits for its +OK or -ERR
  bool answers_challenge = false;  // the client's next line is no command
  bool order_lost = false;         // in which order replies come proves nothing
  bool pipelines = false;          // the client does not wait for a reply before its next command
  bool tunnel = false;
  Pop3Status reply = Pop3Status::kNone;  // of the multi-line reply being read
  bool reply_guessed = false;            // order was lost: it may have ended with its first line
  GrowingText reply_text;
  Pop3Secrets secrets;
  Pop3Exchange answered;  // its command
  bool answered_known = false;
  bool greets = false;  // the reply is the greeting, surely

  bool nothing_waits() const { return waiting.empty() && forgotten.empty(); }
  // Whether a line of the client that is no command may be part of a credential.
  bool hides_lines() const { return in_auth || !logged_in; }
};
static_assert(sizeof(Pop3Connection) <= 4096);

// Follows POP3 (RFC 1939): each command is a request, each reply a response, a multi-line reply's
// lines its body, with the dots undone that section 3 asks for. What PASS, APOP and AUTH carry is
// never handed on, and no line of the client that may be part of it: whatever was lost, cut or sent
// in an unusual order, a line is shown only when it is a command that is known, or when a login was
// seen and no AUTH is under way. Nor is the text of an -ERR that may quote such a line, or of any
// reply that does.
//
// A reply has the exchange of a command only when it surely answers it: in order as long as nothing
// was lost and every command is remembered or counted; after that when it begins where the
// command's sender stood, and the sender was never seen to pipeline.
//
// One per shard, used by its thread. Its functions are those of a ProtocolEngine
// (core/protocol/table.h).
class Pop3Engine {
 public:
  using State = Pop3Connection;
  static constexpr std::string_view kName = "pop3";

  Pop3Engine(uint64_t body_max, BufferPool& pool, ShardCounters& counters, MessageEmitter& emitter)
      : body_max_(body_max), pool_(pool), counters_(counters), emitter_(emitter) {}

  // Of replies that begin from here on.
  void change_body_max(uint64_t body_max) { body_max_ = body_max; }

  static bool recognises(const FlowKey& key, std::span<const uint8_t> first_bytes);

  static void start_midstream(Pop3Connection& pop3, Side side) {
    pop3.streams[static_cast<size_t>(side)].searching = true;
    lose_order(pop3, side);
  }
  static void start_at_beginning(Pop3Connection& pop3, Side side) {
    pop3.streams[static_cast<size_t>(side)].searching = false;
  }
  // Nothing is ever refused.
  uint32_t consume(Pop3Connection& pop3, ConnectionIdentity& identity, Side side, uint64_t offset,
                   std::span<const uint8_t> bytes, const SegmentMeta& meta, bool force);
  void gap(Pop3Connection& pop3, ConnectionIdentity& identity, Side side, uint64_t length,
           GapCause cause);
  void end_of_stream(Pop3Connection& pop3, ConnectionIdentity& identity, Side side, bool reset);
  static bool in_message(const Pop3Connection& pop3, Side side);
  static bool ends_with_stream(const Pop3Connection&, Side) { return false; }
  static size_t held_bytes(const Pop3Connection& pop3);
  void close(Pop3Connection& pop3, ConnectionIdentity& identity, Incomplete cause);

 private:
  static constexpr uint32_t kLineMax = 8192;  // RFC 2449 section 4 allows 512; servers send more

  struct Context {
    Pop3Connection& pop3;
    ConnectionIdentity& identity;
    Side side;
    Pop3Stream& stream;
  };

  static void lose_order(Pop3Connection& pop3, Side side);
  void take_piece(Context& context, std::string_view piece, uint64_t offset,
                  const SegmentMeta& meta);
  void take_line(Context& context, std::string_view raw);
  void take_long_line(Context& context, std::string_view piece);
  void pass_over(Context& context, size_t size);
  void lose_replies(Context& context);
  void take_body_line(Context& context, std::string_view raw);
  void keep_body(Context& context, std::string_view bytes);
  void finish_body(Context& context);
  void interrupt(Context& context, Incomplete cause);

  // ---- exchanges.cc
  void take_command(Context& context, std::string_view line);
  bool remember(Context& context, std::string_view name, Pop3Kind kind);
  void take_reply(Context& context, std::string_view line);
  Pop3Kind take_answered(Context& context);
  static void follow_login(Pop3Connection& pop3, Pop3Verb verb, Pop3Status status);
  static bool ends_guess(const Pop3Connection& pop3, std::string_view line);
  void end_guess(Context& context);
  void emit(Context& context, Message& message);
  void emit_request(Context& context, const Pop3Command& command, bool hidden, bool remembered);
  void emit_reply(Context& context, Pop3Status status, std::string_view text, bool has_body);

  uint64_t body_max_;  // bytes of a reply kept
  BufferPool& pool_;
  ShardCounters& counters_;
  MessageEmitter& emitter_;
};

}  // namespace tcp_sniffer
