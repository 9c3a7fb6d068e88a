#pragma once

#include <concurrentqueue.h>

#include <atomic>
#include <cstddef>

#include "core/message/event_record.h"

namespace tcp_sniffer {

// The shards' events on their way to the control thread. Bounded: a record that finds no room is
// lost, and its shard counts it. `put` from any shard's thread, `take` from the control thread.
class EventQueue final : public EventSink {
 public:
  // More than the rate limit lets through in the time between two looks of the control thread.
  static constexpr size_t kRecordsMax = 4096;

  bool put(const EventRecord& record) override {
    // In a flood it is full most of the time: then no thread writes, and none waits for another's
    // cache line.
    if (size_.load(std::memory_order_relaxed) >= kRecordsMax) return false;
    if (size_.fetch_add(1, std::memory_order_relaxed) >= kRecordsMax) {
      size_.fetch_sub(1, std::memory_order_relaxed);
      return false;
    }
    if (queue_.enqueue(record)) return true;
    size_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }

  bool take(EventRecord& record) {
    if (!queue_.try_dequeue(record)) return false;
    size_.fetch_sub(1, std::memory_order_relaxed);
    return true;
  }

 private:
  moodycamel::ConcurrentQueue<EventRecord> queue_;
  std::atomic<size_t> size_{0};
};

}  // namespace tcp_sniffer
