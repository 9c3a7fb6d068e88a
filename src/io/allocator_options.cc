// How mimalloc treats memory that was given back. Part of the program alone, where it has mimalloc.

#include <mimalloc.h>

namespace {

// It keeps what was freed for 25 ms and more by default, and of each thread. Beside memoryLimit
// that is as much again: freed pieces of one size are of no use for the next larger one.
[[gnu::constructor]] void give_memory_back_at_once() {
#if MI_MALLOC_VERSION >= 210
  mi_option_set(mi_option_purge_delay, 0);
#else
  mi_option_set(mi_option_decommit_delay, 0);
  mi_option_set(mi_option_segment_decommit_delay, 0);
#endif
}

}  // namespace
