#include "core/metrics/request_meter.h"

#include <algorithm>

namespace tcp_sniffer {

RequestMeter::RequestMeter(RequestSeries& series)
    : series_(series), counts_(series.counts()), details_(series.details()) {}

void RequestMeter::add_request(uint32_t row, uint64_t body_size) {
  const uint32_t detail = series_.detail_of(row);
  if (detail != RequestSeries::kNoDetail) add(details_[detail].request_bytes, body_size);
}

void RequestMeter::add_response(uint32_t row, uint16_t status, int64_t duration_ns,
                                uint64_t body_size) {
  add(counts_[series_.count_of(row, class_of_status(status))], 1);
  const uint32_t number = series_.detail_of(row);
  if (number == RequestSeries::kNoDetail) return;
  Detail& detail = details_[number];
  const int64_t duration_us = std::max<int64_t>(duration_ns, 0) / 1000;
  add(detail.durations[Histogram::bucket_of(duration_us)], 1);
  add(detail.duration_sum_us, static_cast<uint64_t>(duration_us));
  add(detail.response_bytes, body_size);
}

void RequestMeter::add_unanswered(uint32_t row, Orphan orphan) {
  add(counts_[series_.count_of(row, StatusClass::kNone)], 1);
  const bool is_known = orphan.kind == Orphan::Kind::kNoResponse || orphan.cause != Incomplete::kNo;
  const Incomplete cause = is_known ? orphan.cause : Incomplete::kClosed;
  add(unanswered_[static_cast<size_t>(cause)], 1);
}

}  // namespace tcp_sniffer
