#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "expected.h"
#include "options.h"
#include "random.h"
#include "segment.h"

namespace tcp_sniffer::pcapgen {

// Does to a flight what networks and taps do.
//
// Before the tap (holes, retransmit): the receiver sees it too, so its acknowledgments stop at the
// first hole. At the tap (reorder, duplicate, loss): the receiver saw everything, so its
// acknowledgments go on.
class Disturbance {
 public:
  using Range = std::pair<std::uint64_t, std::uint64_t>;  // batch offsets, begin and end

  explicit Disturbance(const Options& options);

  bool active() const { return active_; }

  // Returns the flight's payload ranges that are nowhere in the capture, in order.
  const std::vector<Range>& apply(Flight& flight, Random& random, Ledger& ledger);

 private:
  struct Placed {
    std::uint64_t key;
    Segment segment;
  };

  void open_holes(std::vector<Segment>& segments, Random& random);
  void retransmit(std::vector<Segment>& segments, Random& random, Ledger& ledger);
  void acknowledge_what_arrived(std::vector<Segment>& segments);
  void tap(Flight& flight, Random& random, Ledger& ledger);
  void lose(std::vector<Segment>& segments, Random& random, Ledger& ledger);
  void find_missing(const Flight& flight);
  Segment with_other_borders(const Segment& segment, const Flight& flight, Random& random);
  void place(std::vector<Segment>& segments);

  const Options& options_;
  bool active_;
  std::vector<Placed> placed_;
  std::vector<Range> captured_;
  std::vector<Range> missing_;
  std::vector<Segment> data_;
  std::vector<bool> arrived_;
};

}  // namespace tcp_sniffer::pcapgen
