#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

#include "batch.h"
#include "options.h"

namespace tcp_sniffer::pcapgen {

// What is in the capture. Every figure is written to the expected file under the same name in
// camel case.
struct Ledger {
  std::uint64_t packets = 0;
  std::uint64_t capture_bytes = 0;
  std::uint64_t frame_bytes = 0;
  std::uint64_t connections = 0;  // that carry HTTP
  std::uint64_t messages = 0;
  std::uint64_t requests = 0;
  std::uint64_t responses = 0;
  std::uint64_t body_bytes = 0;     // as sent, after de-chunking
  std::uint64_t payload_bytes = 0;  // captured, duplicates included
  std::uint64_t stream_bytes = 0;   // sent by the two ends of all connections
  std::uint64_t packets_lost = 0;
  std::uint64_t bytes_lost = 0;        // stream bytes that are nowhere in the capture
  std::uint64_t messages_damaged = 0;  // that miss bytes
  std::uint64_t reordered = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t retransmissions = 0;
  std::uint64_t fragmented_datagrams = 0;
  std::uint64_t fragments = 0;
  std::uint64_t syn_flood_packets = 0;
  std::uint64_t port_scan_packets = 0;
  std::uint64_t noise_frames = 0;
  std::uint64_t garbage_connections = 0;
  std::uint64_t garbage_bytes = 0;
};

// False: `error` says which file and why.
bool write_ledger(const std::string& path, const Options& options, const Ledger& ledger,
                  std::string& error);

// One JSON object a message, in the order in which the messages of a connection end. The fields
// are those of the product's own output; lostBytes stands where bytes of the message are missing.
class LineFile {
 public:
  LineFile() = default;
  ~LineFile() { close(); }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  bool open(const std::string& path);
  bool is_open() const { return file_ != nullptr; }
  void write(const Batch& batch, const Message& message);
  // False when something could not be written.
  bool close();

 private:
  std::FILE* file_ = nullptr;
  std::string line_;
};

}  // namespace tcp_sniffer::pcapgen
