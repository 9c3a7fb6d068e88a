#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// What RFC 9112 does not allow in a message, and was read nevertheless (field `anomalies`).
// docs/standards.md describes how each is read.
enum class Anomaly : uint8_t {
  kLeadingBlanks,     // blanks before the start line, or empty lines before a status line
  kStartLineBlanks,   // other than one space between the parts of the start line
  kTarget,            // missing, or with blanks, control characters, bytes beyond ASCII
  kVersion,           // missing, or not HTTP/1.x
  kStatus,            // missing, or not three digits from 100 to 999
  kHttp09,            // HTTP/0.9: no version and no fields, or a body alone
  kBareLf,            // a line of the head or of the chunked coding ends with LF alone
  kBareCr,            // a line of the head ends with CR alone
  kObsFold,           // a field goes on in a second line
  kBlankBeforeColon,  // blanks between a field's name and its colon
  kFieldName,         // an empty name, or blanks before the first one
  kNoColon,           // a line of the head without a colon
  kLengthAndCoding,   // Content-Length beside Transfer-Encoding
  kDifferentLengths,  // several Content-Length that differ
  kRepeatedLength,    // several Content-Length that are equal
  kInvalidLength,     // a Content-Length that is no number, or too large
  kTransferCoding,    // in HTTP/1.0; in a request with another last coding than chunked
  kChunkLine,         // blanks, empty lines or a missing line end around a chunk's size
  kCount,
};

constexpr size_t kAnomalies = static_cast<size_t>(Anomaly::kCount);

std::string_view anomaly_word(Anomaly anomaly);

// A set of them.
class Anomalies {
 public:
  constexpr Anomalies() = default;

  void add(Anomaly anomaly) { bits_ |= bit(anomaly); }
  void add_if(bool is_there, Anomaly anomaly) { bits_ |= is_there ? bit(anomaly) : 0; }
  void add(Anomalies others) { bits_ |= others.bits_; }
  bool has(Anomaly anomaly) const { return (bits_ & bit(anomaly)) != 0; }
  bool any() const { return bits_ != 0; }
  bool operator==(const Anomalies&) const = default;
  // Bit i stands for the anomaly with that number.
  uint32_t bits() const { return bits_; }

 private:
  static constexpr uint32_t bit(Anomaly anomaly) {
    return uint32_t{1} << static_cast<int>(anomaly);
  }

  uint32_t bits_ = 0;
};

}  // namespace tcp_sniffer
