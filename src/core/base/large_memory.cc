#include "core/base/large_memory.h"

#include <sys/mman.h>

#include <cstdlib>

namespace tcp_sniffer {
namespace {

// The sanitizers know the memory of `malloc` only.
#if defined(__SANITIZE_ADDRESS__)
constexpr bool kFromSystem = false;
#else
constexpr bool kFromSystem = true;
#endif

bool is_large(size_t size) {
  return kFromSystem && size >= kLargeMemoryMin;
}

}  // namespace

void* take_memory(size_t size) {
  if (!is_large(size)) return std::malloc(size);
  void* memory = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  return memory == MAP_FAILED ? nullptr : memory;
}

void* take_sparse_memory(size_t size) {
  void* memory = take_memory(size);
  if (memory != nullptr && is_large(size)) madvise(memory, size, MADV_NOHUGEPAGE);
  return memory;
}

void give_memory_back(void* memory, size_t size) {
  if (memory == nullptr) return;
  if (is_large(size)) {
    // It fails where the process would have more mappings than the system allows. Then the
    // addresses are lost, and not the memory.
    if (munmap(memory, size) != 0) madvise(memory, size, MADV_DONTNEED);
  } else {
    std::free(memory);
  }
}

}  // namespace tcp_sniffer
