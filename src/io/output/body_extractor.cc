#include "io/output/body_extractor.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <exception>
#include <new>
#include <type_traits>
#include <utility>

#include "core/base/large_memory.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {

BodyExtractor::~BodyExtractor() {
  if (thread_.joinable()) {
    abort();
    end_of_input();
    thread_.join();
  }
  Body* body = nullptr;
  while (queue_.try_dequeue(body)) Body::free(body);
  if (directory_ >= 0) close(directory_);
}

std::optional<Problem> BodyExtractor::open() {
  directory_ = ::open(settings_.directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const bool usable = directory_ >= 0 && faccessat(directory_, ".", W_OK | X_OK, AT_EACCESS) == 0;
  if (usable) return {};
  return Problem{ErrorCode::kOutputFailed,
                 "extractDir: cannot write files into " + settings_.directory + ": ",
                 std::strerror(errno)};
}

void BodyExtractor::start(OnError on_error, OnFault on_fault) {
  on_error_ = std::move(on_error);
  on_fault_ = std::move(on_fault);
  thread_ = start_thread("extract", [this] { run(); });
}

// ---------------------------------------------------------------- shards

void BodyExtractor::put(const Message& message) {
  if (message.body.empty()) return;
  if (!settings_.write_incomplete && body_is_incomplete(message)) return add(incomplete_);
  const size_t size = message.body.size();
  // Known before the body is copied: what is written only grows.
  if (exceeds_limits(size)) return add(limited_);
  const size_t memory = memory_of(size);
  if (memory > settings_.queue_bytes_max) return write_body(BodyFileName(message), message.body);
  if (!take_room(memory)) return add(dropped_);
  Body* body = Body::make(message);
  if (body != nullptr && queue_.enqueue(body)) return;
  Body::free(body);
  give_room(memory);
  add(dropped_);
}

// nullptr: the system has no memory.
BodyExtractor::Body* BodyExtractor::Body::make(const Message& message) {
  static_assert(std::is_trivially_destructible_v<Body>);
  void* memory = take_memory(sizeof(Body) + message.body.size());
  if (memory == nullptr) return nullptr;
  auto* body = new (memory) Body{BodyFileName(message), message.body.size()};
  std::memcpy(body->data(), message.body.data(), body->size);
  return body;
}

void BodyExtractor::Body::free(Body* body) {
  if (body != nullptr) give_memory_back(body, sizeof(Body) + body->size);
}

bool BodyExtractor::exceeds_limits(size_t size) {
  const bool files = files_.load(std::memory_order_relaxed) >= settings_.files_max;
  const bool bytes = bytes_.load(std::memory_order_relaxed) + size > settings_.bytes_max;
  if (files) files_max_reached_.store(true, std::memory_order_relaxed);
  if (bytes) bytes_max_reached_.store(true, std::memory_order_relaxed);
  return files || bytes;
}

bool BodyExtractor::take_room(size_t size) {
  uint64_t waiting = waiting_bytes_.load(std::memory_order_acquire);
  for (;;) {
    if ((waiting & kAborted) != 0) return false;
    if (waiting + size <= settings_.queue_bytes_max) {
      if (waiting_bytes_.compare_exchange_weak(waiting, waiting + size,
                                               std::memory_order_acq_rel)) {
        return true;
      }
      continue;
    }
    if (!settings_.may_wait) return false;
    waiters_.fetch_add(1, std::memory_order_relaxed);
    waiting_bytes_.wait(waiting, std::memory_order_acquire);
    waiters_.fetch_sub(1, std::memory_order_relaxed);
    waiting = waiting_bytes_.load(std::memory_order_acquire);
  }
}

void BodyExtractor::give_room(size_t size) {
  waiting_bytes_.fetch_sub(size, std::memory_order_release);
  waiting_bytes_.notify_all();
}

void BodyExtractor::end_of_input() {
  put_into<Body*>(queue_, nullptr);
}

void BodyExtractor::abort() {
  waiting_bytes_.fetch_or(kAborted, std::memory_order_release);
  waiting_bytes_.notify_all();
}

BodyExtractor::Counts BodyExtractor::counts() const {
  const auto value = [](const Counter& counter) { return counter.load(std::memory_order_relaxed); };
  return {value(files_),   value(bytes_),   value(incomplete_),
          value(limited_), value(dropped_), value(errors_)};
}

// ---------------------------------------------------------------- the thread

void BodyExtractor::run() {
  try {
    take_all();
  } catch (const std::exception& error) {
    on_fault_(error.what());
    abort();
    take_all();  // now it leaves out what comes, and takes no memory
  }
  done_.store(true, std::memory_order_release);
}

void BodyExtractor::take_all() {
  for (;;) {
    Body* next = nullptr;
    pulse_.beat();
    if (!queue_.try_dequeue(next)) {
      // The queue keeps the order of one producer only: bodies may come after the end's mark.
      if (input_ended_) return;
      if (!queue_.wait_dequeue_timed(next, kPulse)) continue;
    }
    if (next == nullptr) {
      input_ended_ = true;
    } else {
      take(next);
    }
  }
}

void BodyExtractor::take(Body* body) {
  write_body(body->name, body->bytes());
  const size_t memory = memory_of(body->size);
  Body::free(body);
  give_room(memory);
}

void BodyExtractor::write_body(const BodyFileName& file, std::string_view bytes) {
  if ((waiting_bytes_.load(std::memory_order_acquire) & kAborted) != 0) return add(dropped_);
  const std::lock_guard lock(writing_);
  if (exceeds_limits(bytes.size())) return add(limited_);
  std::string name(file.view());
  const int fd = make_file(file, name);
  if (fd < 0) return failed(name, errno);
  int error = write_all(fd, bytes) ? 0 : errno;
  if (close(fd) != 0 && error == 0) error = errno;
  if (error != 0) {
    unlinkat(directory_, name.c_str(), 0);
    return failed(name, error);
  }
  add(files_);
  add(bytes_, bytes.size());
}

int BodyExtractor::make_file(const BodyFileName& file, std::string& name) {
  for (int i = 1;; i++) {
    const int fd = openat(directory_, name.c_str(),
                          O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd >= 0 || errno != EEXIST || !file.by_time() || i == kSameTimeMax) return fd;
    name = std::string(file.view());
    name.insert(name.find('.'), "-" + std::to_string(i));
  }
}

bool BodyExtractor::write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written >= 0) {
      bytes.remove_prefix(static_cast<size_t>(written));
    } else if (errno != EINTR) {
      return false;
    }
  }
  return true;
}

void BodyExtractor::failed(const std::string& name, int error) {
  add(errors_);
  if (on_error_) on_error_(name, std::strerror(error));
}

}  // namespace tcp_sniffer
