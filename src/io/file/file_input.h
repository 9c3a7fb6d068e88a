#pragma once

#include <cstdint>

#include "io/base/problem.h"
#include "io/capture/packet_source.h"

namespace tcp_sniffer {

// A source that a run reads on one thread, of capture files or of what comes in their place, and
// what the run asks of it beside frames.
//
// kIdle means that no piece is free, or that there is nothing to read now. The caller must then let
// go of what it holds itself (an open block keeps pieces out), and may `wait`.
class FileInput : public PacketSource {
 public:
  // Why poll() returned kError: the file, and what is wrong with it.
  virtual const Problem& problem() const = 0;

  // After kIdle: until there may be more, `wake` is called or `timeout_ms` have passed (-1: for
  // ever). May return early.
  virtual void wait(int timeout_ms) = 0;
  // Any thread, and signal handlers.
  virtual void wake() noexcept = 0;

  // Progress, in bytes of the files as they are stored. The total is 0 when it is not known, as
  // for standard input. Any thread.
  virtual uint64_t bytes_read() const = 0;
  virtual uint64_t bytes_total() const = 0;
};

}  // namespace tcp_sniffer
