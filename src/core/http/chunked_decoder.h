#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/message/anomalies.h"
#include "llhttp.h"

namespace tcp_sniffer {

// Decodes the chunked transfer coding (RFC 9112 section 7.1) of one body at a time. llhttp reads
// the chunk sizes; everything else is a thin layer around it:
//
//   chunk data      never reaches llhttp: it is handed out as views of the input, without a look
//                   at its bytes, and lost bytes of it can be passed over in O(1)
//   size line       blanks and empty lines before the size, blanks after it and chunk extensions
//                   are held back from llhttp 8.1.0, which refuses much of what real servers send
//                   there; bare LF becomes CRLF
//   trailer section is handed out raw, for HeadReader::read_fields
//
// For each chunk the parser is a bytewise copy of one that has read a head with
// `Transfer-Encoding: chunked`; an llhttp_t without an open span holds no pointer into itself.
//
// Trivially copyable, no allocation, no ownership. Used by one thread at a time. After kDone or
// kError only start() may be called.
class ChunkedDecoder {
 public:
  enum class Event : uint8_t {
    kMore,     // all of the input is used up
    kBody,     // `piece` holds body bytes, a view of the input
    kTrailer,  // `piece` holds bytes of the trailer section, its empty line included; only when
               // there is more to it than the empty line
    kDone,     // the coding ended; the input after it is what is left
    kError,    // not the chunked coding, or a chunk of more than 2^63 - 1 bytes; the input stands
               // at the byte that shows it, and unexplained() is what was used before that byte
  };

  // Longest size line, without its extensions.
  static constexpr size_t kSizeLineMax = 40;

  // Before the first chunk.
  void start();

  // Takes the next thing from the front of `input`, which loses what was used. Call it until it
  // says something other than kBody or kTrailer.
  Event next(std::string_view& input, std::string_view& piece);

  // Chunk data still to come of the chunk the decoder stands in; 0 elsewhere.
  uint64_t remaining_in_chunk() const { return state_ == State::kData ? remaining_ : 0; }

  // After kError: the bytes after the last chunk's data that were taken for framing.
  std::string_view unexplained() const { return {line_.data(), line_size_}; }
  Anomalies anomalies() const { return anomalies_; }

  // Passes over chunk data that was lost; `bytes` is at most remaining_in_chunk().
  void skip_in_chunk(uint64_t bytes);

 private:
  enum class State : uint8_t {
    kSize,          // in the digits of a size, or before them
    kSizeBlanks,    // blanks after them
    kSizeCr,        // a CR, its LF to come
    kExtension,     // chunk extensions, up to the LF
    kData,          // remaining_ bytes of chunk data to come
    kDataEnd,       // the line end after the data
    kDataEndCr,     // its CR has come
    kTrailerStart,  // first byte after the last chunk's size line
    kTrailerCr,     // a CR there, held back
    kTrailerLine,   // inside a trailer line
    kTrailerNext,   // at the start of a further trailer line
    kTrailerEndCr,  // a CR there
    kDone,
    kError,
  };

  bool take_size_line(std::string_view& input);
  bool take_digits(std::string_view& input, size_t digits);
  bool take_behind_size(std::string_view& input);
  bool end_size_line();
  bool take_line_end(std::string_view& input);
  bool use(std::string_view& input, size_t bytes);
  void start_size();
  Event take_data(std::string_view& input, std::string_view& piece);
  Event take_trailer(std::string_view& input, std::string_view& piece);

  llhttp_t parser_{};
  uint64_t remaining_ = 0;
  State state_ = State::kError;
  bool has_digits_ = false;  // the size line's
  Anomalies anomalies_;
  uint8_t line_size_ = 0;
  std::array<char, kSizeLineMax> line_;  // what was used after the last chunk's data
};

}  // namespace tcp_sniffer
