#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace tcp_sniffer::pcapgen {

enum class Workload { kBulk, kApi, kTiny, kShort, kIdle, kMixed };

const char* workload_name(Workload workload);

// Everything that decides what is in a capture. Fractions lie between 0 and 1. Two runs with equal
// options write equal files.
struct Options {
  Workload workload = Workload::kBulk;
  std::string output;
  std::string expected;  // empty: beside the output; for standard output: none
  bool lines = false;
  std::uint64_t seed = 1;
  std::uint64_t size_bytes = 1ULL << 30U;  // of the capture file; reached, then closed in order
  std::uint64_t connections_max = 0;       // 0: as many as fit into the size
  std::uint64_t concurrency = 256;
  std::uint64_t exchanges = 0;  // per connection; 0: the workload's own number

  std::vector<std::uint16_t> ports{80};
  std::uint64_t mtu = 1500;
  double ipv6 = 0;
  std::vector<std::uint16_t> vlans;  // outer tag first, at most two
  double rate_bits = 1e9;
  bool nanosecond = false;
  bool checksums = true;
  bool tcp_timestamps = true;

  double fragments = 0;
  double loss = 0;
  double reorder = 0;
  std::uint64_t reorder_distance = 8;
  double duplicate = 0;
  double retransmit = 0;
  std::uint64_t holes = 0;

  double chunked = 0;
  double gzip = 0;
  double post = 0;
  double bodyless = 0;
  double until_close = 0;
  double resets = 0;
  std::uint64_t pipeline = 1;

  double syn_flood = 0;
  double port_scan = 0;
  double noise = 0;
  double garbage = 0;
  std::uint64_t garbage_bytes = 65536;
};

struct ParsedOptions {
  Options options;
  std::string help;   // not empty: it was asked for
  std::string error;  // empty: the options are valid
};

// An error names the option, and mostly what is allowed.
ParsedOptions parse_options(int argc, const char* const* argv);

}  // namespace tcp_sniffer::pcapgen
