#pragma once

#include <span>
#include <string_view>

#include "core/base/ascii_case.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// The first header of that name, which is in lower case, from `first` on; nullptr: none.
inline const HeaderField* find_header(std::span<const HeaderField> fields, std::string_view name,
                                      size_t first = 0) {
  for (size_t i = first; i < fields.size(); ++i) {
    if (equal_ignoring_case(fields[i].name, name)) return &fields[i];
  }
  return nullptr;
}

std::string_view incomplete_word(Incomplete incomplete);
std::string_view content_decode_error_word(ContentDecodeError error);

std::string_view orphan_word(Orphan::Kind kind);

}  // namespace tcp_sniffer
