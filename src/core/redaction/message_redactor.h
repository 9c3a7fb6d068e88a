#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/message/message.h"
#include "core/redaction/names.h"
#include "core/redaction/placeholder.h"
#include "core/redaction/rules.h"
#include "core/redaction/spans.h"
#include "core/redaction/targets.h"

namespace tcp_sniffer {

// Hides in a finished message what the rules name, before anything is made of it: what comes after
// this need not know that anything is secret. One per shard; used when the rules name anything.
class MessageRedactor {
 public:
  explicit MessageRedactor(const RedactionRules& rules)
      : headers_(rules.headers), query_(rules.query), targets_(query_) {}
  MessageRedactor(const MessageRedactor&) = delete;
  MessageRedactor& operator=(const MessageRedactor&) = delete;

  // Lets the views of the message that hold something hidden show texts without it. They are valid
  // until the next call.
  void redact(Message& message);

  // By how many bytes the texts of the last message's head have grown.
  size_t growth() const { return growth_; }

 private:
  std::string_view target_without(std::string_view target);
  std::string_view text_without(std::string_view text);
  std::string_view written(std::string_view text);
  void redact_fields(std::span<const HeaderField>& fields, std::vector<HeaderField>& redacted);
  void redact_field(HeaderField& field);

  const HeaderNames headers_;
  const FieldNames query_;
  TargetScanner targets_;
  Spans spans_;
  Placeholder placeholder_;
  std::vector<HeaderField> header_fields_;
  std::vector<HeaderField> trailer_fields_;
  std::deque<std::string> texts_;  // of this message; kept for their memory
  size_t texts_used_ = 0;
  size_t growth_ = 0;
};

}  // namespace tcp_sniffer
