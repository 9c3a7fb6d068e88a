#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/field/fields.h"

namespace tcp_sniffer {

// How messages are written.
struct LineOptions {
  enum Format : uint8_t { kNdjson, kFramed, kPretty, kTsv, kCsv };

  Format format = kNdjson;
  bool by_exchange = false;    // records: exchange (kPretty has no other form)
  bool extended = false;       // fields: extended
  bool raw_headers = false;    // rawHeaders
  bool binary_base64 = false;  // binaryBody: base64
  bool colours = false;        // pretty only
  // Not empty: only these fields, in this order. Never empty for kTsv and kCsv.
  std::vector<FieldRef> select;
  std::vector<std::string> link_names;  // interface names by link_id, for `interface`
};

}  // namespace tcp_sniffer
