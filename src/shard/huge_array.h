#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <new>
#include <type_traits>
#include <utility>

namespace tcp_sniffer {

// A fixed-size array of zeroed plain objects for tables that are looked at in no order: from two
// megabytes on, the kernel is asked for huge pages, because a look into a table of small pages
// costs a walk through the page tables besides the miss (measured: a sixth of the time of a capture
// of short connections went into prefetching from such a table).
//
// Owns its memory; moves, does not copy. Throws std::bad_alloc.
template <class T>
class HugeArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  HugeArray() = default;
  explicit HugeArray(size_t size) : size_(size), bytes_(size * sizeof(T)) {
    if (bytes_ >= kHugePage) bytes_ = (bytes_ + kHugePage - 1) / kHugePage * kHugePage;
    const size_t slack = bytes_ >= kHugePage ? kHugePage : 0;
    mapped_ = bytes_ + slack;
    memory_ = mmap(nullptr, mapped_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory_ == MAP_FAILED) {
      memory_ = nullptr;
      throw std::bad_alloc();
    }
    auto* begin = static_cast<char*>(memory_);
    if (slack != 0) {
      const size_t behind = reinterpret_cast<size_t>(begin) % kHugePage;
      if (behind != 0) begin += kHugePage - behind;
      // Without huge pages it works as well, only slower.
      madvise(begin, bytes_, MADV_HUGEPAGE);
    }
    data_ = reinterpret_cast<T*>(begin);
  }
  ~HugeArray() {
    if (memory_ != nullptr) munmap(memory_, mapped_);
  }
  HugeArray(HugeArray&& other) noexcept { swap(other); }
  HugeArray& operator=(HugeArray&& other) noexcept {
    swap(other);
    return *this;
  }
  HugeArray(const HugeArray&) = delete;
  HugeArray& operator=(const HugeArray&) = delete;

  void swap(HugeArray& other) noexcept {
    std::swap(size_, other.size_);
    std::swap(bytes_, other.bytes_);
    std::swap(mapped_, other.mapped_);
    std::swap(memory_, other.memory_);
    std::swap(data_, other.data_);
  }

  size_t size() const { return size_; }
  T& operator[](size_t index) { return data_[index]; }
  const T& operator[](size_t index) const { return data_[index]; }
  T* begin() { return data_; }
  T* end() { return data_ + size_; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  static constexpr size_t kHugePage = size_t{2} << 20;

  size_t size_ = 0;
  size_t bytes_ = 0;
  size_t mapped_ = 0;
  void* memory_ = nullptr;
  T* data_ = nullptr;
};

}  // namespace tcp_sniffer
