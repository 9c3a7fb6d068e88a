#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace tcp_sniffer {

// The fields that a message's line may have, by name. Each enumerator stands for the row of
// field_table() at its place.
enum class Field : uint8_t {
  // Of the connection and the exchange.
  kTimestamp,
  kConnectionId,
  kExchange,
  kDirection,
  kProtocol,
  kReceiver,
  kReceiverIp,
  kReceiverPort,
  kDestination,
  kDestinationIp,
  kDestinationPort,
  kProxied,
  kProxiedSourceIp,
  kProxiedSourcePort,
  kProxiedDestinationIp,
  kProxiedDestinationPort,
  kProxiedTls,
  kClient,
  kInterface,
  kVlan,
  kCommunityId,
  kConnectMs,
  // Of an exchange.
  kTotalMs,
  kOrphan,
  kOrphanCause,
  kInterim,
  // Of a request.
  kMethod,
  kPath,
  kHost,
  kArgument,
  // Of a response.
  kStatus,
  kStatusCode,
  kStatusText,
  kLatencyMs,
  // Of every message.
  kHttpVersion,
  kHeaders,
  kRawHeaders,
  kTrailers,
  kContentType,
  kBodySize,
  kBody,
  kBodyTruncated,
  kBodyRedacted,
  kBodyEncoding,
  kContentDecoded,
  kContentDecodeError,
  kDurationMs,
  kIncomplete,
  kMissingBytes,
  kBodyGaps,
  kHeadersIncomplete,
  kAfterGap,
  kAnomalyList,
  kLatin1,
  kFirstFrame,
  kLastFrame,
  kHeadersSize,
  // Of a message that is written in parts.
  kPart,
  kLastPart,
};

enum class FieldType : uint8_t {
  kTime,
  kNumber,
  kMilliseconds,
  kText,
  kAddress,
  kFlag,  // true or absent
  kObject,
  kList,
};
std::string_view field_type_name(FieldType type);

// Which message a field is of. A field of either is the line's own message's, or in the line of an
// exchange the response's, unless `request.` or `response.` stands before its name. Only the line
// of an exchange has a field of the exchange.
enum class FieldOf : uint8_t { kConnection, kExchange, kRequest, kResponse, kEither };

struct FieldSpec {
  Field field;
  std::string_view name;
  FieldType type;
  FieldOf of;
  std::string_view meaning;
};

// Every field, in the order in which documents list them.
std::span<const FieldSpec> field_table();
const FieldSpec& field_spec(Field field);

// A field as it was named.
struct FieldRef {
  Field field{};
  FieldOf of{};
  // Not empty: not the whole object of headers or trailers, but the values of this name.
  std::string header;  // in lower case
  std::string name;    // as it is written: the key in an object, the head of a column
};

// The field of that name: one of the table, `headers.NAME` or `trailers.NAME`; `request.` or
// `response.` may stand before the fields of such a message. Else what is wrong with the name, in
// words, with the nearest name that there is.
std::variant<FieldRef, std::string> parse_field(std::string_view name);

// Whether the field's value depends on the bytes of the body.
bool needs_body(const FieldRef& ref);
// Whether a response has it only when the text of its request is kept.
bool needs_request_text(const FieldRef& ref);

// The table for people.
std::string fields_text();
// The table's rows in Markdown, for docs/fields.md.
std::string fields_markdown();

}  // namespace tcp_sniffer
