#pragma once

#include <cstddef>
#include <cstdint>

#include "core/base/byte_order.h"
#include "core/net/flow_key.h"

// docs/packed.md as structures. All numbers are little-endian; all places are counted in bytes from
// the first byte of the record.
namespace tcp_sniffer::packed {

constexpr uint16_t kMark = 0x5054;  // "TP"
constexpr uint8_t kVersion = 1;
constexpr size_t kAlignment = 8;

enum Kind : uint8_t { kMessage = 1, kExchange = 2 };

enum Flag : uint32_t {
  kHasExchange = 1u << 0,
  kHasLatency = 1u << 1,
  kHasTotal = 1u << 2,
  kBodyTruncated = 1u << 3,
  kBodyWithheld = 1u << 4,
  kHeadersIncomplete = 1u << 5,
  kAfterGap = 1u << 6,
  kRawHeaders = 1u << 7,
  kTextsAreAscii = 1u << 8,
  kFirstTextIsLatin1 = 1u << 9,
  kSecondTextIsLatin1 = 1u << 10,
  kInterfaceIsLatin1 = 1u << 11,
  kMappedOnWire = 1u << 12,
  kSelected = 1u << 13,
};

// In a record with kSelected: which of the fields that others always have it has, and whether lists
// are whole.
enum Shown : uint32_t {
  kShowsTimestamp = 1u << 0,
  kShowsConnectionId = 1u << 1,
  kShowsReceiverIp = 1u << 2,
  kShowsReceiverPort = 1u << 3,
  kShowsDestinationIp = 1u << 4,
  kShowsDestinationPort = 1u << 5,
  kShowsFirstText = 1u << 6,
  kShowsSecondText = 1u << 7,
  kShowsHttpVersion = 1u << 8,
  kShowsAllHeaders = 1u << 9,
  kShowsAllTrailers = 1u << 10,
  kShowsBodySize = 1u << 11,
  kShowsDuration = 1u << 12,
  kShowsBody = 1u << 13,
  kShowsHeadersSize = 1u << 14,
  kShowsCommunityId = 1u << 15,
  kShowsProxied = 1u << 16,
};

enum BodyKind : uint8_t { kNoBody = 0, kText = 1, kBytes = 2, kLeftOut = 3 };

enum PartTag : uint32_t {
  kTrailers = 1,
  kLosses = 2,
  kContentDecoded = 3,
  kClient = 4,
  kProxied = 5,
  kExtended = 6,
  kInterface = 7,
  kPart = 8,
  kOfRequest = 9,
};
constexpr size_t kPartsMax = 9;

// In the length of a field's value.
constexpr uint32_t kValueIsLatin1 = 1u << 30;
constexpr uint32_t kValueIsFolded = 1u << 31;

using tcp_sniffer::little_endian;
constexpr uint64_t little_endian(int64_t value) {
  return tcp_sniffer::little_endian(static_cast<uint64_t>(value));
}

struct Place {
  uint32_t offset = 0;
  uint32_t length = 0;  // of a list: how many
};

constexpr Place place_of(size_t offset, size_t length) {
  return {little_endian(static_cast<uint32_t>(offset)),
          little_endian(static_cast<uint32_t>(length))};
}

struct HeaderEntry {
  Place name;
  Place value;
};
static_assert(sizeof(HeaderEntry) == 16);

struct Part {
  uint32_t tag;
  uint32_t offset;
  uint32_t length;
  uint32_t reserved;
};
static_assert(sizeof(Part) == 16);

struct Fixed {
  uint32_t size = 0;
  uint16_t mark = little_endian(kMark);
  uint8_t version = kVersion;
  uint8_t kind = kMessage;
  uint16_t fixed_size = 0;
  uint16_t status = 0;
  uint8_t direction = 0;
  uint8_t protocol = 0;
  uint8_t http_version = 0;
  uint8_t incomplete = 0;
  uint32_t flags = 0;
  uint32_t anomalies = 0;
  uint16_t receiver_port = 0;
  uint16_t destination_port = 0;
  uint8_t body_kind = kNoBody;
  uint8_t content_decode_error = 0;
  uint8_t orphan = 0;
  uint8_t orphan_cause = 0;
  uint64_t connection_id = 0;
  uint64_t exchange = 0;
  uint64_t first_byte_ns = 0;
  uint64_t duration_ns = 0;
  uint64_t latency_ns = 0;
  uint64_t body_size = 0;
  IpAddress receiver_ip{};
  IpAddress destination_ip{};
  Place first_text;
  Place second_text;
  Place headers;
  Place parts;
  Place body;
};
static_assert(sizeof(Fixed) == 152);

// What follows in the fixed part of a record with kSelected.
struct Selected {
  uint32_t shown = 0;
  uint32_t reserved = 0;
  Place names;  // of the fields, as they were given, with commas; within an exchange empty
};
static_assert(sizeof(Selected) == 16);

struct Proxied {
  static constexpr uint8_t kTls = 1;
  static constexpr uint8_t kSourceIsMapped = 2;
  static constexpr uint8_t kDestinationIsMapped = 4;

  IpAddress source_ip{};
  IpAddress destination_ip{};
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  uint8_t flags = 0;
  uint8_t reserved[3] = {};
};
static_assert(sizeof(Proxied) == 40);

struct Extended {
  uint64_t first_frame = 0;
  uint64_t last_frame = 0;
  uint64_t connect_ns = 0;  // -1: not known
  uint32_t headers_size = 0;
  uint16_t vlan = 0;
  char community_id[30] = {};
  uint8_t reserved[4] = {};
};
static_assert(sizeof(Extended) == 64);

// One part of a message (`partialAfterMs`).
struct PartNumber {
  uint32_t number = 0;  // 0: not known
  uint32_t is_last = 0;
};
static_assert(sizeof(PartNumber) == 8);

// Of a response that was selected of: what it tells of its request. The texts follow.
struct OfRequest {
  enum Has : uint32_t {
    kBodySize = 1,
    kMethod = 2,
    kPath = 4,
    kHost = 8,
    kMethodIsLatin1 = 16,
    kPathIsLatin1 = 32,
    kHostIsLatin1 = 64,
  };

  uint64_t body_size = 0;
  uint32_t has = 0;
  uint32_t method_length = 0;
  uint32_t path_length = 0;
  uint32_t host_length = 0;
};
static_assert(sizeof(OfRequest) == 24);

}  // namespace tcp_sniffer::packed
