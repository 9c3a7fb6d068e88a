#pragma once

#include <cstdint>

#include "capture_writer.h"
#include "expected.h"
#include "frame.h"
#include "options.h"
#include "random.h"

namespace tcp_sniffer::pcapgen {

// Traffic that carries no message: SYN floods, port scans, and frames that are not TCP at all.
class Bystanders {
 public:
  explicit Bystanders(const Options& options) : options_(options) {}

  bool active() const {
    return options_.syn_flood > 0 || options_.port_scan > 0 || options_.noise > 0;
  }

  // To be called once for each packet of a connection.
  void after_packet(std::uint64_t time_ns, Random& random, CaptureWriter& writer, Ledger& ledger);

 private:
  void syn(std::uint64_t time_ns, Random& random, CaptureWriter& writer);
  void scan(std::uint64_t time_ns, Random& random, CaptureWriter& writer);
  void noise(std::uint64_t time_ns, Random& random, CaptureWriter& writer);

  const Options& options_;
  std::uint64_t scanned_ = 0;
};

}  // namespace tcp_sniffer::pcapgen
