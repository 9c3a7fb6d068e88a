#pragma once

#include <array>
#include <cstdint>

#include "core/base/buffer_pool.h"
#include "core/net/flow_key.h"

namespace tcp_sniffer {

struct OpenMessage;

// Where a stream of HTTP/1.x stands.
enum class HttpPhase : uint8_t {
  kStart,  // between messages: the next byte begins one
  kHead,   // a start line or header section is incomplete
  kBodyLength,
  kBodyChunked,
  kBodyUntilClose,
  kSearch,   // after a loss or rubbish: looking for the next message
  kIgnored,  // not HTTP
  kTunnel,   // after CONNECT or Upgrade
};

enum class HeldSide : uint8_t { kNone, kLow, kHigh };

// One direction. An open message exists only while a message is incomplete (or a partial line is
// kept while searching), so an idle connection costs these 16 bytes.
struct HttpStream {
  OpenMessage* open = nullptr;
  HttpPhase phase = HttpPhase::kStart;
  bool started : 1 = false;            // a message was found in this stream
  bool unplaced : 1 = false;           // met in its middle, and nothing of it was taken yet
  bool direct : 1 = false;             // kSearch: nothing was skipped since the loss
  bool not_http_reported : 1 = false;  // each event once per stream
  bool parse_error_reported : 1 = false;
  bool order_lost : 1 = false;      // messages may be missing in front of the next one
  bool lossy : 1 = false;           // messages were lost, at some time
  bool inside : 1 = false;          // kSearch: the first line has begun
  bool skipped_lines : 1 = false;   // kStart: empty lines stand in front of the next message
  bool skipped_blanks : 1 = false;  // … or blanks
  bool ended : 1 = false;           // its end is final, and what came before it was taken
  uint8_t quiet_since = 0;          // when the latest response without exchange ended; 0 = none
  uint32_t held_frame = 0;          // low bits of the frame whose bytes were refused at first
};

// The HTTP state of a connection between messages. Plain data, part of the connection object;
// `exchanges` is memory of the shard's pool.
struct HttpConnection {
  std::array<HttpStream, 2> streams;  // by Side
  Buffer exchanges;                   // requests that wait for their responses: Exchange objects
  uint32_t exchange_count = 0;
  uint32_t next_exchange = 0;     // number of the next request
  uint16_t first_exchange = 0;    // ring: index of the oldest
  uint16_t smallest_request = 0;  // the least bytes of a request's head; 0 = none was seen
  uint16_t unseen_bytes = 0;      // that may be requests which were not seen; 65535 = any number
  uint8_t unseen_answers = 0;     // responses that surely came since the first of them began
  bool pipelines : 1 = false;     // requests were sent without waiting for responses, perhaps
  bool surely_pipelines : 1 = false;  // … before anything was lost: they were no text of a body
  bool waits : 1 = false;             // it was seen to wait for each response, often enough
  bool tunnel : 1 = false;
  bool answer_waits : 1 = false;        // a response was refused until its request is complete
  HeldSide held : 2 = HeldSide::kNone;  // whose next message was refused until it was taken

  bool order_waits() const { return answer_waits || held != HeldSide::kNone; }
};

}  // namespace tcp_sniffer
