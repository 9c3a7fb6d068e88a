#pragma once

#include <blockingconcurrentqueue.h>

#include <new>

namespace tcp_sniffer {

// Constants of the queues between threads. The semaphore of the blocking queues spins before
// it sleeps; on machines with few cores the spinning thread keeps the other one from running, so
// the spin is cut to about a microsecond.
struct QueueTraits : public moodycamel::ConcurrentQueueDefaultTraits {
  static const int MAX_SEMA_SPINS = 64;
};

template <class Item>
using ThreadQueue = moodycamel::BlockingConcurrentQueue<Item, QueueTraits>;

// The queues return false when they get no memory. The item would be lost without a report, and a
// thread that waits for it would wait forever. Throws std::bad_alloc.
template <class Item>
void put_into(ThreadQueue<Item>& queue, Item item) {
  if (!queue.enqueue(item)) throw std::bad_alloc();
}
template <class Item>
void put_into(ThreadQueue<Item>& queue, moodycamel::ProducerToken& token, Item item) {
  if (!queue.enqueue(token, item)) throw std::bad_alloc();
}

}  // namespace tcp_sniffer
