#include "io/config/condition_error.h"

#include <algorithm>
#include <variant>

#include "core/base/text_encoding.h"
#include "core/where/condition.h"
#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

constexpr size_t kShownBefore = 48;
constexpr size_t kShownAfter = 24;

}  // namespace

std::optional<Problem> check_condition(std::string_view key, const std::string& text) {
  if (text.empty()) return {};
  const auto result = Condition::compile(text);
  const auto* wrong = std::get_if<ConditionError>(&result);
  if (wrong == nullptr) return {};
  size_t from = wrong->at > kShownBefore ? wrong->at - kShownBefore : 0;
  while (from < wrong->at && !begins_character(text[from])) from++;
  size_t to = std::min(wrong->at + kShownAfter, text.size());
  while (to < text.size() && !begins_character(text[to])) to++;
  const std::string before =
      (from > 0 ? "..." : "") + printable(text.substr(from, wrong->at - from));
  const std::string after =
      printable(text.substr(wrong->at, to - wrong->at)) + (to < text.size() ? "..." : "");
  Problem refused{ErrorCode::kInvalidConfig, "", printable(wrong->problem)};
  refused.tried.append(key).append(": at ^ in \"").append(before).append("^").append(after);
  refused.tried.append("\": ");
  refused.place = marked_place(before + after, before.size()) + "\n";
  return refused;
}

}  // namespace tcp_sniffer
