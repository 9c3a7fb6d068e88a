#pragma once

#include <string>

#include "core/line/message_line.h"
#include "core/redaction/message_redactor.h"

namespace tcp_sniffer {

// The forms of a line that have all of a message.
constexpr LineOptions::Format kWholeFormats[] = {LineOptions::kNdjson, LineOptions::kFramed,
                                                 LineOptions::kPacked, LineOptions::kPretty};

// The message's line after it went through the redactor.
inline std::string redacted_line(Message message, const RedactionRules& rules,
                                 LineOptions::Format format = LineOptions::kNdjson) {
  BufferPool pool(size_t{1} << 26);
  MessageRedactor redactor(rules, pool);
  redactor.redact(message);
  LineOptions options;
  options.format = format;
  options.raw_headers = true;
  options.extended = true;
  MessageLineWriter writer(options);
  ScratchLine line;
  writer.write(message, line);
  if (format == LineOptions::kPretty) writer.write_unanswered(message, line);
  return std::string(line.view());
}

}  // namespace tcp_sniffer
