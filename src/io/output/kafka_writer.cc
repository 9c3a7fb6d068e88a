#include "io/output/kafka_writer.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <exception>
#include <utility>

#include "core/base/number_text.h"
#include "shard/pin_thread.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// A note is what the writer has to know of a message when it is delivered: how many messages of the
// ledger it stands for, and how old it was when it was sent.
constexpr unsigned kMessagesBits = 24;
constexpr uint64_t kMessagesMax = (uint64_t{1} << kMessagesBits) - 1;
constexpr uint64_t kDelayMsMax = (uint64_t{1} << (64 - kMessagesBits)) - 1;

uint64_t make_note(uint64_t messages, uint64_t delay_ms) {
  return delay_ms << kMessagesBits | messages;
}

uint64_t messages_of(uint64_t note) {
  return note & kMessagesMax;
}

int64_t delay_ns_of(uint64_t note) {
  return static_cast<int64_t>(note >> kMessagesBits) * 1'000'000;
}

uint64_t delay_ms_of(const LineBlock& block) {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const int64_t delay_ns = std::chrono::duration_cast<nanoseconds>(now).count() - block.oldest_ns;
  return std::min(static_cast<uint64_t>(std::max<int64_t>(delay_ns, 0)) / 1'000'000, kDelayMsMax);
}

}  // namespace

KafkaWriter::KafkaWriter(Settings settings, LineQueue& queue)
    : OutputThread(queue), settings_(std::move(settings)) {}

KafkaWriter::~KafkaWriter() {
  if (!thread_.joinable()) return;
  if (!done()) {
    abort();
    end_of_input();
  }
  thread_.join();
}

std::optional<Problem> KafkaWriter::open() {
  KafkaClient::Listener listener;
  listener.on_delivery = [this](const KafkaDelivery& delivery) { on_delivery(delivery); };
  listener.on_error = [this](const KafkaError& error, bool fatal) { on_error(error, fatal); };
  listener.on_log = [this](std::string_view line) { listener_.on_log(line); };
  listener.on_statistics = [this](std::string_view json) { on_statistics(json); };
  auto made = KafkaClient::make(settings_.kafka, std::move(listener));
  if (auto* problem = std::get_if<Problem>(&made)) return std::move(*problem);
  client_ = std::move(std::get<std::unique_ptr<KafkaClient>>(made));
  return {};
}

std::variant<uint32_t, Problem> KafkaWriter::look_at(const KafkaSettings& settings) {
  auto made = KafkaClient::make(settings, {});
  if (auto* problem = std::get_if<Problem>(&made)) return std::move(*problem);
  return std::get<std::unique_ptr<KafkaClient>>(made)->partitions(kLookMs);
}

void KafkaWriter::start(Listener listener) {
  listener_ = std::move(listener);
  thread_ = start_thread("writer", [this] { run(); });
  pin_thread(thread_.native_handle(), settings_.cpu);
}

KafkaWriter::Counts KafkaWriter::counts() const {
  return {.queued = queued_.load(std::memory_order_relaxed),
          .acknowledged = written(),
          .failed = failed_.load(std::memory_order_relaxed),
          .retried = retried_.load(std::memory_order_relaxed),
          .errors = errors_.load(std::memory_order_relaxed),
          .readings = readings_.load(std::memory_order_relaxed)};
}

void KafkaWriter::run() {
  sigset_t all;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, nullptr);
  try {
    write_queue();
    finish();
  } catch (const std::exception& error) {
    listener_.on_fault(error.what());
    discard_queue();
  }
  done_.store(true, std::memory_order_release);
  listener_.on_end();
}

// After a fault, so that no thread waits for blocks.
void KafkaWriter::discard_queue() noexcept {
  abort();
  try {
    write_queue();
    finish();
  } catch (const std::exception& error) {
    listener_.on_fault(error.what());  // the process is left without this thread
  }
}

void KafkaWriter::write_queue() {
  while (LineBlock* block = next_block()) {
    write_block(*block);
    block->owner->give_back(block);
    look(0);
  }
}

