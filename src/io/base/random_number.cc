#include "io/base/random_number.h"

#include <sys/random.h>

#include <chrono>

namespace tcp_sniffer {

uint64_t random_number() {
  uint64_t number = 0;
  if (getrandom(&number, sizeof(number), 0) != sizeof(number)) {
    number = static_cast<uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
  }
  return number;
}

}  // namespace tcp_sniffer
