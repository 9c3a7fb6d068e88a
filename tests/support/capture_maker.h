#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "packets/pcap.h"

// Captures written in view of the test: pcap with link type RAW (an IPv4 packet a frame), so that
// large ones stay small and quick. With another link type the test gives whole frames.
namespace tcp_sniffer {

class CaptureMaker {
 public:
  static constexpr uint8_t kFin = 1;
  static constexpr uint8_t kSyn = 2;
  static constexpr uint8_t kRst = 4;
  static constexpr uint8_t kPush = 8;
  static constexpr uint8_t kAck = 16;
  enum From : uint8_t { kClient, kServer };

  // One TCP connection; the number says who the client is.
  struct Connection {
    uint32_t number = 0;
    uint16_t server_port = 80;
    std::array<uint32_t, 2> next = {1000, 500000};  // sequence number of each side's next byte
  };

  explicit CaptureMaker(uint32_t link_type = packets::kLinkRaw) {
    append(packets::pcap_header({.link_type = link_type}));
  }

  Connection connection() { return Connection{.number = connections_++}; }

  Connection open() {
    Connection made = connection();
    handshake(made);
    return made;
  }

  void handshake(Connection& connection) {
    segment(connection, kClient, {}, kSyn);
    segment(connection, kServer, {}, kSyn | kAck);
    segment(connection, kClient, {}, kAck);
  }

  // Sends and moves on; SYN and FIN take a sequence number.
  void segment(Connection& connection, From from, std::string_view payload,
               uint8_t flags = kAck | kPush) {
    put(connection, from, connection.next[from], payload, flags);
    connection.next[from] += static_cast<uint32_t>(payload.size());
    if ((flags & (kSyn | kFin)) != 0) connection.next[from]++;
  }

  // In segments of `size` bytes.
  void send(Connection& connection, From from, std::string_view payload, size_t size = 1400) {
    for (; payload.size() > size; payload.remove_prefix(size)) {
      segment(connection, from, payload.substr(0, size));
    }
    if (!payload.empty()) segment(connection, from, payload);
  }

  // Bytes that were sent and not captured.
  void lose(Connection& connection, From from, size_t bytes) {
    connection.next[from] += static_cast<uint32_t>(bytes);
  }

  void acknowledge(Connection& connection, From from) { segment(connection, from, {}, kAck); }

  void close(Connection& connection) {
    segment(connection, kClient, {}, kFin | kAck);
    segment(connection, kServer, {}, kFin | kAck);
    segment(connection, kClient, {}, kAck);
  }

  // A request and its response, 200 with that body.
  void exchange(Connection& connection, std::string_view path, std::string_view body) {
    segment(connection, kClient, "GET " + std::string(path) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    send(connection, kServer,
         "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n" + std::string(body));
  }

  // A segment as it stands on the wire, wherever it belongs.
  void put(const Connection& connection, From from, uint32_t sequence, std::string_view payload,
           uint8_t flags) {
    std::string tcp;
    const uint16_t client_port = static_cast<uint16_t>(1024 + connection.number % 60000);
    be16(tcp, from == kClient ? client_port : connection.server_port);
    be16(tcp, from == kClient ? connection.server_port : client_port);
    be32(tcp, sequence);
    be32(tcp, (flags & kAck) != 0 ? connection.next[1 - from] : 0);
    tcp += '\x50';
    tcp += static_cast<char>(flags);
    be16(tcp, 65535);
    be32(tcp, 0);
    tcp += payload;
    std::string made = packet(connection, from, 6, next_id_++, 0x4000, tcp);
    for (uint32_t i = 0; i < nesting_; i++) {
      made = packet(connection, from, 4, next_id_++, 0x4000, made);
    }
    frame(made);
  }

  // Packets from here on lie in this many others: IPv4 in IPv4 (RFC 2003).
  void set_nesting(uint32_t nesting) { nesting_ = nesting; }

  // Of frames from here on, only so many bytes are captured.
  void set_snaplen(size_t snaplen) { snaplen_ = snaplen; }

  // An IPv4 packet without checksums. `fragment`: flags and offset, RFC 791 section 3.1.
  static std::string packet(const Connection& connection, From from, uint8_t protocol, uint16_t id,
                            uint16_t fragment, std::string_view payload) {
    std::string ip("\x45\0", 2);
    be16(ip, static_cast<uint16_t>(20 + payload.size()));
    be16(ip, id);
    be16(ip, fragment);
    ip += '\x40';
    ip += static_cast<char>(protocol);
    be16(ip, 0);
    const uint32_t client = 0x0a000000u + connection.number / 60000;
    constexpr uint32_t kServerAddress = 0xc0000201;
    be32(ip, from == kClient ? client : kServerAddress);
    be32(ip, from == kClient ? kServerAddress : client);
    ip += payload;
    return ip;
  }

  void frame(std::string_view bytes) {
    time_us_ += 10;
    const std::string_view captured = bytes.substr(0, snaplen_);
    append(packets::pcap_record({.seconds = static_cast<uint32_t>(time_us_ / 1'000'000),
                                 .fraction = static_cast<uint32_t>(time_us_ % 1'000'000),
                                 .captured = static_cast<uint32_t>(captured.size()),
                                 .on_wire = static_cast<uint32_t>(bytes.size())}));
    bytes_ += captured;
    frames_++;
  }

  void wait_us(uint64_t duration_us) { time_us_ += duration_us; }
  uint64_t frames() const { return frames_; }
  const std::string& bytes() const { return bytes_; }
  // What was written since the last call: for captures that are passed on as they grow.
  std::string take() { return std::exchange(bytes_, {}); }

 private:
  void append(const packets::Bytes& bytes) { bytes_.append(bytes.begin(), bytes.end()); }
  static void be16(std::string& to, uint16_t value) {
    to += static_cast<char>(value >> 8);
    to += static_cast<char>(value);
  }
  static void be32(std::string& to, uint32_t value) {
    be16(to, static_cast<uint16_t>(value >> 16));
    be16(to, static_cast<uint16_t>(value));
  }

  std::string bytes_;
  uint64_t time_us_ = 1'700'000'000'000'000;
  uint64_t frames_ = 0;
  uint32_t connections_ = 0;
  uint16_t next_id_ = 1;
  uint32_t nesting_ = 0;
  size_t snaplen_ = std::string_view::npos;
};

}  // namespace tcp_sniffer
