#include "core/message/anomalies.h"

#include <array>

namespace tcp_sniffer {

std::string_view anomaly_word(Anomaly anomaly) {
  constexpr std::array<std::string_view, kAnomalies> kWords = {
      "leadingBlanks", "startLineBlanks", "target",          "version",          "status",
      "http09",        "bareLf",          "bareCr",          "obsFold",          "blankBeforeColon",
      "fieldName",     "noColon",         "lengthAndCoding", "differentLengths", "repeatedLength",
      "invalidLength", "transferCoding",  "chunkLine",
  };
  static_assert(kWords.back() == "chunkLine");
  return kWords.at(static_cast<size_t>(anomaly));
}

}  // namespace tcp_sniffer
