#pragma once

#include <chrono>
#include <cstdint>

#include "io/run/run_mode.h"

namespace tcp_sniffer {

class LiveSource;

// Reports what a live capture has to report of its interface: that it went down or came up again,
// and that no packet came for `noPacketsWarningMs`. Control thread.
class LiveWatch {
 public:
  explicit LiveWatch(const RunHost& host) : host_(host) {}

  void report_interface(const LiveSource& source);
  // `packets` is how many TCP packets of these ports came so far.
  void report_no_packets(std::chrono::steady_clock::time_point now, const LiveSource& source,
                         uint64_t packets);

 private:
  const RunHost& host_;
  bool interface_up_ = true;
  bool looked_for_packets_ = false;
};

}  // namespace tcp_sniffer
