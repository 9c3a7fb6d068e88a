#include "core/field/field_words.h"

namespace tcp_sniffer {
std::string_view incomplete_word(Incomplete incomplete) {
  switch (incomplete) {
    case Incomplete::kNo:
      return "";
    case Incomplete::kGap:
      return "gap";
    case Incomplete::kClosed:
      return "closed";
    case Incomplete::kEvicted:
      return "evicted";
    case Incomplete::kIdle:
      return "idle";
    case Incomplete::kShutdown:
      return "shutdown";
    case Incomplete::kSnaplen:
      return "snaplen";
    case Incomplete::kLimit:
      return "limit";
    case Incomplete::kParseError:
      return "parseError";
  }
  return "";
}

std::string_view content_decode_error_word(ContentDecodeError error) {
  switch (error) {
    case ContentDecodeError::kNo:
      return "";
    case ContentDecodeError::kTruncated:
      return "truncated";
    case ContentDecodeError::kCorrupt:
      return "corrupt";
    case ContentDecodeError::kLimit:
      return "limit";
  }
  return "";
}

std::string_view orphan_word(Orphan::Kind kind) {
  switch (kind) {
    case Orphan::Kind::kNo:
      return "";
    case Orphan::Kind::kRequestNotCaptured:
      return "requestNotCaptured";
    case Orphan::Kind::kResponseNotCaptured:
      return "responseNotCaptured";
    case Orphan::Kind::kNoResponse:
      return "noResponse";
  }
  return "";
}

}  // namespace tcp_sniffer
