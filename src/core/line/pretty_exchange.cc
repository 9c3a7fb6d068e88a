// PrettyLineWriter: exchanges with their headers (`-v`) and bodies (`-vv`).

#include <algorithm>
#include <cstring>
#include <initializer_list>

#include "core/field/field_words.h"
#include "core/line/held_values.h"
#include "core/line/pretty_line.h"
#include "core/line/short_text.h"
#include "core/line/terminal_text.h"

namespace tcp_sniffer {
namespace {

constexpr std::string_view kRequestPrefix = "  > ";
constexpr std::string_view kResponsePrefix = "  < ";

// What the line says of a request beside its texts.
struct RequestFacts {
  uint64_t body_size = 0;
  uint64_t missing_bytes = 0;
  Incomplete incomplete = Incomplete::kNo;
  bool after_gap = false;
};

void put_text(std::string_view text, LineSink& sink) {
  HeldValues::put(sink, [&] { append_verbatim(text, sink); });
}

}  // namespace

void PrettyLineWriter::write_part(const Message& message, LineSink& sink) {
  // Of an interim response the details follow those of its request.
  if (message.direction != MessageDirection::kRequest) return append_details(message, sink);
  RequestFacts facts;
  facts.body_size = message.body_size;
  facts.missing_bytes = message.missing_bytes;
  facts.incomplete = message.incomplete;
  facts.after_gap = message.after_gap;
  const HeaderField* host = find_header(message.headers, "host");
  put_text(message.method, sink);
  put_text(message.target.substr(0, kTargetMax), sink);
  put_text(host == nullptr ? std::string_view{} : host->value.substr(0, kTargetMax), sink);
  put_text({reinterpret_cast<const char*>(&facts), sizeof(facts)}, sink);
  HeldValues::put_last(sink, [&] { append_details(message, sink); });
}

void PrettyLineWriter::write_exchange(const ExchangeParts& parts, LineSink& sink) {
  std::string_view text = parts.request_text;
  if (parts.request != nullptr) {
    part_.clear();
    write_part(*parts.request, part_);
    text = part_.view();
  }
  HeldValues held(text);
  const std::string_view method = held.next();
  const std::string_view target = held.next();
  const std::string_view host = held.next();
  RequestFacts facts;
  const std::string_view facts_text = held.next();
  std::memcpy(&facts, facts_text.data(), std::min(facts_text.size(), sizeof(facts)));
  if (parts.response != nullptr) {
    Message response = *parts.response;
    response.request_method = method;
    response.request_target = target;
    response.request_host = host;
    response.request_body_size = facts.body_size;
    write(response, sink);
  } else if (parts.has_request()) {
    Message request = *parts.about;
    request.direction = MessageDirection::kRequest;
    request.method = method;
    request.target = target;
    request.request_host = host;
    request.body_size = facts.body_size;
    request.missing_bytes = facts.missing_bytes;
    request.incomplete = facts.incomplete;
    request.after_gap = facts.after_gap;
    request.first_byte_ns = parts.request_first_ns;
    write_unanswered(request, sink);
  }
  append_verbatim(held.last(), sink);
  append_verbatim(parts.interim_texts, sink);
  if (parts.response != nullptr) append_details(*parts.response, sink);
}

// Start line and headers, each after a mark as curl -v has it, then the body.
void PrettyLineWriter::append_details(const Message& message, LineSink& sink) {
  const bool is_request = message.direction == MessageDirection::kRequest;
  const std::string_view prefix = is_request ? kRequestPrefix : kResponsePrefix;
  append_verbatim(prefix, sink);
  append_start_line(message, sink);
  append_verbatim("\n", sink);
  append_fields(message.headers, prefix, sink);
  if (options_.detail > 1) bodies_.write(message, prefix, sink);
  append_fields(message.trailers, prefix, sink);
}

void PrettyLineWriter::append_start_line(const Message& message, LineSink& sink) {
  const auto append_words = [&](std::initializer_list<std::string_view> words) {
    bool first = true;
    for (const std::string_view word : words) {
      if (word.empty()) continue;
      if (!first) append_verbatim(" ", sink);
      append_for_terminal(word, sink);
      first = false;
    }
  };
  const bool is_request = message.direction == MessageDirection::kRequest;
  if (!message.protocol.empty()) {
    append_words({message.method, is_request ? message.target : message.reason});
    return;
  }
  const std::string_view version = message.http09               ? "HTTP/0.9"
                                   : message.version_minor == 0 ? "HTTP/1.0"
                                                                : "HTTP/1.1";
  if (is_request) {
    append_words({message.method, message.target, version});
    return;
  }
  const ShortText status = status_text(message.status);
  append_words({version, message.status == 0 ? std::string_view{} : status.view(), message.reason});
}

void PrettyLineWriter::append_fields(std::span<const HeaderField> fields, std::string_view prefix,
                                     LineSink& sink) {
  for (const HeaderField& field : fields) {
    append_verbatim(prefix, sink);
    append_colour(kNameColour, sink);
    append_for_terminal(field.name, sink);
    append_colour(kReset, sink);
    append_verbatim(": ", sink);
    append_for_terminal(field.value, sink);
    append_verbatim("\n", sink);
  }
}

}  // namespace tcp_sniffer
