#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/http/start_line.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// Finds where the next HTTP/1.x message may start in a stream whose framing is lost: after a gap,
// or when a stream is first seen in its middle. Takes the stream in pieces of any size, searches
// them for "HTTP/1." with vector instructions, and judges only the lines that hold it, once they
// are complete:
//
//   the stream's first line after a gap    a known method or HTTP/1.x NNN at its first byte
//   a line after a line feed               any start line
//   inside any line                        "HTTP/1.x NNN ", or a known method, a target without a
//                                          blank and HTTP/1.x at the line's end: a body need not
//                                          end with a line feed
//
// Where it is known which side is the server, only its direction's messages are wanted: bodies hold
// requests and responses as text, and half of them are then no candidates.
//
// What it finds is a candidate. The caller gathers the head from there and judges it line by line
// (HeadReader::read_candidate); when it fails, it calls start() with kBehindLineFeed and feeds the
// bytes after the candidate's first line.
//
//   stream   ........ ....kkkkk|kkkkk.....HTTP/1.1 200 OK␍␊.........
//   pieces   ---- piece n-1 ---|--------- piece n ------------------
//   kept                  ^^^^^ the unfinished line: in the caller's buffer, at most 8 KiB
//
// Each byte is looked at a bounded number of times, whatever the input. The buffer belongs to the
// caller and must stay in place from start() until the search has ended; only searching streams
// need one. Used by one thread at a time.
class MessageFinder {
 public:
  // Size of the buffer, and longest line that is judged as a whole. Of a longer line at least the
  // last half of this is still searched for a message that starts inside it.
  static constexpr size_t kSearchLineMax = 8192;

  enum class StartsAt : uint8_t {
    kGap,             // the first byte may be anything
    kBehindLineFeed,  // a line starts at the first byte
    kInsideLine,      // a line has begun before the first byte
  };
  enum class Wanted : uint8_t { kBoth, kRequests, kResponses };

  // A candidate: its first bytes are `kept` (in the caller's buffer, valid until the next call),
  // then what stands in the piece from `offset` on. `offset` is 0 when `kept` is not empty.
  struct Candidate {
    bool found = false;
    std::string_view kept;
    size_t offset = 0;
    size_t line_bytes = 0;  // its first line, with the line feed; may begin in `kept`
    MessageDirection direction = MessageDirection::kRequest;
  };

  void start(std::span<char, kSearchLineMax> buffer, StartsAt starts_at,
             Wanted wanted = Wanted::kBoth);

  // Searches the next piece of the stream. After a candidate the finder forgets the rest of the
  // piece: start() again.
  Candidate search(std::string_view piece);

  // Where a message starts inside a line, after other bytes; 0 when none does. The line comes
  // without its line end.
  static size_t message_inside(std::string_view line, Wanted wanted) {
    return judge_inside(line, wanted).offset;
  }

  // Whether start() was called and no candidate found since.
  bool searching() const { return buffer_ != nullptr; }

 private:
  enum class LineStart : uint8_t { kGap, kLine, kUnknown };

  struct Judgement {
    bool found = false;
    size_t offset = 0;
    MessageDirection direction = MessageDirection::kRequest;
  };

  static bool wants(Wanted wanted, MessageDirection direction);
  Judgement judge_line(std::string_view line, LineStart line_start) const;
  static Judgement judge_inside(std::string_view line, Wanted wanted);
  Candidate finish_kept_line(std::string_view piece, size_t line_feed);
  Candidate search_lines(std::string_view piece, size_t from);
  Candidate found(const Candidate& candidate);
  void keep(std::string_view bytes);

  char* buffer_ = nullptr;
  uint32_t kept_ = 0;
  LineStart line_start_ = LineStart::kGap;  // of the line that is kept, or comes next
  Wanted wanted_ = Wanted::kBoth;
};

}  // namespace tcp_sniffer
