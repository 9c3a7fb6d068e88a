#include "io/run/capture_thread.h"

#include <exception>
#include <utility>

#include "shard/pin_thread.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

void CaptureThread::start(Work work, int cpu) {
  work_ = std::move(work);
  thread_ = start_thread("capture", [this] { run(); });
  pin_thread(thread_.native_handle(), cpu);
}

void CaptureThread::run() noexcept {
  try {
    failed_ = !work_.run();
  } catch (const std::exception& error) {
    work_.on_fault(error.what());
    try {
      work_.end_after_fault();
    } catch (const std::exception& again) {
      work_.on_fault(again.what());  // the process is left without the shards
    }
  }
  done_.store(true, std::memory_order_release);
  work_.on_end();
}

}  // namespace tcp_sniffer
