#include "disturbance.h"

#include <algorithm>

namespace tcp_sniffer::pcapgen {
namespace {

// Places between two neighbours, so that a moved segment has a place of its own.
constexpr std::uint64_t kStep = 4;

}  // namespace

Disturbance::Disturbance(const Options& options)
    : options_(options),
      active_(options.holes != 0 || options.retransmit > 0 || options.reorder > 0 ||
              options.duplicate > 0 || options.loss > 0 || options.fragments > 0) {}

const std::vector<Disturbance::Range>& Disturbance::apply(Flight& flight, Random& random,
                                                          Ledger& ledger) {
  missing_.clear();
  if (options_.holes != 0) open_holes(flight.segments, random);
  if (options_.retransmit > 0) retransmit(flight.segments, random, ledger);
  if (options_.holes != 0 || options_.retransmit > 0) acknowledge_what_arrived(flight.segments);
  if (options_.reorder > 0 || options_.duplicate > 0) tap(flight, random, ledger);
  if (options_.loss > 0) {
    lose(flight.segments, random, ledger);
    find_missing(flight);
  }
  if (options_.fragments > 0) {
    for (Segment& segment : flight.segments) {
      segment.fragmented = segment.bytes > 64 && random.chance(options_.fragments);
    }
  }
  return missing_;
}

// Every second segment first, so that each of them stands alone; then the others in any order.
void Disturbance::open_holes(std::vector<Segment>& segments, Random& random) {
  data_.clear();
  for (const Segment& segment : segments) {
    if (segment.bytes != 0 && segment.index % 2 == 1) data_.push_back(segment);
  }
  const std::size_t evens_at = data_.size();
  for (const Segment& segment : segments) {
    if (segment.bytes != 0 && segment.index % 2 == 0) data_.push_back(segment);
  }
  for (std::size_t i = evens_at; i + 1 < data_.size(); ++i) {
    std::swap(data_[i], data_[random.between(i, data_.size() - 1)]);
  }
  auto next = data_.begin();
  for (Segment& segment : segments) {
    if (segment.bytes != 0) segment = *next++;
  }
}

void Disturbance::retransmit(std::vector<Segment>& segments, Random& random, Ledger& ledger) {
  std::size_t last_data = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    if (segments[i].bytes != 0) last_data = i;
  }
  placed_.clear();
  for (std::size_t i = 0; i < segments.size(); ++i) {
    std::uint64_t key = i * kStep;
    if (segments[i].bytes != 0 && i + 1 < last_data && random.chance(options_.retransmit)) {
      key = std::min<std::uint64_t>(i + random.between(4, 20), last_data) * kStep + 1;
      ++ledger.retransmissions;
    }
    placed_.push_back({key, segments[i]});
  }
  place(segments);
}

void Disturbance::acknowledge_what_arrived(std::vector<Segment>& segments) {
  arrived_.clear();
  data_.clear();
  for (const Segment& segment : segments) {
    if (segment.bytes != 0) data_.push_back(segment);
  }
  if (data_.empty()) return;
  std::sort(data_.begin(), data_.end(),
            [](const Segment& a, const Segment& b) { return a.index < b.index; });
  arrived_.resize(data_.size(), false);
  const bool data_from_client = data_.front().from_client;
  std::size_t prefix = 0;
  for (Segment& segment : segments) {
    if (segment.bytes != 0) {
      arrived_[segment.index] = true;
      while (prefix < arrived_.size() && arrived_[prefix]) ++prefix;
    } else if (segment.from_client != data_from_client) {
      if (prefix < data_.size()) {
        segment.acknowledgment = data_[prefix].sequence;
        continue;
      }
      const std::uint32_t edge = data_.back().sequence + data_.back().bytes;
      if (static_cast<std::int32_t>(edge - segment.acknowledgment) > 0) {
        segment.acknowledgment = edge;
      }
    }
  }
}

void Disturbance::tap(Flight& flight, Random& random, Ledger& ledger) {
  std::vector<Segment>& segments = flight.segments;
  const std::size_t count = segments.size();
  placed_.clear();
  for (std::size_t i = 0; i < count; ++i) {
    std::uint64_t key = i * kStep;
    if (i + 1 < count && random.chance(options_.reorder)) {
      const std::size_t to =
          std::min<std::size_t>(i + random.between(1, options_.reorder_distance), count - 1);
      key = to * kStep + 1;
      for (std::size_t between = i; between < to; ++between) segments[between].glued = true;
      for (Placed& earlier : placed_) {
        if (earlier.key >= i * kStep && earlier.key < key) earlier.segment.glued = true;
      }
      ++ledger.reordered;
    }
    placed_.push_back({key, segments[i]});
    if (random.chance(options_.duplicate)) {
      ++ledger.duplicates;
      if (segments[i].bytes == 0 || random.below(2) == 0) {
        placed_.push_back({key, segments[i]});
      } else {
        placed_.push_back({(i + random.between(3, 12)) * kStep + 2,
                           with_other_borders(segments[i], flight, random)});
      }
    }
  }
  place(segments);
}

Segment Disturbance::with_other_borders(const Segment& segment, const Flight& flight,
                                        Random& random) {
  Segment copy = segment;
  const std::uint64_t back =
      std::min<std::uint64_t>(segment.begin - flight.begin, random.below(segment.bytes));
  copy.begin -= back;
  copy.sequence -= static_cast<std::uint32_t>(back);
  copy.bytes = static_cast<std::uint32_t>(random.between(1, segment.bytes));
  return copy;
}

void Disturbance::lose(std::vector<Segment>& segments, Random& random, Ledger& ledger) {
  const auto lost = std::remove_if(segments.begin(), segments.end(),
                                   [&](const Segment&) { return random.chance(options_.loss); });
  ledger.packets_lost += static_cast<std::uint64_t>(segments.end() - lost);
  segments.erase(lost, segments.end());
}

void Disturbance::find_missing(const Flight& flight) {
  captured_.clear();
  for (const Segment& segment : flight.segments) {
    if (segment.bytes != 0) captured_.push_back({segment.begin, segment.begin + segment.bytes});
  }
  std::sort(captured_.begin(), captured_.end());
  std::uint64_t reached = flight.begin;
  for (const auto& [begin, end] : captured_) {
    if (begin > reached) missing_.push_back({reached, begin});
    reached = std::max(reached, end);
  }
  if (reached < flight.end) missing_.push_back({reached, flight.end});
}

void Disturbance::place(std::vector<Segment>& segments) {
  std::stable_sort(placed_.begin(), placed_.end(),
                   [](const Placed& a, const Placed& b) { return a.key < b.key; });
  segments.clear();
  for (const Placed& placed : placed_) segments.push_back(placed.segment);
}

}  // namespace tcp_sniffer::pcapgen
