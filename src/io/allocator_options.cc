// How mimalloc treats memory that was given back. Part of the program alone, where it has mimalloc.

#include <mimalloc.h>

namespace {

// By default it keeps what a thread has freed for 25 ms and more. That can be as much again as
// memoryLimit, because freed pieces of one size cannot be used for the next larger one.
[[gnu::constructor]] void give_memory_back_at_once() {
#if MI_MALLOC_VERSION >= 210
  mi_option_set(mi_option_purge_delay, 0);
#else
  mi_option_set(mi_option_decommit_delay, 0);
  mi_option_set(mi_option_segment_decommit_delay, 0);
#endif
}

}  // namespace
