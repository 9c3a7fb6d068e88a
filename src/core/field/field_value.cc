#include "core/field/field_value.h"

namespace tcp_sniffer {
namespace {

using Value = FieldValue;

// Of a response's request.
Value value_of_request(Field field, const Message& response) {
  if (field == Field::kBodySize && response.has_latency) {  // its last byte was seen
    return Value::number_of(response.request_body_size);
  }
  if (response.request_method.empty()) return {};
  switch (field) {
    case Field::kMethod:
      return Value::text_of(response.request_method);
    case Field::kPath:
      return response.protocol.empty() ? Value::text_of(response.request_target) : Value{};
    case Field::kHost:
      return response.request_host.empty() ? Value{} : Value::text_of(response.request_host);
    default:
      return {};
  }
}

Value host_of(const Message& request) {
  const HeaderField* host = find_header(request.headers, "host");
  return host == nullptr || host->value.empty() ? Value{} : Value::text_of(host->value);
}

Value status_of(const Message& response) {
  if (!response.protocol.empty()) return Value::text_of(response.method);
  return response.status == 0 ? Value{} : Value::number_of(response.status);
}

Value http_version_of(const Message& message) {
  if (!message.protocol.empty()) return {};
  return Value::word_of(message.http09 ? "0.9" : message.version_minor == 0 ? "1.0" : "1.1");
}

Value endpoint_value(Field field, const Endpoint& endpoint, Field address) {
  return field == address ? Value::address_of(endpoint) : Value::number_of(endpoint.port);
}

Value proxied_value(Field field, const ProxiedEndpoints* proxied) {
  if (proxied == nullptr) return {};
  switch (field) {
    case Field::kProxiedSourceIp:
    case Field::kProxiedSourcePort:
      return endpoint_value(field, proxied->source, Field::kProxiedSourceIp);
    case Field::kProxiedDestinationIp:
    case Field::kProxiedDestinationPort:
      return endpoint_value(field, proxied->destination, Field::kProxiedDestinationIp);
    case Field::kProxiedTls:
      return Value::flag_of(proxied->tls);
    default:
      return Value::other();
  }
}

Value nonzero(uint64_t number) {
  return number == 0 ? Value{} : Value::number_of(number);
}

}  // namespace

std::string_view incomplete_word(Incomplete incomplete) {
  switch (incomplete) {
    case Incomplete::kNo:
      return "";
    case Incomplete::kGap:
      return "gap";
    case Incomplete::kClosed:
      return "closed";
    case Incomplete::kEvicted:
      return "evicted";
    case Incomplete::kIdle:
      return "idle";
    case Incomplete::kShutdown:
      return "shutdown";
    case Incomplete::kSnaplen:
      return "snaplen";
    case Incomplete::kLimit:
      return "limit";
    case Incomplete::kParseError:
      return "parseError";
  }
  return "";
}

std::string_view content_decode_error_word(ContentDecodeError error) {
  switch (error) {
    case ContentDecodeError::kNo:
      return "";
    case ContentDecodeError::kTruncated:
      return "truncated";
    case ContentDecodeError::kCorrupt:
      return "corrupt";
    case ContentDecodeError::kLimit:
      return "limit";
  }
  return "";
}

std::string_view orphan_word(Orphan::Kind kind) {
  switch (kind) {
    case Orphan::Kind::kNo:
      return "";
    case Orphan::Kind::kRequestNotCaptured:
      return "requestNotCaptured";
    case Orphan::Kind::kResponseNotCaptured:
      return "responseNotCaptured";
    case Orphan::Kind::kNoResponse:
      return "noResponse";
  }
  return "";
}

FieldValue value_of(const FieldRef& ref, const Message& message) {
  const bool is_request = message.direction == MessageDirection::kRequest;
  if (ref.of == FieldOf::kRequest && !is_request) return value_of_request(ref.field, message);
  if (ref.of == FieldOf::kResponse && is_request) return {};
  if (!ref.header.empty()) return Value::other();
  switch (ref.field) {
    case Field::kTimestamp:
      return Value::time_of(message.first_byte_ns);
    case Field::kExchange:
      return message.exchange == kNoExchange ? Value{} : Value::number_of(message.exchange);
    case Field::kDirection:
      return Value::word_of(is_request ? "request" : "response");
    case Field::kProtocol:
      return Value::word_of(message.protocol);
    case Field::kReceiverIp:
    case Field::kReceiverPort:
      return endpoint_value(ref.field, message.receiver, Field::kReceiverIp);
    case Field::kDestinationIp:
    case Field::kDestinationPort:
      return endpoint_value(ref.field, message.destination, Field::kDestinationIp);
    case Field::kProxied:
    case Field::kProxiedSourceIp:
    case Field::kProxiedSourcePort:
    case Field::kProxiedDestinationIp:
    case Field::kProxiedDestinationPort:
    case Field::kProxiedTls:
      return proxied_value(ref.field, message.proxied);
    case Field::kClient:
      return message.client.is_known ? Value::address_of(message.client.ip) : Value{};
    case Field::kTotalMs:
    case Field::kOrphan:
    case Field::kOrphanCause:
      return {};
    case Field::kVlan:
      return nonzero(message.vlan);
    case Field::kConnectMs:
      return message.connect_ns < 0 ? Value{} : Value::milliseconds_of(message.connect_ns);
    case Field::kMethod:
      return Value::text_of(message.method);
    case Field::kPath:
      return message.protocol.empty() ? Value::text_of(message.target) : Value{};
    case Field::kHost:
      return host_of(message);
    case Field::kArgument:
      return message.protocol.empty() ? Value{} : Value::text_of(message.target);
    case Field::kStatus:
      return status_of(message);
    case Field::kStatusCode:
      return nonzero(message.status);
    case Field::kStatusText:
      return Value::text_of(message.reason);
    case Field::kLatencyMs:
      return message.has_latency ? Value::milliseconds_of(message.latency_ns) : Value{};
    case Field::kHttpVersion:
      return http_version_of(message);
    case Field::kBodySize:
      return Value::number_of(message.body_size);
    case Field::kBodyTruncated:
      return Value::flag_of(message.body_truncated);
    case Field::kBodyRedacted:
      return Value::word_of(message.body_withheld ? "unreadable" : "");
    case Field::kContentDecoded:
      return Value::word_of(message.content_decoded);
    case Field::kContentDecodeError:
      return Value::word_of(content_decode_error_word(message.content_decode_error));
    case Field::kDurationMs:
      return Value::milliseconds_of(elapsed_ns(message.first_byte_ns, message.last_byte_ns));
    case Field::kIncomplete:
      return Value::word_of(incomplete_word(message.incomplete));
    case Field::kMissingBytes:
      return nonzero(message.missing_bytes);
    case Field::kHeadersIncomplete:
      return Value::flag_of(message.headers_incomplete);
    case Field::kAfterGap:
      return Value::flag_of(message.after_gap);
    case Field::kFirstFrame:
      return nonzero(message.first_frame);
    case Field::kLastFrame:
      return message.first_frame == 0 ? Value{} : Value::number_of(message.last_frame);
    case Field::kHeadersSize:
      return Value::number_of(message.headers_size);
    case Field::kPart:
      return nonzero(message.part);
    case Field::kLastPart:
      return Value::flag_of(message.last_part);
    default:
      return Value::other();
  }
}

}  // namespace tcp_sniffer
