#pragma once

#include <cstddef>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/buffer_pool.h"
#include "core/base/growing_text.h"
#include "core/message/message.h"
#include "core/redaction/body_scanner.h"
#include "core/redaction/names.h"
#include "core/redaction/patterns.h"
#include "core/redaction/placeholder.h"
#include "core/redaction/rules.h"
#include "core/redaction/spans.h"
#include "core/redaction/targets.h"

namespace tcp_sniffer {

// Hides in a finished message what the rules name, before anything is made of it: what comes after
// this need not know that anything is secret. One per shard; used when the rules name anything.
class MessageRedactor {
 public:
  // The pool outlives it.
  MessageRedactor(const RedactionRules& rules, BufferPool& pool)
      : pool_(pool),
        searches_bodies_(rules.any_of_bodies()),
        headers_(rules.headers),
        query_(rules.query),
        fields_(rules.body),
        patterns_(rules.patterns),
        targets_(query_, &patterns_),
        bodies_(fields_, patterns_),
        placeholder_(rules.hash_key) {}
  ~MessageRedactor() { release_body(); }
  MessageRedactor(const MessageRedactor&) = delete;
  MessageRedactor& operator=(const MessageRedactor&) = delete;

  // What became of the body.
  enum class Body : uint8_t {
    kNotSearched,  // there is none, or no rule is about bodies
    kUnchanged,
    kHidden,
    kWithheld  // it cannot be read, or there is no memory: nothing of it is in the message any more
  };

  // Lets the views of the message that hold something hidden show texts without it. They are valid
  // until the next call, the body until release_body. `message.body` is decoded if it can be.
  Body redact(Message& message);
  void release_body() { body_.release(pool_); }

  // Whether a rule is about bodies, so that they have to be decoded first.
  bool searches_bodies() const { return searches_bodies_; }

  // By how many bytes the texts of the last message's head have grown.
  size_t growth() const { return growth_; }

 private:
  Body redact_body(Message& message);
  void redact_head(Message& message);
  // `may_be_cut`: in its authority.
  std::string_view target_without(std::string_view target, bool is_cut, bool may_be_cut = false);
  std::string_view text_without(std::string_view text, bool is_cut = false);
  std::string_view written(std::string_view text);
  void redact_fields(bool is_cut, std::span<const HeaderField>& fields,
                     std::vector<HeaderField>& redacted);
  void redact_field(HeaderField& field, bool is_cut);

  BufferPool& pool_;
  const bool searches_bodies_;
  const HeaderNames headers_;
  const FieldNames query_;
  const FieldNames fields_;
  Patterns patterns_;
  TargetScanner targets_;
  BodyScanner bodies_;
  Spans spans_;
  Placeholder placeholder_;
  std::vector<HeaderField> header_fields_;
  std::vector<HeaderField> trailer_fields_;
  std::deque<std::string> texts_;  // of this message; kept for their memory
  size_t texts_used_ = 0;
  GrowingText body_;
  size_t growth_ = 0;
};

}  // namespace tcp_sniffer
