#pragma once

#include <cstdint>

#include "core/base/number_text.h"
#include "core/field/field_words.h"
#include "core/field/fields.h"
#include "core/message/message.h"

namespace tcp_sniffer {

namespace visit_value_details {

// Of a response's request.
template <class Take>
typename Take::Result value_of_request(Field field, const Message& response, const Take& take) {
  if (field == Field::kBodySize && response.has_latency) {  // its last byte was seen
    return take.number(response.request_body_size);
  }
  if (response.request_method.empty()) return take.absent();
  switch (field) {
    case Field::kMethod:
      return take.text(response.request_method);
    case Field::kPath:
      return response.protocol.empty() ? take.text(response.request_target) : take.absent();
    case Field::kHost:
      return response.request_host.empty() ? take.absent() : take.text(response.request_host);
    default:
      return take.absent();
  }
}

template <class Take>
typename Take::Result host_of(const Message& request, const Take& take) {
  const HeaderField* host = find_header(request.headers, "host");
  return host == nullptr || host->value.empty() ? take.absent() : take.text(host->value);
}

template <class Take>
typename Take::Result status_of(const Message& response, const Take& take) {
  if (!response.protocol.empty()) return take.text(response.method);
  return response.status == 0 ? take.absent() : take.number(response.status);
}

template <class Take>
typename Take::Result http_version_of(const Message& message, const Take& take) {
  if (!message.protocol.empty()) return take.absent();
  return take.word(message.http09 ? "0.9" : message.version_minor == 0 ? "1.0" : "1.1");
}

template <class Take>
typename Take::Result endpoint_value(Field field, const Endpoint& endpoint, Field address,
                                     const Take& take) {
  return field == address ? take.address(endpoint.ip, endpoint.mapped_on_wire)
                          : take.number(endpoint.port);
}

template <class Take>
typename Take::Result proxied_value(Field field, const ProxiedEndpoints* proxied,
                                    const Take& take) {
  if (proxied == nullptr) return take.absent();
  switch (field) {
    case Field::kProxiedSourceIp:
    case Field::kProxiedSourcePort:
      return endpoint_value(field, proxied->source, Field::kProxiedSourceIp, take);
    case Field::kProxiedDestinationIp:
    case Field::kProxiedDestinationPort:
      return endpoint_value(field, proxied->destination, Field::kProxiedDestinationIp, take);
    case Field::kProxiedTls:
      return take.flag(proxied->tls);
    default:
      return take.other();
  }
}

template <class Take>
typename Take::Result nonzero(uint64_t number, const Take& take) {
  return number == 0 ? take.absent() : take.number(number);
}

}  // namespace visit_value_details

// Calls the one function of `take` that is for the kind of value that the field has, and returns
// its Take::Result:
//
//     absent()
//     time(ns)                      since 1970
//     milliseconds(ns)
//     number(value)
//     text(text)                    of the wire; valid as long as the message's
//     word(word)                    one of the program's own; empty: absent
//     address(ip, mapped_on_wire)   as Endpoint's
//     flag(is_so)                   false: absent
//     connection_id(id)
//     other()                       objects, lists, headers, bodies, and what is computed
//
// A field of the request or of the response is absent from the other one's message, except what a
// response's message says of its request (Message::request_method and the like). A message has no
// field of its exchange.
template <class Take>
[[gnu::always_inline]] inline typename Take::Result visit_value(const FieldRef& ref,
                                                                const Message& message,
                                                                const Take& take) {
  using namespace visit_value_details;  // NOLINT(google-build-using-namespace)
  const bool is_request = message.direction == MessageDirection::kRequest;
  if (ref.of == FieldOf::kRequest && !is_request) return value_of_request(ref.field, message, take);
  if (ref.of == FieldOf::kResponse && is_request) return take.absent();
  if (!ref.header.empty()) return take.other();
  switch (ref.field) {
    case Field::kTimestamp:
      return take.time(message.first_byte_ns);
    case Field::kConnectionId:
      return take.connection_id(message.connection_id);
    case Field::kExchange:
      return message.exchange == kNoExchange ? take.absent() : take.number(message.exchange);
    case Field::kDirection:
      return take.word(is_request ? "request" : "response");
    case Field::kProtocol:
      return take.word(message.protocol);
    case Field::kReceiverIp:
    case Field::kReceiverPort:
      return endpoint_value(ref.field, message.receiver, Field::kReceiverIp, take);
    case Field::kDestinationIp:
    case Field::kDestinationPort:
      return endpoint_value(ref.field, message.destination, Field::kDestinationIp, take);
    case Field::kProxied:
    case Field::kProxiedSourceIp:
    case Field::kProxiedSourcePort:
    case Field::kProxiedDestinationIp:
    case Field::kProxiedDestinationPort:
    case Field::kProxiedTls:
      return proxied_value(ref.field, message.proxied, take);
    case Field::kClient:
      return message.client.is_known ? take.address(message.client.ip, false) : take.absent();
    case Field::kTotalMs:
    case Field::kOrphan:
    case Field::kOrphanCause:
    case Field::kInterim:
      return take.absent();
    case Field::kVlan:
      return nonzero(message.vlan, take);
    case Field::kConnectMs:
      return message.connect_ns < 0 ? take.absent() : take.milliseconds(message.connect_ns);
    case Field::kMethod:
      return take.text(message.method);
    case Field::kPath:
      return message.protocol.empty() ? take.text(message.target) : take.absent();
    case Field::kHost:
      return host_of(message, take);
    case Field::kArgument:
      return message.protocol.empty() ? take.absent() : take.text(message.target);
    case Field::kStatus:
      return status_of(message, take);
    case Field::kStatusCode:
      return nonzero(message.status, take);
    case Field::kStatusText:
      return take.text(message.reason);
    case Field::kLatencyMs:
      return message.has_latency ? take.milliseconds(message.latency_ns) : take.absent();
    case Field::kHttpVersion:
      return http_version_of(message, take);
    case Field::kBodySize:
      return take.number(message.body_size);
    case Field::kBodyTruncated:
      return take.flag(message.body_truncated);
    case Field::kBodyRedacted:
      return take.word(message.body_withheld ? "unreadable" : "");
    case Field::kContentDecoded:
      return take.word(message.content_decoded);
    case Field::kContentDecodeError:
      return take.word(content_decode_error_word(message.content_decode_error));
    case Field::kDurationMs:
      return take.milliseconds(elapsed_ns(message.first_byte_ns, message.last_byte_ns));
    case Field::kIncomplete:
      return take.word(incomplete_word(message.incomplete));
    case Field::kMissingBytes:
      return nonzero(message.missing_bytes, take);
    case Field::kHeadersIncomplete:
      return take.flag(message.headers_incomplete);
    case Field::kAfterGap:
      return take.flag(message.after_gap);
    case Field::kFirstFrame:
      return nonzero(message.first_frame, take);
    case Field::kLastFrame:
      return message.first_frame == 0 ? take.absent() : take.number(message.last_frame);
    case Field::kHeadersSize:
      return take.number(message.headers_size);
    case Field::kPart:
      return nonzero(message.part, take);
    case Field::kLastPart:
      return take.flag(message.last_part);
    default:
      return take.other();
  }
}

}  // namespace tcp_sniffer
