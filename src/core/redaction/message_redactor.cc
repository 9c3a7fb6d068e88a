#include "core/redaction/message_redactor.h"

#include "core/base/ascii_case.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

// A text that grows in the pool, as long as there is memory.
struct PoolWriter {
  GrowingText& text;
  BufferPool& pool;
  bool has_room = true;

  void append(std::string_view bytes) { has_room = has_room && text.append(pool, bytes); }
};

}  // namespace

MessageRedactor::Body MessageRedactor::redact(Message& message) {
  const Body outcome = redact_body(message);  // its type is in the headers
  redact_head(message);
  return outcome;
}

MessageRedactor::Body MessageRedactor::redact_body(Message& message) {
  body_.size = 0;
  if (!searches_bodies_ || !message.body_kept || message.body.empty()) return Body::kNotSearched;
  spans_.clear();
  PoolWriter out{body_, pool_};
  const bool is_readable = bodies_.scan(message, spans_);
  if (is_readable && spans_.empty()) return Body::kUnchanged;
  if (is_readable) spans_.write_without(message.body, placeholder_, out);
  if (is_readable && out.has_room) {
    message.body = body_.text();
    return Body::kHidden;
  }
  message.body = {};
  message.body_kept = false;
  message.body_withheld = true;
  return Body::kWithheld;
}

void MessageRedactor::redact_head(Message& message) {
  texts_used_ = 0;
  growth_ = 0;
  message.head = {};  // it shows what is hidden
  const bool is_http = message.protocol.empty();
  const bool is_cut = message.headers_incomplete;
  const bool start_line_is_cut = is_cut && message.headers.empty();
  message.method = text_without(message.method);
  message.target =
      is_http ? target_without(message.target, start_line_is_cut) : text_without(message.target);
  message.reason = text_without(message.reason, start_line_is_cut);
  message.request_method = text_without(message.request_method);
  // Of a request it is not known here whether it was cut.
  const bool has_scheme = message.request_target.find("://") != std::string_view::npos;
  message.request_target = is_http ? target_without(message.request_target, false, has_scheme)
                                   : text_without(message.request_target);
  if (!message.request_host.empty()) {
    HeaderField host{"host", message.request_host};
    redact_field(host, false);
    message.request_host = host.value;
  }
  redact_fields(is_cut, message.headers, header_fields_);
  redact_fields(is_cut, message.trailers, trailer_fields_);
  if (message.client.is_known && !patterns_.empty()) {
    char client[kIpTextMax];
    const char* end = write_ip(client, message.client.ip);
    message.client.is_known = !patterns_.match({client, static_cast<size_t>(end - client)});
  }
}

// Of those of a head that is cut, the last one may be.
void MessageRedactor::redact_fields(bool is_cut, std::span<const HeaderField>& fields,
                                    std::vector<HeaderField>& redacted) {
  redacted.assign(fields.begin(), fields.end());
  for (HeaderField& field : redacted) redact_field(field, is_cut && &field == &redacted.back());
  fields = redacted;
}

void MessageRedactor::redact_field(HeaderField& field, bool is_cut) {
  if (headers_.cover_field(field.name, field.value)) {
    spans_.clear();
    spans_.add(0, field.value.size());
    field = {field.name, written(field.value), false};
    return;
  }
  // A line without a colon of its own may be taken for a name: the start of a target.
  const std::string_view name = text_without(field.name);
  if (name.data() != field.name.data()) {
    field = {name, kRedacted, false};
    return;
  }
  // The value of Host is an authority.
  const bool is_host = equal_ignoring_case(field.name, "host");
  field.value = is_host ? target_without(field.value, is_cut) : text_without(field.value, is_cut);
}

std::string_view MessageRedactor::target_without(std::string_view target, bool is_cut,
                                                 bool may_be_cut) {
  spans_.clear();
  targets_.scan_target(target, is_cut || may_be_cut, spans_);
  patterns_.scan(target, is_cut, spans_);
  return written(target);
}

std::string_view MessageRedactor::text_without(std::string_view text, bool is_cut) {
  spans_.clear();
  targets_.scan_text(text, is_cut, spans_);
  patterns_.scan(text, is_cut, spans_);
  return written(text);
}

std::string_view MessageRedactor::written(std::string_view text) {
  if (spans_.empty()) return text;
  if (texts_used_ == texts_.size()) texts_.emplace_back();
  std::string& out = texts_[texts_used_++];
  out.clear();
  spans_.write_without(text, placeholder_, out);
  if (out.size() > text.size()) growth_ += out.size() - text.size();
  return out;
}

}  // namespace tcp_sniffer
