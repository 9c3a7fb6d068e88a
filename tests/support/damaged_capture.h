#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "capture_file.h"
#include "damage.h"
#include "frame_edit.h"
#include "packets/bytes.h"
#include "support/run_engine.h"

// Captures with known messages, damaged on purpose, and what comes out of them.
namespace tcp_sniffer {

// What a frame of a capture carries. Frames that are no whole TCP segment (fragments) have no flow.
struct FrameContent {
  std::string source;  // address and port, "" when unknown
  std::string destination;
  uint32_t sequence = 0;
  uint32_t payload_bytes = 0;
  uint8_t flags = 0;
};

inline FrameContent content_of(const pcapdamage::Frame& frame, uint32_t link_type) {
  FrameContent content;
  const auto layout = pcapdamage::find_layout(frame, link_type);
  if (!layout || layout->tcp == 0) return content;
  const size_t address_bytes = layout->ipv6 ? 16 : 4;
  const auto from =
      frame.bytes.begin() + static_cast<ptrdiff_t>(layout->ip + (layout->ipv6 ? 8 : 12));
  const auto port = frame.bytes.begin() + static_cast<ptrdiff_t>(layout->tcp);
  const auto step = static_cast<ptrdiff_t>(address_bytes);
  content.source = std::string(from, from + step) + std::string(port, port + 2);
  content.destination = std::string(from + step, from + 2 * step) + std::string(port + 2, port + 4);
  content.sequence = packets::read_be32(frame.bytes, layout->tcp + 4);
  content.flags = frame.bytes[layout->tcp + 13];
  const size_t headers = layout->tcp - layout->ip + size_t{frame.bytes[layout->tcp + 12]} / 16 * 4;
  content.payload_bytes = static_cast<uint32_t>(layout->ip_bytes - headers);
  return content;
}

inline pcapdamage::CaptureFile load_capture(const std::filesystem::path& path) {
  pcapdamage::CaptureFile file;
  EXPECT_EQ(pcapdamage::read_capture(path.string(), file), "");
  return file;
}

inline std::vector<FrameContent> contents_of(const pcapdamage::CaptureFile& file) {
  std::vector<FrameContent> contents;
  for (const auto& frame : file.frames) contents.push_back(content_of(frame, file.link_type));
  return contents;
}

// Lines with every field that a comparison needs.
inline Finished read_whole(const std::string& path, const std::string& shards = "0") {
  return run_engine({"-r", path, "--format", "ndjson", "--fields", "extended", "--binary-body",
                     "base64", "--max-body-size", "16M", "--shards", shards});
}

inline Finished read_capture_file(const pcapdamage::CaptureFile& file,
                                  const std::string& shards = "0") {
  const TemporaryFolder folder;
  const std::string path = (folder / "damaged.pcap").string();
  EXPECT_EQ(pcapdamage::write_capture(path, file), "");
  return read_whole(path, shards);
}

// Both ends of the line's connection, whoever is thought to be the server.
inline std::string ends_of(const Json& line) {
  std::string first = line["receiver"].dump();
  std::string second = line["destination"].dump();
  if (second < first) std::swap(first, second);
  return first + second;
}

inline std::string start_of(const Json& line) {
  std::string start = line["direction"].get<std::string>() + " " + line["httpVersion"].dump();
  for (const char* field : {"method", "path", "statusCode", "statusText"}) {
    if (line.contains(field)) start += " " + line[field].dump();
  }
  return start;
}

// Who sent it, its start line and headers: what even an incomplete message must have right.
inline std::string head_of(const Json& line) {
  return ends_of(line) + start_of(line) + line["headers"].dump();
}

// All that was sent.
inline std::string identity_of(const Json& line) {
  std::string text = head_of(line);
  for (const char* field : {"trailers", "body", "bodyEncoding", "bodySize"}) {
    if (line.contains(field)) text += line[field].dump();
  }
  return text;
}

inline std::pair<std::string, uint64_t> exchange_of(const Json& line) {
  return {line["connectionId"], line["exchange"]};
}

using Frames = std::set<size_t>;  // from 1

inline Finished read_without(const pcapdamage::CaptureFile& whole, const Frames& lost,
                             const std::string& shards) {
  pcapdamage::CaptureFile damaged = whole;
  pcapdamage::DamageOptions options;
  options.drop_frames = lost;
  pcapdamage::damage_capture(damaged, options);
  return read_capture_file(damaged, shards);
}

inline std::string body_of(const Json& line) {
  const std::string text = line["body"];
  if (!line.contains("bodyEncoding")) return text;
  static constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string bytes;
  uint32_t bits = 0;
  int count = 0;
  for (const char digit : text) {
    if (digit == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(kDigits.find(digit));
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count & 0xff);
  }
  return bytes;
}

// The body as it was sent, without what the line says is missing.
inline std::string without_gaps(std::string body, const Json& line) {
  if (!line.contains("bodyGaps")) return body;
  for (auto gap = line["bodyGaps"].rbegin(); gap != line["bodyGaps"].rend(); ++gap) {
    body.erase((*gap)[0].get<size_t>(), (*gap)[1].get<size_t>());
  }
  return body;
}

// Every whole line equals one of the undamaged run; of an incomplete one everything that is there
// does, and its parts add up.
inline void expect_truthful(const std::vector<Json>& truth, const std::vector<Json>& lines) {
  std::multiset<std::string> sent;
  std::multimap<std::string, std::string> bodies;
  for (const Json& line : truth) {
    sent.insert(identity_of(line));
    bodies.emplace(head_of(line), body_of(line));
  }
  for (const Json& line : lines) {
    SCOPED_TRACE(line.dump().substr(0, 600));
    if (!line.contains("incomplete")) {
      const auto found = sent.find(identity_of(line));
      ASSERT_NE(found, sent.end());
      sent.erase(found);
      continue;
    }
    const std::string body = body_of(line);
    EXPECT_LE(body.size(), line["bodySize"].get<size_t>());
    if (line.contains("bodyGaps")) {
      uint64_t missing = 0;
      for (const Json& gap : line["bodyGaps"]) missing += gap[1].get<uint64_t>();
      EXPECT_LE(missing, line["missingBytes"].get<uint64_t>());
      EXPECT_EQ(body.size() + line["missingBytes"].get<uint64_t>(), line["bodySize"]);
    }
    if (line.contains("headersIncomplete")) continue;
    const auto [first, last] = bodies.equal_range(head_of(line));
    EXPECT_TRUE(std::any_of(first, last, [&](const auto& candidate) {
      return without_gaps(candidate.second, line).starts_with(body);
    })) << "its head or body is none that was sent";
  }
}

}  // namespace tcp_sniffer
