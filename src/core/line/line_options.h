#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

#include "core/base/link_names.h"
#include "core/field/fields.h"
#include "core/line/time_text.h"

namespace tcp_sniffer {

// How `format: pretty` is written.
struct PrettyOptions {
  bool colours = false;
  bool takes_notes = false;                 // ExchangeNotes
  uint8_t detail = 0;                       // 1: headers as well, 2: and bodies; by exchange
  uint32_t columns = 0;                     // of the terminal; 0: a line may have any length
  TimeText::Offset utc_offset_s = nullptr;  // local time; nullptr: UTC
  // The last day that was announced, of all writers of one output; outlives them. nullptr: no day
  // is announced.
  std::atomic<int64_t>* day = nullptr;
};

// How messages are written.
struct LineOptions {
  enum Format : uint8_t { kNdjson, kFramed, kPacked, kPretty, kTsv, kCsv };

  Format format = kNdjson;
  bool by_exchange = false;    // a line for each exchange; kPretty: with details
  bool extended = false;       // fields: extended
  bool raw_headers = false;    // rawHeaders
  bool binary_base64 = false;  // binaryBody: base64
  PrettyOptions pretty;        // format: pretty
  // Not empty: only these fields, in this order. Never empty for kTsv and kCsv.
  std::vector<FieldRef> select;
  // For `interface`; nullptr: no interface has a name.
  std::shared_ptr<const LinkNames> link_names{};

  std::string_view link_name(uint16_t link_id) const {
    return link_names == nullptr ? std::string_view() : link_names->of(link_id);
  }
};

}  // namespace tcp_sniffer
