#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/message/message.h"
#include "core/where/condition.h"

namespace tcp_sniffer {

// Which exchanges are written. The conditions are valid.
struct ChoiceRules {
  std::string where;    // empty: every exchange is wanted
  double sample = 1.0;  // the fraction of exchanges that the sample has
  uint64_t sample_seed = 0;
  std::string always_keep;  // what is outside of the sample and is written nevertheless

  bool any() const { return !where.empty() || sample < 1.0; }
  bool operator==(const ChoiceRules&) const = default;
};

// Gives each exchange one fate, for all its messages: `where` comes first, then the sample
// (`sampleExchanges`), which has an exchange by its connection and number, and so the same ones in
// every run; then `alwaysKeep`. A response whose request is not known is in the sample by its time.
// The questions are those of Condition. One for each shard.
class ExchangeChoice {
 public:
  enum class Fate : uint8_t { kWritten, kFiltered, kSampledOut, kOpen };
  using Seen = Condition::Seen;

  // What the request has answered.
  struct Asked {
    uint64_t where = 0;
    uint64_t always_keep = 0;
    int64_t first_byte_ns = 0;
    bool in_sample = false;
  };

  explicit ExchangeChoice(const ChoiceRules& rules);

  // Whether bodies have to be kept, and decoded, for it.
  bool needs_body() const;
  // Whether the client's real address has to be known for it.
  bool needs_client() const;

  // kOpen: `asked` is to be given to at_end.
  Fate at_request(const Message& request, Asked& asked, Seen seen = Seen::kWhole) const;
  // How an exchange ends: `orphan` is why one of the messages is not there.
  struct End {
    Orphan orphan{};
    bool has_interim = false;  // interim responses wait with the request
  };
  // `asked`: nullptr when the request is not known. `response`: nullptr when there is none; one of
  // the two is there. kOpen only when no more than the response's head was seen.
  Fate at_end(const Asked* asked, const Message* response, End how, Seen seen = Seen::kWhole) const;

 private:
  using Verdict = Condition::Verdict;

  bool in_sample(const Message& message) const;
  static Verdict verdict_at_end(const Condition& condition, const uint64_t* request_bits,
                                const Message* response, const ExchangeEnd& end, Seen seen);

  const uint64_t sample_bound_;
  const uint64_t sample_seed_;
  std::unique_ptr<Condition> where_;        // nullptr: every exchange
  std::unique_ptr<Condition> always_keep_;  // nullptr: none, or the sample has every exchange
};

}  // namespace tcp_sniffer
