#include "core/message/body_file_name.h"

#include <cstring>

#include "core/base/ascii_case.h"
#include "core/base/number_text.h"
#include "core/message/content_coding.h"

namespace tcp_sniffer {
namespace {

struct MediaType {
  std::string_view type;
  std::string_view extension;
};

constexpr std::string_view kUnknownExtension = "bin";

// The media types that make up nearly all responses.
constexpr MediaType kMediaTypes[] = {
    {"application/atom+xml", "xml"},
    {"application/gzip", "gz"},
    {"application/javascript", "js"},
    {"application/json", "json"},
    {"application/manifest+json", "json"},
    {"application/msword", "doc"},
    {"application/ogg", "ogg"},
    {"application/pdf", "pdf"},
    {"application/rss+xml", "xml"},
    {"application/rtf", "rtf"},
    {"application/vnd.ms-excel", "xls"},
    {"application/vnd.ms-fontobject", "eot"},
    {"application/vnd.ms-powerpoint", "ppt"},
    {"application/wasm", "wasm"},
    {"application/x-7z-compressed", "7z"},
    {"application/x-bzip2", "bz2"},
    {"application/x-gzip", "gz"},
    {"application/x-javascript", "js"},
    {"application/x-msdownload", "exe"},
    {"application/x-ndjson", "ndjson"},
    {"application/x-shockwave-flash", "swf"},
    {"application/x-tar", "tar"},
    {"application/x-www-form-urlencoded", "txt"},
    {"application/xhtml+xml", "html"},
    {"application/xml", "xml"},
    {"application/zip", "zip"},
    {"application/zstd", "zst"},
    {"audio/mp4", "m4a"},
    {"audio/mpeg", "mp3"},
    {"audio/ogg", "ogg"},
    {"audio/wav", "wav"},
    {"font/otf", "otf"},
    {"font/ttf", "ttf"},
    {"font/woff", "woff"},
    {"font/woff2", "woff2"},
    {"image/avif", "avif"},
    {"image/bmp", "bmp"},
    {"image/gif", "gif"},
    {"image/jpeg", "jpg"},
    {"image/png", "png"},
    {"image/svg+xml", "svg"},
    {"image/tiff", "tif"},
    {"image/vnd.microsoft.icon", "ico"},
    {"image/webp", "webp"},
    {"image/x-icon", "ico"},
    {"text/calendar", "ics"},
    {"text/css", "css"},
    {"text/csv", "csv"},
    {"text/event-stream", "txt"},
    {"text/html", "html"},
    {"text/javascript", "js"},
    {"text/markdown", "md"},
    {"text/plain", "txt"},
    {"text/xml", "xml"},
    {"video/mp4", "mp4"},
    {"video/mpeg", "mpg"},
    {"video/ogg", "ogv"},
    {"video/webm", "webm"},
};

bool ends_ignoring_case(std::string_view text, std::string_view end) {
  return text.size() >= end.size() &&
         equal_ignoring_case(text.substr(text.size() - end.size()), end);
}

std::string_view extension_of(std::span<const HeaderField> headers) {
  for (const HeaderField& field : headers) {
    if (!equal_ignoring_case(field.name, "content-type")) continue;
    // RFC 9110 section 8.3.1: parameters follow the type after a semicolon.
    std::string_view type = field.value.substr(0, field.value.find_first_of(";, \t"));
    for (const MediaType& known : kMediaTypes) {
      if (equal_ignoring_case(type, known.type)) return known.extension;
    }
    // RFC 6838 section 4.2.8: the suffix names the syntax.
    if (ends_ignoring_case(type, "+json")) return "json";
    if (ends_ignoring_case(type, "+xml")) return "xml";
    return kUnknownExtension;
  }
  return kUnknownExtension;
}

// The coding that is still on the body: its outermost, and only when none was undone.
std::string_view coding_extension(const Message& message) {
  if (!message.content_decoded.empty()) return "";
  const ContentCodings list = read_content_codings(message.headers);
  if (list.count == 0) return "";
  switch (list.view().back()) {
    case ContentCoding::kGzip:
      return ".gz";
    case ContentCoding::kDeflate:
      return ".zz";
    case ContentCoding::kBrotli:
      return ".br";
    case ContentCoding::kZstd:
      return ".zst";
  }
  return "";
}

}  // namespace

bool body_is_incomplete(const Message& message) {
  return message.incomplete != Incomplete::kNo || message.body_truncated ||
         message.content_decode_error != ContentDecodeError::kNo;
}

BodyFileName::BodyFileName(const Message& message) {
  size_ = static_cast<size_t>(write_hex16(text_, message.connection_id) - text_);
  by_time_ = message.exchange == kNoExchange;
  append(by_time_ ? "-u" : "-");
  const uint64_t number =
      by_time_ ? static_cast<uint64_t>(message.first_byte_ns) : message.exchange;
  size_ = static_cast<size_t>(write_unsigned(text_ + size_, number) - text_);
  if (body_is_incomplete(message)) append("-incomplete");
  append(".");
  append(extension_of(message.headers));
  append(coding_extension(message));
}

void BodyFileName::append(std::string_view part) {
  std::memcpy(text_ + size_, part.data(), part.size());
  size_ += part.size();
}

}  // namespace tcp_sniffer
