#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/message/anomalies.h"
#include "core/net/flow_key.h"
#include "core/net/proxy_protocol.h"

namespace tcp_sniffer {

enum class MessageDirection : uint8_t { kRequest, kResponse };

// Why bytes of a message are missing (docs/messages.md, field `incomplete`).
enum class Incomplete : uint8_t {
  kNo,
  kGap,
  kClosed,
  kEvicted,
  kIdle,
  kShutdown,
  kSnaplen,
  kLimit,
  kParseError,
};

// A content coding that can be undone (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
enum class ContentCoding : uint8_t { kGzip, kDeflate, kBrotli, kZstd };

// Why a coded body was not decoded to its end.
enum class ContentDecodeError : uint8_t {
  kNo,
  kTruncated,  // the coded stream stops before its end
  kCorrupt,    // it contradicts itself
  kLimit,      // it would cost too much: ratio, time, memory, or too many codings
};

// What shows that a decoded body is what was coded. A stream whose bytes changed on the way may
// decode to another text without an error.
enum class ContentProof : uint8_t {
  kNotNeeded,     // nothing was decoded
  kChecksum,      // one was compared at the stream's end
  kNone,          // br and raw deflate have none, and what is cut has no end
  kContradicted,  // the coded stream ends before or after the body does
};

// One header or trailer field as sent, without the whitespace around name and value. A folded
// value (obs-fold, RFC 9112 section 5.2) keeps its line breaks; the line writer replaces each
// CRLF and the whitespace around it by one space.
struct HeaderField {
  std::string_view name;
  std::string_view value;
  bool folded = false;
};

// From this size on a body may be handed over where it lies: a smaller one is copied sooner than
// the blocks for it are passed on.
constexpr size_t kLargeBody = size_t{64} << 10;
// Room before such a body: for the head of a record with some twenty fields, and for the records of
// a few requests before it.
constexpr size_t kBodyFront = 4096;

struct BodyGap {
  uint64_t offset = 0;  // in the body
  uint64_t length = 0;
};

constexpr uint64_t kNoExchange = ~uint64_t{0};

// What stands in the place of a hidden value.
constexpr std::string_view kRedacted = "[redacted]";

// A message that is alone in its exchange says why (docs/messages.md, fields `orphan` and
// `orphanCause`).
struct Orphan {
  enum class Kind : uint8_t { kNo, kRequestNotCaptured, kResponseNotCaptured, kNoResponse };

  Kind kind = Kind::kNo;
  Incomplete cause = Incomplete::kNo;  // kNo: it is not known, or there is none
};

// Whose request it is, behind the proxies that are trusted.
struct ClientAddress {
  bool is_known = false;
  IpAddress ip{};
};

// A finished message, put together for the line writer. Every view is valid only during the call
// it is handed to. Whoever fills it fills every field that applies.
struct Message {
  // Empty: HTTP. A protocol of commands and replies has neither headers nor `status`; in `method`
  // is the command, or the reply's first word, in `target` the argument, in `reason` the reply's
  // text.
  std::string_view protocol;
  MessageDirection direction = MessageDirection::kRequest;
  uint8_t version_minor = 1;  // httpVersion "1.0" or "1.1"
  bool http09 = false;        // httpVersion "0.9" instead
  std::string_view method;    // requests
  std::string_view target;    // requests: the request target as sent
  uint16_t status = 0;        // responses; 0 = the message has none
  std::string_view reason;    // responses: as sent, may be empty
  // What the texts of the start line and the headers are parts of; empty: they are in no one piece.
  std::string_view head;
  std::span<const HeaderField> headers;
  std::span<const HeaderField> trailers;
  Anomalies anomalies;

  bool body_kept = true;          // false with maxBodySize 0: no `body` field at all
  bool body_withheld = false;     // it could not be searched for what is to be redacted
  bool body_binary = false;       // known not to be UTF-8, and therefore not kept
  bool body_truncated = false;    // captured bytes were left out because of maxBodySize
  bool body_cut_is_none = false;  // … and they show that the character cut there is none
  std::string_view body;          // the kept part, de-chunked, captured parts joined
  // The buffer of the shard's pool that `body` lies in, which nobody else needs after the call: who
  // takes it leaves an empty one. nullptr: there is none.
  Buffer* body_memory = nullptr;
  uint64_t body_size = 0;  // as sent, de-chunked, missing bytes included
  std::span<const BodyGap> body_gaps;

  // With decodeBodies: the codings undone, in the order they were applied ("gzip"). Empty: `body`
  // is as sent. Sizes and gaps are those of the body as sent, always.
  std::string_view content_decoded;
  ContentDecodeError content_decode_error = ContentDecodeError::kNo;
  ContentProof content_proof = ContentProof::kNotNeeded;

  Incomplete incomplete = Incomplete::kNo;
  uint64_t missing_bytes = 0;  // 0 = not known or none
  bool headers_incomplete = false;
  bool after_gap = false;

  // partialAfterMs: of a message that is given out in parts the number of this one, from 1; else 0.
  // `body` and `body_gaps` are its own, and `body_size` is where it ends, except of the last one.
  uint32_t part = 0;
  bool last_part = false;
  std::string_view whole_body;  // of the last part of a response, if it was kept

  Endpoint receiver;
  Endpoint destination;
  ClientAddress client;                       // the real one, when that was asked for and is known
  const ProxiedEndpoints* proxied = nullptr;  // of the connection's PROXY header; nullptr = none
  uint64_t connection_id = 0;
  uint64_t exchange = kNoExchange;
  int64_t first_byte_ns = 0;  // packet time of the message's first byte
  int64_t last_byte_ns = 0;   // packet time of its last byte
  bool has_latency = false;
  int64_t latency_ns = 0;  // may be negative
  bool unasked = false;    // a response that answers nothing, and needs no request
  // Of a request whose response will not be distinguished from others: why.
  Incomplete unanswerable = Incomplete::kNo;

  // fields: extended
  uint64_t first_frame = 0;  // 0 = unknown (live)
  uint64_t last_frame = 0;
  uint32_t headers_size = 0;  // start line, headers and the empty line, bytes
  uint16_t vlan = 0;
  uint16_t link_id = 0;         // of the interface that it came from
  uint16_t shared_link_id = 0;  // of the one that its connection's requests came from
  int64_t connect_ns = -1;      // SYN to ACK of the handshake; -1 = not seen

  bool is_interim() const { return status >= 100 && status < 200 && status != 101; }

  // format: pretty and select: what a response's line says of its request.
  std::string_view request_method;  // of a response's request, when known
  std::string_view request_target;
  std::string_view request_host;
  uint64_t request_body_size = 0;
};

}  // namespace tcp_sniffer
