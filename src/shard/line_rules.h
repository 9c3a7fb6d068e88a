#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/line/line_options.h"
#include "core/line/message_line.h"
#include "core/where/exchange_choice.h"

namespace tcp_sniffer {

// Which exchanges are written, and what of them. A shard may be given other rules while it runs;
// what waits for other messages keeps those by which its request was judged and written, so that an
// exchange has one fate and one form.
struct LineRules {
  LineRules(const LineOptions& options, const ChoiceRules& rules)
      : select(options.select),
        choices(rules),
        choice(rules),
        chooses(rules.any()),
        writer(std::make_shared<MessageLineWriter>(options)) {}

  bool selects_as(const LineRules& other) const {
    return std::equal(select.begin(), select.end(), other.select.begin(), other.select.end(),
                      [](const FieldRef& a, const FieldRef& b) { return a.name == b.name; });
  }
  bool operator==(const LineRules& other) const {
    return choices == other.choices && selects_as(other);
  }

  const std::vector<FieldRef> select;
  const ChoiceRules choices;
  const ExchangeChoice choice;
  const bool chooses;
  // Several may have the same one. Used by the shard's thread.
  std::shared_ptr<MessageLineWriter> writer;
  uint64_t waiting = 0;  // exchanges that wait by these rules
};

}  // namespace tcp_sniffer
