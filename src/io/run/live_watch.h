#pragma once

#include <chrono>
#include <cstdint>

#include "io/run/run_mode.h"

namespace tcp_sniffer {

class LiveSource;

// Reports what a live capture has to report of one of its interfaces: that it went down or came up
// again, or was removed while others are captured and came back, and that no packet came for
// `noPacketsWarningMs`. Control thread.
class LiveWatch {
 public:
  LiveWatch(const RunHost& host, bool one_of_several)
      : host_(host), one_of_several_(one_of_several) {}

  // `has_failed`: its capture has ended.
  void report_interface(const LiveSource& source, bool has_failed);
  // `packets` is how many TCP packets of these ports came so far.
  void report_no_packets(std::chrono::steady_clock::time_point now, const LiveSource& source,
                         uint64_t packets);

 private:
  const RunHost& host_;
  const bool one_of_several_;
  bool interface_up_ = true;
  bool removal_reported_ = false;
  bool failure_reported_ = false;
  bool looked_for_packets_ = false;
};

}  // namespace tcp_sniffer
