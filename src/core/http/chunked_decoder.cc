#include "core/http/chunked_decoder.h"

#include <algorithm>
#include <limits>

#include "core/base/byte_search.h"
#include "core/http/start_line.h"

namespace tcp_sniffer {

namespace {

constexpr uint64_t kChunkBytesMax = std::numeric_limits<int64_t>::max();

// A parser that waits for the first chunk size.
const llhttp_t& primed_parser() {
  static const llhttp_settings_t settings = [] {
    llhttp_settings_t made;
    llhttp_settings_init(&made);
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

}  // namespace

void ChunkedDecoder::start() {
  anomalies_ = {};
  line_size_ = 0;
  start_size();
}

void ChunkedDecoder::start_size() {
  parser_ = primed_parser();
  remaining_ = 0;
  has_digits_ = false;
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

// Takes framing from the input, which is given back if it turns out to be none.
bool ChunkedDecoder::use(std::string_view& input, size_t bytes) {
  if (line_size_ + bytes > line_.size()) return false;
  input.copy(line_.data() + line_size_, bytes);
  line_size_ = static_cast<uint8_t>(line_size_ + bytes);
  input.remove_prefix(bytes);
  return true;
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
    if (digits > 0) return take_digits(input, digits);
  }
  return take_behind_size(input);
}

bool ChunkedDecoder::take_digits(std::string_view& input, size_t digits) {
  if (llhttp_execute(&parser_, input.data(), digits) != HPE_OK ||
      parser_.content_length > kChunkBytesMax) {
    return false;
  }
  has_digits_ = true;
  if (input.substr(digits, 2) == "\r\n" && line_size_ + digits < line_.size()) {
    // The usual line.
    input.remove_prefix(digits + 2);
    return end_size_line();
  }
  return use(input, digits);
}

// One byte that is no digit, or stands after a blank.
bool ChunkedDecoder::take_behind_size(std::string_view& input) {
  const char c = input.front();
  if (state_ == State::kSizeCr && c != '\n') return false;
  switch (c) {
    case '\r':
      if (!use(input, 1)) return false;
      state_ = State::kSizeCr;
      return true;
    case '\n':
      anomalies_.add_if(state_ != State::kSizeCr, Anomaly::kBareLf);
      if (has_digits_) {
        input.remove_prefix(1);
        return end_size_line();
      }
      anomalies_.add(Anomaly::kChunkLine);
      state_ = State::kSize;
      return use(input, 1);
    case ' ':
    case '\t':
      anomalies_.add(Anomaly::kChunkLine);
      if (has_digits_) state_ = State::kSizeBlanks;
      return use(input, 1);
    case ';':
      if (!has_digits_) return false;
      state_ = State::kExtension;
      input.remove_prefix(1);
      return true;
    default:
      return false;
  }
}

// llhttp has the digits.
bool ChunkedDecoder::end_size_line() {
  remaining_ = parser_.content_length;
  line_size_ = 0;
  state_ = remaining_ == 0 ? State::kTrailerStart : State::kData;
  return true;
}

bool ChunkedDecoder::take_line_end(std::string_view& input) {
  const char c = input.front();
  if (state_ == State::kDataEnd && input.starts_with("\r\n")) {
    input.remove_prefix(2);
    start_size();
    return true;
  }
  if (c == '\r' && state_ == State::kDataEnd) {
    state_ = State::kDataEndCr;
    return use(input, 1);
  }
  if (c != '\n') return false;
  anomalies_.add_if(state_ == State::kDataEnd, Anomaly::kBareLf);
  input.remove_prefix(1);
  line_size_ = 0;
  start_size();
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
      anomalies_.add_if(state_ == State::kTrailerStart, Anomaly::kBareLf);
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
