#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace tcp_sniffer {

// Packets whose times are asked when a file begins.
constexpr size_t kBeginPacketsMax = 16;

// When a file begins, of the times of its first packets: the first one that lies within an hour of
// most of them, because a first timestamp can be broken like any other. The first of all when there
// is none such. `times` is not empty.
int64_t begin_time(std::span<const int64_t> times);

}  // namespace tcp_sniffer