// nullptr: the end. Deliveries are taken meanwhile.
LineBlock* KafkaWriter::next_block() {
  for (;;) {
    LineBlock* block = nullptr;
    pulse_.beat();
    if (!queue_.try_dequeue(block)) {
      // The end marker has no order relative to the blocks of other producers: the queue must be
      // empty after it.
      if (input_ended_) return nullptr;
      const bool waits = queued_.load(std::memory_order_relaxed) > 0;
      if (!queue_.wait_dequeue_timed(block, waits ? kLookUs : kIdleUs)) {
        look(0);
        continue;
      }
    }
    if (block != nullptr) return block;
    input_ended_ = true;
  }
}

void KafkaWriter::write_block(const LineBlock& block) {
  const uint64_t delay_ms = delay_ms_of(block);
  std::string_view rest(block.data, block.used);
  for (const LineMark& mark : block.marks) {
    send_line(mark, rest.substr(0, mark.size), delay_ms);
    rest.remove_prefix(mark.size);
  }
  delays_.publish();
}

// One line nearly always.
void KafkaWriter::send_line(const LineMark& mark, std::string_view line, uint64_t delay_ms) {
  const size_t first = mark.messages > 1 ? first_message(line, settings_.framing) : line.size();
  if (first == line.size()) return send(mark.connection_id, line, mark.messages, delay_ms);
  while (!line.empty()) {
    const size_t size = first_message(line, settings_.framing);
    send(mark.connection_id, line.substr(0, size), 1, delay_ms);
    line.remove_prefix(size);
  }
}

void KafkaWriter::send(uint64_t connection_id, std::string_view value, uint64_t messages,
                       uint64_t delay_ms) {
  if (settings_.framing == MessageFraming::kLines && value.ends_with('\n')) value.remove_suffix(1);
  std::array<char, 16> id;
  write_hex16(id.data(), connection_id);
  KafkaError error;
  while (!ended()) {
    switch (client_->send({id.data(), id.size()}, value, make_note(messages, delay_ms), error)) {
      case KafkaClient::Sent::kYes:
        if (lines_sent_++ == 0) first_sent_ = std::chrono::steady_clock::now();
        add(queued_, messages);
        return;
      case KafkaClient::Sent::kFull:
      case KafkaClient::Sent::kEnded:
        pulse_.beat();
        look(kWaitMs);
        continue;
      case KafkaClient::Sent::kRejected:
        add(failed_, messages);
        note_failed(error, messages);
        return discard(messages);
    }
  }
  discard(messages);
}

// Waits until everything has been delivered, or the run is aborted.
void KafkaWriter::finish() {
  while (client_->waiting() > 0 && !ended()) {
    pulse_.beat();
    client_->flush(kWaitMs);
    react();
  }
  if (client_->waiting() > 0) {
    give_up();
  } else {
    // The statistics that count the last retry.
    const uint64_t before = statistics_.readings();
    const auto deadline =
        std::chrono::steady_clock::now() + milliseconds(2 * KafkaClient::kStatisticsMs);
    while (statistics_.readings() == before && !ended() &&
           std::chrono::steady_clock::now() < deadline) {
      client_->poll(10);
    }
  }
  delays_.publish();
  report_failed(true);
}

// Takes deliveries, after waiting for them for `wait_ms` at most.
void KafkaWriter::look(int wait_ms) {
  client_->poll(wait_ms);
  react();
}

// To what the client has told.
void KafkaWriter::react() {
  report_failed();
  if (fatal_ && !ended()) [[unlikely]]
    replace_client();
  if (!is_answered_) [[unlikely]]
    judge_silence();
}

void KafkaWriter::judge_silence() {
  if (lines_sent_ == 0 || settings_.connect_timeout.count() == 0 || ended()) return;
  if (std::chrono::steady_clock::now() - first_sent_ < settings_.connect_timeout) return;
  const KafkaError& last = client_->last_error();
  fail({ErrorCode::kOutputFailed,
        "topic " + settings_.kafka.target.topic + " at " + settings_.kafka.target.brokers +
            " cannot be written: ",
        "no broker has answered for " + std::to_string(settings_.connect_timeout.count()) +
            " ms (kafkaConnectTimeoutMs)" +
            (last.name.empty() ? "" : "; at last: " + last.words + " (" + last.name + ")")});
}

