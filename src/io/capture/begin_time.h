#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tcp_sniffer {

// The number of packets whose times decide when a file begins.
constexpr size_t kBeginPacketsMax = 16;

// When a file begins, from the times of its first packets: the first time that is within an hour of
// most of them, because a first timestamp can be broken like any other. If there is none, the first
// of all. `times` is not empty.
int64_t begin_time(std::span<const int64_t> times);

}  // namespace tcp_sniffer
