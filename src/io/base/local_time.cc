#include "io/base/local_time.h"

#include <ctime>

namespace tcp_sniffer {

int32_t local_offset_s(int64_t second) {
  const time_t time = second;
  tm local{};
  return ::localtime_r(&time, &local) == nullptr ? 0 : static_cast<int32_t>(local.tm_gmtoff);
}

}  // namespace tcp_sniffer
