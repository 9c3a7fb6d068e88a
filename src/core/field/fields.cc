#include "core/field/fields.h"

#include <algorithm>
#include <array>
#include <optional>
#include <vector>

#include "core/base/ascii_case.h"
#include "core/base/characters.h"
#include "core/base/closest_name.h"

namespace tcp_sniffer {
namespace {

// clang-format off
constexpr auto kFields = std::to_array<FieldSpec>({
    {Field::kTimestamp, "timestamp", FieldType::kTime, FieldOf::kConnection,
     "packet time of the message's first byte"},
    {Field::kConnectionId, "connectionId", FieldType::kText, FieldOf::kConnection,
     "16 hexadecimal digits"},
    {Field::kExchange, "exchange", FieldType::kNumber, FieldOf::kConnection,
     "number of the exchange in its connection, from 0"},
    {Field::kDirection, "direction", FieldType::kText, FieldOf::kConnection,
     "request or response"},
    {Field::kProtocol, "protocol", FieldType::kText, FieldOf::kConnection,
     "pop3; absent for HTTP"},
    {Field::kReceiver, "receiver", FieldType::kObject, FieldOf::kConnection,
     "the server's `{ip, port}`"},
    {Field::kReceiverIp, "receiver.ip", FieldType::kAddress, FieldOf::kConnection,
     "its address"},
    {Field::kReceiverPort, "receiver.port", FieldType::kNumber, FieldOf::kConnection,
     "its port"},
    {Field::kDestination, "destination", FieldType::kObject, FieldOf::kConnection,
     "the client's `{ip, port}`"},
    {Field::kDestinationIp, "destination.ip", FieldType::kAddress, FieldOf::kConnection,
     "its address"},
    {Field::kDestinationPort, "destination.port", FieldType::kNumber, FieldOf::kConnection,
     "its port"},
    {Field::kProxied, "proxied", FieldType::kObject, FieldOf::kConnection,
     "what the connection's PROXY protocol header says"},
    {Field::kProxiedSourceIp, "proxied.source.ip", FieldType::kAddress, FieldOf::kConnection,
     "the address of the proxy's client"},
    {Field::kProxiedSourcePort, "proxied.source.port", FieldType::kNumber, FieldOf::kConnection,
     "its port"},
    {Field::kProxiedDestinationIp, "proxied.destination.ip", FieldType::kAddress,
     FieldOf::kConnection, "the address to which the proxy's client connected"},
    {Field::kProxiedDestinationPort, "proxied.destination.port", FieldType::kNumber,
     FieldOf::kConnection, "its port"},
    {Field::kProxiedTls, "proxied.tls", FieldType::kFlag, FieldOf::kConnection,
     "the proxy's client spoke TLS"},
    {Field::kClient, "client", FieldType::kAddress, FieldOf::kConnection,
     "the client's real address: that of the peer, or what a PROXY header or, with "
     "`trustedProxies`, another header says"},
    {Field::kInterface, "interface", FieldType::kText, FieldOf::kConnection,
     "name of the interface, when it is known"},
    {Field::kVlan, "vlan", FieldType::kNumber, FieldOf::kConnection,
     "outermost VLAN"},
    {Field::kCommunityId, "communityId", FieldType::kText, FieldOf::kConnection,
     "Community ID, version 1"},
    {Field::kConnectMs, "connectMs", FieldType::kMilliseconds, FieldOf::kConnection,
     "SYN to ACK, when both were seen"},

    {Field::kTotalMs, "totalMs", FieldType::kMilliseconds, FieldOf::kExchange,
     "the request's first byte to the response's last"},
    {Field::kOrphan, "orphan", FieldType::kText, FieldOf::kExchange,
     "why the request or the response is alone"},
    {Field::kOrphanCause, "orphanCause", FieldType::kText, FieldOf::kExchange,
     "why the other one is not known"},
    {Field::kInterim, "interim", FieldType::kList, FieldOf::kExchange,
     "the status codes of the interim responses (1xx), in their order"},

    {Field::kMethod, "method", FieldType::kText, FieldOf::kRequest,
     "the request's method; the response has it too, when its request is known"},
    {Field::kPath, "path", FieldType::kText, FieldOf::kRequest,
     "the request target as sent; the response has it too"},
    {Field::kHost, "host", FieldType::kText, FieldOf::kRequest,
     "the request's first `Host` header; the response has it too"},
    {Field::kArgument, "argument", FieldType::kText, FieldOf::kRequest,
     "POP3: the argument of a command"},

    {Field::kStatus, "status", FieldType::kNumber, FieldOf::kResponse,
     "the status code; POP3: the reply's first word"},
    {Field::kStatusCode, "statusCode", FieldType::kNumber, FieldOf::kResponse,
     "the status code"},
    {Field::kStatusText, "statusText", FieldType::kText, FieldOf::kResponse,
     "the reason phrase"},
    {Field::kLatencyMs, "latencyMs", FieldType::kMilliseconds, FieldOf::kResponse,
     "the request's last byte to the response's first"},

    {Field::kHttpVersion, "httpVersion", FieldType::kText, FieldOf::kEither,
     "1.1, 1.0 or 0.9"},
    {Field::kHeaders, "headers", FieldType::kObject, FieldOf::kEither,
     "all headers. `headers.NAME`: the text of one, a list when there are several of the name"},
    {Field::kRawHeaders, "rawHeaders", FieldType::kList, FieldOf::kEither,
     "all headers as sent, in their order"},
    {Field::kTrailers, "trailers", FieldType::kObject, FieldOf::kEither,
     "the trailers, when there are any; `trailers.NAME` as with headers"},
    {Field::kContentType, "contentType", FieldType::kText, FieldOf::kEither,
     "the same as `headers.content-type`"},
    {Field::kBodySize, "bodySize", FieldType::kNumber, FieldOf::kEither,
     "size of the body as sent. The response has `request.bodySize` too"},
    {Field::kBody, "body", FieldType::kText, FieldOf::kEither,
     "the body, up to `maxBodySize`"},
    {Field::kBodyTruncated, "bodyTruncated", FieldType::kFlag, FieldOf::kEither,
     "the body was cut because of `maxBodySize`"},
    {Field::kBodyRedacted, "bodyRedacted", FieldType::kText, FieldOf::kEither,
     "unreadable: the body is left out, because it cannot be searched for what is to be hidden"},
    {Field::kBodyEncoding, "bodyEncoding", FieldType::kText, FieldOf::kEither,
     "binary or base64: the body is not UTF-8"},
    {Field::kContentDecoded, "contentDecoded", FieldType::kText, FieldOf::kEither,
     "codings that `decodeBodies` has undone"},
    {Field::kContentDecodeError, "contentDecodeError", FieldType::kText, FieldOf::kEither,
     "truncated, corrupt or limit: why not all was decoded"},
    {Field::kDurationMs, "durationMs", FieldType::kMilliseconds, FieldOf::kEither,
     "first byte to last byte"},
    {Field::kIncomplete, "incomplete", FieldType::kText, FieldOf::kEither,
     "why bytes are missing"},
    {Field::kMissingBytes, "missingBytes", FieldType::kNumber, FieldOf::kEither,
     "how many, as far as known"},
    {Field::kBodyGaps, "bodyGaps", FieldType::kList, FieldOf::kEither,
     "where, in the body"},
    {Field::kHeadersIncomplete, "headersIncomplete", FieldType::kFlag, FieldOf::kEither,
     "the header section is not whole"},
    {Field::kAfterGap, "afterGap", FieldType::kFlag, FieldOf::kEither,
     "the message was found by searching"},
    {Field::kAnomalyList, "anomalies", FieldType::kList, FieldOf::kEither,
     "what the standard does not allow"},
    {Field::kLatin1, "latin1", FieldType::kList, FieldOf::kEither,
     "which of the other fields of the line are not UTF-8"},
    {Field::kFirstFrame, "firstFrame", FieldType::kNumber, FieldOf::kEither,
     "files: number of the frame that brought the first byte"},
    {Field::kLastFrame, "lastFrame", FieldType::kNumber, FieldOf::kEither,
     "files: number of the frame that brought the last byte"},
    {Field::kHeadersSize, "headersSize", FieldType::kNumber, FieldOf::kEither,
     "bytes of start line and headers"},

    {Field::kPart, "part", FieldType::kNumber, FieldOf::kConnection,
     "`partialAfterMs`: the number of this part of the message, from 1"},
    {Field::kLastPart, "lastPart", FieldType::kFlag, FieldOf::kConnection,
     "it is the message's last part"},
});
// clang-format on

constexpr bool rows_are_in_order() {
  for (size_t i = 0; i < kFields.size(); ++i) {
    if (static_cast<size_t>(kFields[i].field) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

constexpr std::string_view kRequestPrefix = "request.";
constexpr std::string_view kResponsePrefix = "response.";
constexpr std::string_view kContentType = "content-type";

std::string_view field_of_name(FieldOf of) {
  constexpr std::string_view kNames[] = {"connection", "exchange", "request", "response", "either"};
  return kNames[static_cast<size_t>(of)];
}

std::string quoted(std::string_view name) {
  constexpr size_t kShownMax = 64;
  std::string out = "\"";
  for (const char c : name.substr(0, kShownMax)) out += c >= ' ' && c < 0x7f ? c : '?';
  return out + (name.size() > kShownMax ? "...\"" : "\"");
}

std::string unknown(std::string_view name, std::string_view prefix) {
  std::vector<std::string> names;
  for (const FieldSpec& spec : kFields) {
    const bool takes_prefix = spec.of != FieldOf::kConnection && spec.of != FieldOf::kExchange;
    if (prefix.empty() || takes_prefix) {
      names.push_back(std::string(prefix) + std::string(spec.name));
    }
  }
  for (const std::string_view group : {"headers.", "trailers."}) {
    names.push_back(std::string(prefix) + std::string(group) + "NAME");
  }
  const std::vector<std::string_view> views(names.begin(), names.end());
  const std::string_view meant = closest_name(name, views);
  std::string out = quoted(name) + " is no field";
  if (!meant.empty()) return out + "; did you mean \"" + std::string(meant) + "\"?";
  return out + "; --help-fields lists all";
}

// `headers.NAME` and `trailers.NAME`.
std::optional<FieldRef> parse_header(std::string_view name) {
  for (const Field group : {Field::kHeaders, Field::kTrailers}) {
    const std::string_view object = field_spec(group).name;
    if (!name.starts_with(object) || name.size() < object.size() + 2 ||
        name[object.size()] != '.') {
      continue;
    }
    const std::string_view header = name.substr(object.size() + 1);
    if (!is_token(header)) return {};
    FieldRef ref{group, FieldOf::kEither, {}, {}};
    for (const char c : header) ref.header += ascii_lower(c);
    ref.name.append(object).append(".").append(ref.header);
    return ref;
  }
  return {};
}

std::optional<FieldRef> parse_bare(std::string_view name) {
  for (const FieldSpec& spec : kFields) {
    if (spec.name != name) continue;
    FieldRef ref{spec.field, spec.of, {}, std::string(name)};
    if (spec.field == Field::kContentType) ref.header = kContentType;
    return ref;
  }
  return parse_header(name);
}

}  // namespace

std::string_view field_type_name(FieldType type) {
  switch (type) {
    case FieldType::kTime:
      return "time";
    case FieldType::kNumber:
      return "number";
    case FieldType::kMilliseconds:
      return "milliseconds";
    case FieldType::kText:
      return "text";
    case FieldType::kAddress:
      return "address";
    case FieldType::kFlag:
      return "true";
    case FieldType::kObject:
      return "object";
    case FieldType::kList:
      return "list";
  }
  return "";
}

std::span<const FieldSpec> field_table() {
  return kFields;
}

const FieldSpec& field_spec(Field field) {
  return kFields[static_cast<size_t>(field)];
}

std::variant<FieldRef, std::string> parse_field(std::string_view name) {
  std::string_view prefix;
  FieldOf of = FieldOf::kEither;
  if (name.starts_with(kRequestPrefix)) {
    prefix = kRequestPrefix;
    of = FieldOf::kRequest;
  } else if (name.starts_with(kResponsePrefix)) {
    prefix = kResponsePrefix;
    of = FieldOf::kResponse;
  }
  std::optional<FieldRef> ref = parse_bare(name.substr(prefix.size()));
  if (!ref) return unknown(name, prefix);
  if (prefix.empty()) return *ref;
  if (ref->of != FieldOf::kEither && ref->of != of) {
    return quoted(name) + " is no field, because " + ref->name + " is of the " +
           std::string(field_of_name(ref->of)) + "; did you mean \"" + ref->name + "\"?";
  }
  ref->of = of;
  ref->name.insert(0, prefix);
  return *ref;
}

bool needs_body(const FieldRef& ref) {
  return ref.field == Field::kBody || ref.field == Field::kBodyTruncated ||
         ref.field == Field::kBodyRedacted || ref.field == Field::kBodyEncoding ||
         ref.field == Field::kContentDecoded || ref.field == Field::kContentDecodeError;
}

bool needs_request_text(const FieldRef& ref) {
  return ref.field == Field::kMethod || ref.field == Field::kPath || ref.field == Field::kHost;
}

std::string fields_text() {
  std::string out =
      "Fields of a line, for select. Of one that both messages have, request.NAME and\n"
      "response.NAME mean the one of the request and of the response.\n\n";
  constexpr size_t kTypeColumn = 27;
  constexpr size_t kMeaningColumn = kTypeColumn + 14;
  for (const FieldSpec& spec : kFields) {
    std::string line = "  " + std::string(spec.name);
    line.resize(std::max(line.size() + 1, kTypeColumn), ' ');
    line += field_type_name(spec.type);
    line.resize(std::max(line.size() + 1, kMeaningColumn), ' ');
    for (const char c : spec.meaning) {
      if (c != '`') line += c;
    }
    out += line + "\n";
  }
  return out;
}

std::string fields_markdown() {
  std::string out = "| field | type | of | meaning |\n|---|---|---|---|\n";
  for (const FieldSpec& spec : kFields) {
    out.append("| `").append(spec.name).append("` | ").append(field_type_name(spec.type));
    out.append(" | ").append(field_of_name(spec.of)).append(" | ");
    out.append(spec.meaning).append(" |\n");
  }
  return out;
}

}  // namespace tcp_sniffer
