#pragma once

#include <cstddef>

namespace tcp_sniffer {

// Memory for what traffic makes grow. Pieces of kLargeMemoryMin bytes and more come from the system
// and go back to it as soon as they are freed, by any thread. An allocator would keep them for a
// while, so a process that frees a large piece and takes another one would hold both. What another
// thread frees it even keeps until the thread that took it allocates again.
//
// 256 KiB: smaller pieces are soon reused, and for them a system call costs more than writing the
// bytes.
constexpr size_t kLargeMemoryMin = size_t{256} << 10;

// nullptr: the system has none. The memory of a large piece is taken as it is written to.
void* take_memory(size_t size);
// The same for a large piece of which only a part will be written to: the rest is not taken, even
// where the system likes large pages.
void* take_sparse_memory(size_t size);
// `size` as it was asked for. nullptr is none.
void give_memory_back(void* memory, size_t size);

}  // namespace tcp_sniffer
