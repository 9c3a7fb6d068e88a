#pragma once

#include <cstddef>

namespace tcp_sniffer {

// Memory for what traffic makes grow. Pieces of kLargeMemoryMin bytes and more come from the system
// and go back to it when they are freed, at once and from any thread. An allocator keeps them for a
// while, and what another thread frees until the first one asks again: a process that frees a large
// piece and takes another one holds both.
//
// 256 KiB: smaller pieces are reused by whoever asks next, and the system's way costs more than the
// bytes that are written into them.
constexpr size_t kLargeMemoryMin = size_t{256} << 10;

// nullptr: the system has none. The memory of a large piece is taken as it is written to.
void* take_memory(size_t size);
// The same for a large piece of which only a part will be written to: the rest is not taken, even
// where the system likes large pages.
void* take_sparse_memory(size_t size);
// `size` as it was asked for. nullptr is none.
void give_memory_back(void* memory, size_t size);

}  // namespace tcp_sniffer
