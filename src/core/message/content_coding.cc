#include "core/message/content_coding.h"

#include "core/base/ascii_case.h"
#include "core/base/characters.h"

namespace tcp_sniffer {
namespace {

constexpr struct {
  std::string_view name;
  ContentCoding coding;
} kNames[] = {
    {"gzip", ContentCoding::kGzip},
    {"x-gzip", ContentCoding::kGzip},  // RFC 9110 section 8.4.1.3: the same
    {"deflate", ContentCoding::kDeflate},
    {"br", ContentCoding::kBrotli},
    {"zstd", ContentCoding::kZstd},
};

void add_coding(std::string_view name, ContentCodings& list) {
  if (name.empty() || equal_ignoring_case(name, "identity")) return;
  for (const auto& known : kNames) {
    if (!equal_ignoring_case(name, known.name)) continue;
    if (list.count == ContentCodings::kCodingsMax) {
      list.too_many = true;
    } else {
      list.codings[list.count++] = known.coding;
    }
    return;
  }
  // A coding that was applied before this one cannot be undone.
  list = {};
}

}  // namespace

ContentCodings read_content_codings(std::span<const HeaderField> headers) {
  ContentCodings list;
  for (const HeaderField& field : headers) {
    if (!equal_ignoring_case(field.name, "content-encoding")) continue;
    std::string_view rest = field.value;
    while (!rest.empty()) {
      const size_t comma = rest.find(',');
      add_coding(without_space(rest.substr(0, comma)), list);
      rest = comma == std::string_view::npos ? std::string_view{} : rest.substr(comma + 1);
    }
  }
  if (list.too_many) list.count = 0;
  return list;
}

std::string_view content_coding_name(ContentCoding coding) {
  switch (coding) {
    case ContentCoding::kGzip:
      return "gzip";
    case ContentCoding::kDeflate:
      return "deflate";
    case ContentCoding::kBrotli:
      return "br";
    case ContentCoding::kZstd:
      return "zstd";
  }
  return "";
}

}  // namespace tcp_sniffer
