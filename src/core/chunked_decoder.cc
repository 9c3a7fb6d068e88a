#include "core/chunked_decoder.h"

#include <algorithm>
#include <limits>

#include "core/byte_search.h"

namespace tcp_sniffer {

namespace {

constexpr uint64_t kChunkBytesMax = std::numeric_limits<int64_t>::max();

int pause_at_chunk_header(llhttp_t*) {
  return HPE_PAUSED;
}

// A parser that waits for the first chunk size.
const llhttp_t& primed_parser() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
    made.on_chunk_header = pause_at_chunk_header;
    return made;
  }();
  static const llhttp_t primed = [] {
    constexpr std::string_view kHead = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
    llhttp_t made;
    llhttp_init(&made, HTTP_REQUEST, &settings);
    llhttp_execute(&made, kHead.data(), kHead.size());
    return made;
  }();
  return primed;
}

bool is_blank(char c) {
  return c == ' ' || c == '\t';
}

}  // namespace

void ChunkedDecoder::start() {
  parser_ = primed_parser();
  remaining_ = 0;
  state_ = State::kSize;
}

void ChunkedDecoder::skip_in_chunk(uint64_t bytes) {
  if (state_ != State::kData) return;
  remaining_ -= std::min(bytes, remaining_);
  if (remaining_ == 0) state_ = State::kDataEnd;
}

ChunkedDecoder::Event ChunkedDecoder::next(std::string_view& input, std::string_view& piece) {
  for (;;) {
    if (state_ == State::kDone) return Event::kDone;
    if (state_ == State::kError) return Event::kError;
    if (input.empty()) return Event::kMore;
    bool good = true;
    switch (state_) {
      case State::kSize:
      case State::kSizeBlanks:
      case State::kSizeCr:
      case State::kExtension:
        good = take_size_line(input);
        break;
      case State::kDataEnd:
      case State::kDataEndCr:
        good = take_line_end(input);
        break;
      case State::kData:
        return take_data(input, piece);
      case State::kTrailerStart:
      case State::kTrailerCr:
      case State::kTrailerLine:
      case State::kTrailerNext:
      case State::kTrailerEndCr: {
        const Event event = take_trailer(input, piece);
        if (event == Event::kTrailer) return event;
        break;
      }
      case State::kDone:
      case State::kError:
        break;
    }
    if (!good) state_ = State::kError;
  }
}

// Reads on in a size line: digits go to llhttp, blanks and extensions are passed over.
bool ChunkedDecoder::take_size_line(std::string_view& input) {
  if (state_ == State::kExtension) {
    const size_t line_feed = find_line_feed(input, 0);
    if (line_feed == std::string_view::npos) {
      input = {};
      return true;
    }
    input.remove_prefix(line_feed + 1);
    return end_size_line();
  }
  if (state_ == State::kSize) {
    size_t digits = 0;
    while (digits < input.size() && !is_blank(input[digits]) && input[digits] != ';' &&
           input[digits] != '\r' && input[digits] != '\n') {
      ++digits;
    }
    if (input.substr(digits, 2) == "\r\n" && digits > 0) {
      // The usual line, in one call.
      const llhttp_errno_t result = llhttp_execute(&parser_, input.data(), digits + 2);
      if (result != HPE_PAUSED) return false;
      input.remove_prefix(digits + 2);
      return take_size();
    }
    if (digits > 0) {
      if (llhttp_execute(&parser_, input.data(), digits) != HPE_OK) return false;
      input.remove_prefix(digits);
      return true;
    }
  }
  const char c = input.front();
  if (state_ == State::kSizeCr && c != '\n') return false;
  if (c == '\r') {
    state_ = State::kSizeCr;
  } else if (c == ';') {
    state_ = State::kExtension;
  } else if (is_blank(c)) {
    state_ = State::kSizeBlanks;
  } else if (c != '\n') {
    return false;
  }
  input.remove_prefix(1);
  return c == '\n' ? end_size_line() : true;
}

bool ChunkedDecoder::end_size_line() {
  return llhttp_execute(&parser_, "\r\n", 2) == HPE_PAUSED && take_size();
}

// llhttp has paused behind a size line.
bool ChunkedDecoder::take_size() {
  remaining_ = parser_.content_length;
  if (remaining_ > kChunkBytesMax) return false;
  state_ = remaining_ == 0 ? State::kTrailerStart : State::kData;
  return true;
}

bool ChunkedDecoder::take_line_end(std::string_view& input) {
  if (state_ == State::kDataEnd && input.starts_with("\r\n")) {
    input.remove_prefix(2);
    parser_ = primed_parser();
    state_ = State::kSize;
    return true;
  }
  const char c = input.front();
  if (c == '\r' && state_ == State::kDataEnd) {
    state_ = State::kDataEndCr;
  } else if (c == '\n') {
    parser_ = primed_parser();
    state_ = State::kSize;
  } else {
    return false;
  }
  input.remove_prefix(1);
  return true;
}

ChunkedDecoder::Event ChunkedDecoder::take_data(std::string_view& input, std::string_view& piece) {
  piece = input.substr(0, static_cast<size_t>(std::min<uint64_t>(input.size(), remaining_)));
  input.remove_prefix(piece.size());
  skip_in_chunk(piece.size());
  return Event::kBody;
}

// Goes through the trailer section line by line; kMore means that no bytes are to be handed out.
ChunkedDecoder::Event ChunkedDecoder::take_trailer(std::string_view& input,
                                                   std::string_view& piece) {
  if (state_ == State::kTrailerStart || state_ == State::kTrailerCr) {
    const char c = input.front();
    if (c == '\n') {
      input.remove_prefix(1);
      state_ = State::kDone;
      return Event::kMore;
    }
    if (c == '\r' && state_ == State::kTrailerStart) {
      input.remove_prefix(1);
      state_ = State::kTrailerCr;
      return Event::kMore;
    }
    const bool cr_was_held_back = state_ == State::kTrailerCr;
    state_ = State::kTrailerLine;
    if (cr_was_held_back) {
      piece = "\r";
      return Event::kTrailer;
    }
  }
  size_t at = 0;
  while (at < input.size() && state_ != State::kDone) {
    if (state_ == State::kTrailerLine) {
      const size_t line_feed = find_line_feed(input, at);
      if (line_feed == std::string_view::npos) {
        at = input.size();
        break;
      }
      at = line_feed + 1;
      state_ = State::kTrailerNext;
    } else if (input[at] == '\n') {
      state_ = State::kDone;
      ++at;
    } else if (input[at] == '\r' && state_ == State::kTrailerNext) {
      state_ = State::kTrailerEndCr;
      ++at;
    } else {
      state_ = State::kTrailerLine;
    }
  }
  piece = input.substr(0, at);
  input.remove_prefix(at);
  return Event::kTrailer;
}

}  // namespace tcp_sniffer
