#include "core/line/packed_selection.h"

#include <algorithm>
#include <array>

#include "core/base/ascii_case.h"
#include "core/base/number_text.h"
#include "core/line/packed_layout.h"

namespace tcp_sniffer {
namespace {

static_assert(static_cast<int>(Field::kLastPart) < 64, "a bit for each field");

// Shown when any of its fields is chosen.
struct ShownBy {
  packed::Shown shown;
  Field field;
};
constexpr auto kShownBy = std::to_array<ShownBy>({
    {packed::kShowsTimestamp, Field::kTimestamp},
    {packed::kShowsConnectionId, Field::kConnectionId},
    {packed::kShowsReceiverIp, Field::kReceiver},
    {packed::kShowsReceiverIp, Field::kReceiverIp},
    {packed::kShowsReceiverPort, Field::kReceiver},
    {packed::kShowsReceiverPort, Field::kReceiverPort},
    {packed::kShowsDestinationIp, Field::kDestination},
    {packed::kShowsDestinationIp, Field::kDestinationIp},
    {packed::kShowsDestinationPort, Field::kDestination},
    {packed::kShowsDestinationPort, Field::kDestinationPort},
    {packed::kShowsHttpVersion, Field::kHttpVersion},
    {packed::kShowsAllHeaders, Field::kHeaders},
    {packed::kShowsAllHeaders, Field::kRawHeaders},
    {packed::kShowsAllTrailers, Field::kTrailers},
    {packed::kShowsBodySize, Field::kBodySize},
    {packed::kShowsDuration, Field::kDurationMs},
    {packed::kShowsBody, Field::kBody},
    {packed::kShowsHeadersSize, Field::kHeadersSize},
    {packed::kShowsCommunityId, Field::kCommunityId},
    {packed::kShowsProxied, Field::kProxied},
});

bool is_pop3_message(const Message& message) {
  return !message.protocol.empty();
}

bool is_request_message(const Message& message) {
  return message.direction == MessageDirection::kRequest;
}

bool shows_first_text(const PackedSelection::Fields& fields, const Message& message) {
  if (is_request_message(message)) return fields.has(Field::kMethod);
  return is_pop3_message(message) && fields.has(Field::kStatus);
}

bool shows_second_text(const PackedSelection::Fields& fields, const Message& message) {
  if (!is_request_message(message)) return fields.has(Field::kStatusText);
  return fields.has(is_pop3_message(message) ? Field::kArgument : Field::kPath);
}

// The first Host header is the request's host.
bool is_host(const HeaderField& field) {
  return equal_ignoring_case(field.name, "host");
}

}  // namespace

// ---------------------------------------------------------------- the fields of a record

bool PackedSelection::Fields::is_in(const std::vector<std::string>& names,
                                    const HeaderField& field) {
  return std::any_of(names.begin(), names.end(), [&](const std::string& name) {
    return equal_ignoring_case(field.name, name);
  });
}

void PackedSelection::Fields::add(const FieldRef& ref) {
  if (ref.header.empty()) {
    chosen_ |= bit(ref.field);
  } else if (ref.field == Field::kTrailers) {
    trailers_.push_back(ref.header);
  } else {
    headers_.push_back(ref.header);
  }
}

uint32_t PackedSelection::Fields::shown(const Message& message) const {
  uint32_t shown = 0;
  for (const ShownBy& one : kShownBy) {
    if (has(one.field)) shown |= one.shown;
  }
  if (shows_first_text(*this, message)) shown |= packed::kShowsFirstText;
  if (shows_second_text(*this, message)) shown |= packed::kShowsSecondText;
  return shown;
}

PackedSelection::PackedSelection(const LineOptions& options) : by_exchange_(options.by_exchange) {
  for (const FieldRef& ref : options.select) {
    if (!names_.empty()) names_ += ",";
    names_ += ref.name;
    const bool of_both = ref.of == FieldOf::kConnection;
    const bool of_either = ref.of == FieldOf::kEither;
    if (by_exchange_) {
      if (of_both || ref.of == FieldOf::kExchange) exchange_.add(ref);
      // The exchange has it, too, as one that is written whole.
      if (ref.field == Field::kLatencyMs) exchange_.add(ref);
      if (ref.of == FieldOf::kRequest) request_.add(ref);
      if (of_either || ref.of == FieldOf::kResponse) response_.add(ref);
      continue;
    }
    if (of_both || of_either || ref.of == FieldOf::kRequest) request_.add(ref);
    if (of_both || of_either || ref.of == FieldOf::kResponse) response_.add(ref);
    if (ref.of == FieldOf::kRequest && ref.header.empty()) {
      response_.of_request_ |= Fields::bit(ref.field);
    }
  }
  response_.of_request_ &= Fields::bit(Field::kMethod) | Fields::bit(Field::kPath) |
                           Fields::bit(Field::kHost) | Fields::bit(Field::kBodySize);
  // The status tells that it is one.
  interim_.chosen_ = Fields::bit(Field::kStatusCode);
}

const PackedSelection::Fields& PackedSelection::of(const Message& message) const {
  if (is_request_message(message)) return request_;
  return by_exchange_ && message.is_interim() ? interim_ : response_;
}

// ---------------------------------------------------------------- cutting

Message PackedSelection::cut(const Message& message, const Fields& fields) {
  Message out;
  out.protocol = message.protocol;
  out.direction = message.direction;
  out.version_minor = message.version_minor;
  out.http09 = message.http09;
  cut_connection(message, fields, out);
  cut_head(message, fields, out);
  cut_measures(message, fields, out);
  cut_capture(message, fields, out);
  return out;
}

void PackedSelection::cut_connection(const Message& from, const Fields& fields, Message& to) {
  const auto cut_endpoint = [&](const Endpoint& one, bool has_ip, bool has_port) {
    Endpoint endpoint;
    if (has_ip) {
      endpoint.ip = one.ip;
      endpoint.mapped_on_wire = one.mapped_on_wire;
    }
    if (has_port) endpoint.port = one.port;
    return endpoint;
  };
  const auto either = [&](Field all, Field one) { return fields.has(all) || fields.has(one); };
  to.receiver = cut_endpoint(from.receiver, either(Field::kReceiver, Field::kReceiverIp),
                             either(Field::kReceiver, Field::kReceiverPort));
  to.destination =
      cut_endpoint(from.destination, either(Field::kDestination, Field::kDestinationIp),
                   either(Field::kDestination, Field::kDestinationPort));
  if (fields.has(Field::kConnectionId)) to.connection_id = from.connection_id;
  if (fields.has(Field::kExchange)) to.exchange = from.exchange;
  if (fields.has(Field::kClient)) to.client = from.client;
  if (fields.has(Field::kPart)) to.part = from.part;
  if (fields.has(Field::kLastPart)) to.last_part = from.last_part;
  if (from.proxied == nullptr) return;
  const bool is_chosen = fields.has_any({Field::kProxied, Field::kProxiedSourceIp,
                                         Field::kProxiedSourcePort, Field::kProxiedDestinationIp,
                                         Field::kProxiedDestinationPort, Field::kProxiedTls});
  if (!is_chosen) return;
  proxied_.source =
      cut_endpoint(from.proxied->source, either(Field::kProxied, Field::kProxiedSourceIp),
                   either(Field::kProxied, Field::kProxiedSourcePort));
  proxied_.destination =
      cut_endpoint(from.proxied->destination, either(Field::kProxied, Field::kProxiedDestinationIp),
                   either(Field::kProxied, Field::kProxiedDestinationPort));
  proxied_.tls = from.proxied->tls && either(Field::kProxied, Field::kProxiedTls);
  to.proxied = &proxied_;
}

// Its texts stand one by one: between those of the head as sent is what was not selected.
void PackedSelection::cut_head(const Message& from, const Fields& fields, Message& to) {
  if (shows_first_text(fields, from)) to.method = from.method;
  if (shows_second_text(fields, from)) {
    (is_request_message(from) ? to.target : to.reason) =
        is_request_message(from) ? from.target : from.reason;
  }
  if (fields.has_any({Field::kStatus, Field::kStatusCode})) to.status = from.status;
  if (fields.has_any({Field::kHeaders, Field::kRawHeaders})) {
    to.headers = from.headers;
  } else {
    bool wants_host = fields.has(Field::kHost);
    headers_.clear();
    for (const HeaderField& field : from.headers) {
      const bool is_first_host = wants_host && is_host(field);
      if (is_first_host) wants_host = false;
      if (is_first_host || fields.has_header(field)) headers_.push_back(field);
    }
    to.headers = headers_;
  }
  if (fields.has(Field::kTrailers)) {
    to.trailers = from.trailers;
  } else {
    trailers_.clear();
    for (const HeaderField& field : from.trailers) {
      if (fields.has_trailer(field)) trailers_.push_back(field);
    }
    to.trailers = trailers_;
  }
}

void PackedSelection::cut_measures(const Message& from, const Fields& fields, Message& to) {
  if (fields.has(Field::kTimestamp)) to.first_byte_ns = from.first_byte_ns;
  const bool has_duration = fields.has(Field::kDurationMs);
  to.last_byte_ns = to.first_byte_ns;
  if (has_duration) {
    // With both, the sum may be beyond what there is: then the last byte says so.
    to.last_byte_ns = fields.has(Field::kTimestamp)
                          ? from.last_byte_ns
                          : elapsed_ns(from.first_byte_ns, from.last_byte_ns);
  }
  if (fields.has(Field::kLatencyMs) && from.has_latency) {
    to.has_latency = true;
    to.latency_ns = from.latency_ns;
  }
  if (fields.has(Field::kBodySize)) to.body_size = from.body_size;
  to.body_truncated = from.body_truncated && fields.has(Field::kBodyTruncated);
  to.body_withheld = from.body_withheld && fields.has(Field::kBodyRedacted);
  if (fields.has(Field::kContentDecoded)) to.content_decoded = from.content_decoded;
  if (fields.has(Field::kContentDecodeError)) to.content_decode_error = from.content_decode_error;
  if (fields.has(Field::kIncomplete)) to.incomplete = from.incomplete;
  if (fields.has(Field::kMissingBytes)) to.missing_bytes = from.missing_bytes;
  if (fields.has(Field::kBodyGaps)) to.body_gaps = from.body_gaps;
  to.headers_incomplete = from.headers_incomplete && fields.has(Field::kHeadersIncomplete);
  to.after_gap = from.after_gap && fields.has(Field::kAfterGap);
  if (fields.has(Field::kAnomalyList)) to.anomalies = from.anomalies;
}

void PackedSelection::cut_capture(const Message& from, const Fields& fields, Message& to) {
  if (fields.has(Field::kInterface)) {
    to.link_id = from.link_id;
    to.shared_link_id = from.shared_link_id;
  }
  if (fields.has(Field::kVlan)) to.vlan = from.vlan;
  if (fields.has(Field::kConnectMs)) to.connect_ns = from.connect_ns;
  if (fields.has(Field::kHeadersSize)) to.headers_size = from.headers_size;
  // No last frame is known without the first one.
  if (fields.has_any({Field::kFirstFrame, Field::kLastFrame})) to.first_frame = from.first_frame;
  if (fields.has(Field::kLastFrame)) to.last_frame = from.last_frame;
}

}  // namespace tcp_sniffer
