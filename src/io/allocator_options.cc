// How mimalloc treats memory that was given back. Part of the program alone, where it has mimalloc.

#include "io/allocator_options.h"

#include <mimalloc.h>

namespace tcp_sniffer {
namespace {

// `segment_ms`: of the large pieces of which mimalloc makes others.
void keep_freed_memory(long ms, [[maybe_unused]] long segment_ms) {
#if MI_MALLOC_VERSION >= 210
  mi_option_set(mi_option_purge_delay, ms);
#else
  mi_option_set(mi_option_decommit_delay, ms);
  mi_option_set(mi_option_segment_decommit_delay, segment_ms);
#endif
}

// By default it keeps what a thread has freed for 25 ms and more. That can be as much again as
// memoryLimit, because freed pieces of one size cannot be used for the next larger one.
[[gnu::constructor]] void give_memory_back_at_once() {
  keep_freed_memory(0, 0);
}

}  // namespace

void keep_freed_memory_for_a_moment() {
  keep_freed_memory(5, 10);
}

}  // namespace tcp_sniffer
