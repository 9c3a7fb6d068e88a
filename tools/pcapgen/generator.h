#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "bystanders.h"
#include "capture_writer.h"
#include "connection.h"
#include "content.h"
#include "disturbance.h"
#include "exchange.h"
#include "expected.h"
#include "frame.h"
#include "options.h"
#include "random.h"

namespace tcp_sniffer::pcapgen {

// Writes one capture and what must come out of it. Everything happens in the calling thread but
// the writing of full blocks.
class Generator {
 public:
  explicit Generator(const Options& options);

  // False: error() says what went wrong.
  bool run();
  const std::string& error() const { return error_; }

 private:
  void run_interleaved();
  void run_idle();

  void open(Connection& connection);
  bool take_turn(Connection& connection);
  bool prepare_flight(Connection& connection);
  void emit_flight(Connection& connection);
  void account(Connection& connection, const std::vector<Disturbance::Range>& missing);
  void emit(Connection& connection, const Segment& segment);
  void emit_fragments(const FrameTemplate& frames, const std::uint8_t* frame, std::size_t bytes);
  void advance_clock(std::size_t frame_bytes);
  bool fail(const std::string& error);
  std::string expected_path(const char* suffix) const;

  const Options& options_;
  Random random_;
  Content content_;
  ExchangeWriter exchanges_;
  Disturbance disturbance_;
  Bystanders bystanders_;
  CaptureWriter writer_;
  LineFile lines_;
  Ledger ledger_;
  Fragments fragments_;
  std::vector<std::uint8_t> datagram_;
  std::uint64_t connections_opened_ = 0;
  std::uint64_t clock_ns_;
  std::uint64_t byte_time_fraction_;  // nanoseconds a byte takes, in units of 2^-16
  std::uint64_t time_fraction_ = 0;
  std::uint32_t fragment_id_ = 1;
  std::string error_;
};

}  // namespace tcp_sniffer::pcapgen
