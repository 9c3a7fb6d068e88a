#include "core/metrics/request_series.h"

#include <algorithm>
#include <bit>

#include "core/message/message.h"

namespace tcp_sniffer {

namespace {

constexpr uint8_t kOtherMethod = kMethodLabels.size() - 1;
// Of details, which all methods share.
constexpr uint8_t kAnyMethod = 0;

// False: none is left.
bool take_one(std::atomic<uint32_t>& left) {
  uint32_t now = left.load(std::memory_order_relaxed);
  while (now > 0) {
    if (left.compare_exchange_weak(now, now - 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

}  // namespace

uint8_t method_number(std::string_view method) {
  const auto* const found = std::find(kMethodLabels.begin(), kMethodLabels.end() - 1, method);
  return static_cast<uint8_t>(found - kMethodLabels.begin());
}

StatusClass class_of_status(uint16_t status) {
  if (status < 100 || status > 599) return StatusClass::kOther;
  return static_cast<StatusClass>(status / 100 - 1);
}

RequestSeries::Shares::Shares(uint32_t series_max) {
  details = series_max / (2 * kDetailSeries);
  const uint32_t counts = series_max - details * kDetailSeries;
  constexpr uint32_t kOtherMax = kMethodLabels.size() * kStatusClassLabels.size();
  other = std::clamp(counts / 2, 1u, kOtherMax);
  const uint32_t hosts = counts - other;
  rows = (hosts - hosts / 8) / kPrepaid;
  spare = hosts - rows * kPrepaid;
}

RequestSeries::RequestSeries(const Settings& settings)
    : routes_(settings.routes),
      details_max_(Shares(settings.series_max).details),
      other_left_(Shares(settings.series_max).other - 1),
      spare_left_(Shares(settings.series_max).spare),
      rows_(Shares(settings.series_max).rows),
      details_(details_max_) {
  hide(settings);
  const HostLabel other = host_label(kOther);
  const uint32_t detail =
      details_max_ == 0 ? kNoDetail : details_.add(other, kAnyMethod, Routes::kNone, 0);
  for (uint8_t method = 0; method < kOtherRows; method++) {
    LabelSet& row = rows_[method];
    row.host = other;
    row.method = method;
    row.detail = detail;
  }
  // The last resort.
  rows_[kOtherMethod].classes.store(bit_of(StatusClass::kOther), std::memory_order_relaxed);
}

RequestSeries::Hiding::Hiding(const Settings& settings)
    : all(settings.hides_hosts),
      expressions(settings.hide_matches),
      patterns(settings.hide_matches) {}

// In the host as it was sent, or as it would be shown.
bool RequestSeries::Hiding::matches(std::string_view host, const HostLabel& label) const {
  return !patterns.empty() && (patterns.match(host) || patterns.match(label.text()));
}

void RequestSeries::hide(const Settings& settings) {
  const auto known = std::find_if(hidings_.begin(), hidings_.end(), [&](const auto& hiding) {
    return hiding->all == settings.hides_hosts && hiding->expressions == settings.hide_matches;
  });
  const Hiding* now = known != hidings_.end() ? known->get() : nullptr;
  if (now == nullptr) now = hidings_.emplace_back(std::make_unique<Hiding>(settings)).get();
  hiding_.store(now, std::memory_order_release);
}

bool RequestSeries::is_hidden(const LabelSet& set) const {
  const std::string_view host = set.host.text();
  if (host == kRedacted) return true;
  const Hiding& hiding = *hiding_.load(std::memory_order_acquire);
  // The rows of "other" have no host.
  return host != kOther && (hiding.all || hiding.matches(host, set.host));
}

uint32_t RequestSeries::row_of(std::string_view method_text, std::string_view target,
                               std::string_view host_header) {
  const uint8_t method = method_number(method_text);
  const uint16_t route = routes_.route_of(target);
  const std::string_view host = host_of_request(method_text, target, host_header);
  const Hiding& hiding = *hiding_.load(std::memory_order_acquire);
  const HostLabel label = host_label(hiding.all ? kRedacted : host);
  uint32_t row = find_row(label, method, route);
  if (row != kNoRow) return row;
  row = add_row(hiding.matches(host, label) ? host_label(kRedacted) : label, method, route);
  return row == kNoRow ? method : row;
}

uint32_t RequestSeries::find_row(const HostLabel& host, uint8_t method, uint16_t route) {
  const uint32_t found = rows_.hosts().find(host.text(), method, route);
  return found == LabelTable::kNone ? kNoRow : found + kOtherRows;
}

uint32_t RequestSeries::add_row(const HostLabel& host, uint8_t method, uint16_t route) {
  // A host that calls itself "other" is one of them.
  if (host.text() == kOther || rows_.hosts().is_full()) return kNoRow;
  uint32_t detail = details_.find(host.text(), kAnyMethod, route);
  if (detail == LabelTable::kNone) detail = details_.add(host, kAnyMethod, route, 0);
  if (detail == LabelTable::kNone) detail = rows_[method].detail;
  const uint32_t added = rows_.hosts().add(host, method, route, detail);
  return added == LabelTable::kNone ? kNoRow : added + kOtherRows;
}

// The first request of this outcome in the row.
size_t RequestSeries::claim(uint32_t row, StatusClass status_class) {
  const bool is_other = row < kOtherRows;
  const uint8_t bit = bit_of(status_class);
  LabelSet& set = rows_[row];
  std::atomic<uint32_t>& left = is_other ? other_left_ : spare_left_;
  uint8_t classes = set.classes.load(std::memory_order_relaxed);
  for (;;) {
    if ((classes & bit) != 0) return place_of(row, status_class);
    const bool is_prepaid = !is_other && std::popcount(classes) < static_cast<int>(kPrepaid);
    if (!is_prepaid && !take_one(left)) break;
    const auto more = static_cast<uint8_t>(classes | bit);
    if (set.classes.compare_exchange_strong(classes, more, std::memory_order_relaxed)) {
      return place_of(row, status_class);
    }
    if (!is_prepaid) left.fetch_add(1, std::memory_order_relaxed);
  }
  return is_other ? place_of(kOtherMethod, StatusClass::kOther)
                  : count_of(set.method, status_class);
}

}  // namespace tcp_sniffer