// What waits has no way to the brokers any more, because the numbers by which they know it again
// are the old producer's.
void KafkaWriter::replace_client() {
  const KafkaError cause = *std::exchange(fatal_, std::nullopt);
  if (is_proven_) {
    listener_.on_error(cause);
    const uint64_t lost = give_up();
    if (lost > 0) {
      add(failed_, lost);
      note_failed(cause, lost);
    }
    pulse_.beat();
    if (auto problem = open()) return fail(std::move(*problem));
    retried_before_ = retried_.load(std::memory_order_relaxed);
    lines_sent_ = lines_unsent_ = given_up_ = 0;
    statistics_ = {};
    is_proven_ = lacks_topic_ = false;
    fatal_.reset();
    return;
  }
  fail({ErrorCode::kOutputFailed, "topic " + settings_.kafka.target.topic + " cannot be written: ",
        cause.words + " (" + cause.name + ")"});
}

// What the client has not delivered is discarded. Returns how many messages that are.
uint64_t KafkaWriter::give_up() {
  client_->give_up();
  const auto deadline = std::chrono::steady_clock::now() + kGiveUpPatience;
  while (client_->waiting() > 0 && std::chrono::steady_clock::now() < deadline) client_->poll(10);
  // Of which the library has reported nothing.
  const uint64_t untold = queued_.exchange(0, std::memory_order_relaxed);
  discard(untold);
  return given_up_ + untold;
}

void KafkaWriter::fail(Problem problem) {
  problem_ = std::move(problem);
  end_.store(End::kFailed, std::memory_order_release);
  listener_.on_end();
}

void KafkaWriter::on_delivery(const KafkaDelivery& delivery) {
  const uint64_t messages = messages_of(delivery.note);
  add(queued_, uint64_t{0} - messages);
  is_answered_ = true;
  if (delivery.error.name.empty()) {
    is_proven_ = true;
    add(written_, messages);
    add(bytes_, delivery.size);
    if (messages > 0) delays_.add(delay_ns_of(delivery.note) + delivery.took_us * 1000, messages);
    return;
  }
  if (!delivery.was_sent) lines_unsent_++;
  discard(messages);
  // At the end it is reported with everything else that was not taken in time.
  if (delivery.given_up) {
    given_up_ += messages;
    return;
  }
  add(failed_, messages);
  note_failed(delivery.error, messages);
}

void KafkaWriter::on_error(const KafkaError& error, bool fatal) {
  add(errors_, 1);
  if (!fatal) return listener_.on_error(error);
  fatal_ = error;  // the client is at work now
}

void KafkaWriter::on_statistics(std::string_view json) {
  for (const KafkaChange& change : statistics_.read(json)) listener_.on_change(change);
  add(readings_, 1);
  // It fails only after half a minute.
  const bool lacked_topic = std::exchange(lacks_topic_, statistics_.lacks_topic());
  if (lacks_topic_ && !lacked_topic) on_error(client_->unknown_topic(), false);
  const uint64_t once = lines_sent_ - lines_unsent_;
  const uint64_t again = statistics_.sent() - std::min(statistics_.sent(), once);
  const uint64_t retried = retried_before_ + again;
  if (retried > retried_.load(std::memory_order_relaxed)) {
    retried_.store(retried, std::memory_order_relaxed);
  }
}

void KafkaWriter::note_failed(const KafkaError& error, uint64_t messages) {
  auto& [first, count] = failures_[error.name];
  if (count == 0) first = error;
  count += messages;
}

// At most every second, so that a flood of them is few events with all of them.
void KafkaWriter::report_failed(bool at_the_end) {
  if (failures_.empty()) [[likely]]
    return;
  const auto now = std::chrono::steady_clock::now();
  if (now < next_report_ && !at_the_end) return;
  next_report_ = now + milliseconds(1000);
  for (const auto& [name, failure] : failures_) listener_.on_failed(failure.first, failure.second);
  failures_.clear();
}

}  // namespace tcp_sniffer
