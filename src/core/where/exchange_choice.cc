#include "core/where/exchange_choice.h"

#include <xxhash.h>

#include <array>
#include <utility>
#include <variant>

#include "core/base/number_text.h"
#include "core/base/sample_bound.h"

namespace tcp_sniffer {
namespace {

std::unique_ptr<Condition> compiled(const std::string& text) {
  if (text.empty()) return nullptr;
  auto result = Condition::compile(text);
  return std::get<std::unique_ptr<Condition>>(std::move(result));
}

}  // namespace

ExchangeChoice::ExchangeChoice(const ChoiceRules& rules)
    : sample_bound_(sample_bound(rules.sample)),
      sample_seed_(rules.sample_seed),
      where_(compiled(rules.where)),
      always_keep_(sample_bound_ == kWholeSample ? nullptr : compiled(rules.always_keep)) {}

bool ExchangeChoice::needs_body() const {
  return (where_ != nullptr && where_->needs_body()) ||
         (always_keep_ != nullptr && always_keep_->needs_body());
}

bool ExchangeChoice::needs_client() const {
  return (where_ != nullptr && where_->needs_client()) ||
         (always_keep_ != nullptr && always_keep_->needs_client());
}

bool ExchangeChoice::in_sample(const Message& message) const {
  if (sample_bound_ == kWholeSample) return true;
  const bool is_known = message.exchange != kNoExchange;
  const std::array<uint64_t, 3> key = {message.connection_id, message.exchange,
                                       is_known ? 0 : static_cast<uint64_t>(message.first_byte_ns)};
  return XXH3_64bits_withSeed(key.data(), sizeof(key), sample_seed_) < sample_bound_;
}

ExchangeChoice::Fate ExchangeChoice::at_request(const Message& request, Asked& asked,
                                                Seen seen) const {
  const Verdict wanted =
      where_ == nullptr ? Verdict::kYes : where_->at_request(request, asked.where, seen);
  if (wanted == Verdict::kNo) return Fate::kFiltered;
  asked.first_byte_ns = request.first_byte_ns;
  asked.in_sample = in_sample(request);
  const Verdict kept = asked.in_sample ? Verdict::kYes
                       : always_keep_ == nullptr
                           ? Verdict::kNo
                           : always_keep_->at_request(request, asked.always_keep, seen);
  if (kept == Verdict::kNo) return Fate::kSampledOut;
  return wanted == Verdict::kYes && kept == Verdict::kYes ? Fate::kWritten : Fate::kOpen;
}

ExchangeChoice::Verdict ExchangeChoice::verdict_at_end(const Condition& condition,
                                                       const uint64_t* request_bits,
                                                       const Message* response,
                                                       const ExchangeEnd& end, Seen seen) {
  if (seen == Seen::kHead) return condition.at_response_head(request_bits, *response, end);
  return condition.at_end(request_bits, response, end) ? Verdict::kYes : Verdict::kNo;
}

// A condition that the request has decided says the same again.
ExchangeChoice::Fate ExchangeChoice::at_end(const Asked* asked, const Message* response, End how,
                                            Seen seen) const {
  ExchangeEnd end{how.orphan, {}, how.has_interim};
  if (asked != nullptr && response != nullptr && seen == Seen::kWhole) {
    end.total_ns = elapsed_ns(asked->first_byte_ns, response->last_byte_ns);
  }
  if (where_ != nullptr) {
    const Verdict wanted =
        verdict_at_end(*where_, asked == nullptr ? nullptr : &asked->where, response, end, seen);
    if (wanted != Verdict::kYes) return wanted == Verdict::kNo ? Fate::kFiltered : Fate::kOpen;
  }
  if (asked == nullptr ? in_sample(*response) : asked->in_sample) return Fate::kWritten;
  if (always_keep_ == nullptr) return Fate::kSampledOut;
  const Verdict kept = verdict_at_end(
      *always_keep_, asked == nullptr ? nullptr : &asked->always_keep, response, end, seen);
  return kept == Verdict::kYes  ? Fate::kWritten
         : kept == Verdict::kNo ? Fate::kSampledOut
                                : Fate::kOpen;
}

}  // namespace tcp_sniffer
