#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "io/output/framing.h"
#include "io/output/kafka_client.h"
#include "io/output/kafka_statistics.h"
#include "io/output/output_thread.h"

namespace tcp_sniffer {

// The thread that gives finished lines to Kafka: each line, or packed record, is one message of the
// topic. Its key is the connection's id, so that a connection is in one partition and keeps its
// order; a line has no line feed.
//
// A message is written when the brokers have acknowledged it. The library's queue is bounded: when
// it is full, lines wait in their blocks, as for any reader that is too slow. What the brokers
// reject, and what is not acknowledged when the run is aborted, is discarded and counted.
//
// After a fatal error of the library a new producer takes the place of one that has had something
// acknowledged; what waited in the old one has failed. If nothing was acknowledged, a new one would
// fare no better, and the output fails.
//
// The blocks need their marks (LineBlock::marks).
class KafkaWriter final : public OutputThread {
 public:
  struct Settings {
    KafkaSettings kafka;
    MessageFraming framing = MessageFraming::kLines;
    int cpu = -1;  // the thread runs on it alone
    // How long messages wait for the first answer of a broker before the output fails. 0: for ever.
    std::chrono::milliseconds connect_timeout{0};
  };
  // How long look_at() waits for an answer of a broker.
  static constexpr int kLookMs = 5000;
  // How long the library may take to give its messages up.
  static constexpr std::chrono::milliseconds kGiveUpPatience{1000};

  // All are called on the writer's thread.
  struct Listener {
    // The output has ended by itself; and again when all is done.
    std::function<void()> on_end = [] {};
    // Something does not work, and is tried again.
    std::function<void(const KafkaError&)> on_error = [](const KafkaError&) {};
    // So many messages are lost, because they were rejected.
    std::function<void(const KafkaError&, uint64_t messages)> on_failed = [](const KafkaError&,
                                                                             uint64_t) {};
    std::function<void(const KafkaChange&)> on_change = [](const KafkaChange&) {};
    std::function<void(std::string_view line)> on_log = [](std::string_view) {};
    // An exception, which is memory that the system refused: what follows is discarded.
    std::function<void(const char* what)> on_fault = [](const char*) {};
  };

  KafkaWriter(Settings settings, LineQueue& queue);
  ~KafkaWriter() override;

  // Makes the producer. Nothing: it connects in the background, however long that takes.
  std::optional<Problem> open();
  void start(Listener listener);
  // What was sent is whole or not there, whatever the moment.
  bool between_messages() const override { return true; }

  // Figures in messages as the ledger counts them. Any thread.
  struct Counts {
    uint64_t queued = 0;  // given to the library, and not acknowledged or failed yet
    uint64_t acknowledged = 0;
    uint64_t failed = 0;   // rejected for good
    uint64_t retried = 0;  // lines that were sent again; while the run goes on, at least so many
    uint64_t errors = 0;   // reported by the library
    // Of the library's statistics, which tell what changes in the cluster; not in the ledger.
    uint64_t readings = 0;
  };
  Counts counts() const;

  // Connects as a run does, and asks for the topic. The number of its partitions, or why it cannot
  // be written.
  static std::variant<uint32_t, Problem> look_at(const KafkaSettings& settings);

 private:
  // While lines come, deliveries are looked at in between. Otherwise so often: a shard that waits
  // for a block waits as long.
  static constexpr int64_t kLookUs = 2000;
  static constexpr int64_t kIdleUs = 50'000;
  static constexpr int kWaitMs = 20;

  void run();
  void write_queue();
  void discard_queue() noexcept;
  LineBlock* next_block();
  void write_block(const LineBlock& block);
  void send_line(const LineMark& mark, std::string_view line, uint64_t delay_ms);
  void send(uint64_t connection_id, std::string_view value, uint64_t messages, uint64_t delay_ms);
  void discard(uint64_t messages) { add(discarded_, messages); }
  void finish();
  void look(int wait_ms);
  void react();
  void judge_silence();
  void replace_client();
  uint64_t give_up();
  void fail(Problem problem);
  void on_delivery(const KafkaDelivery& delivery);
  void on_error(const KafkaError& error, bool fatal);
  void on_statistics(std::string_view json);
  void note_failed(const KafkaError& error, uint64_t messages);
  void report_failed(bool at_the_end = false);

  const Settings settings_;
  Listener listener_;
  std::unique_ptr<KafkaClient> client_;
  KafkaStatistics statistics_;
  uint64_t lines_sent_ = 0;    // given to this client
  uint64_t lines_unsent_ = 0;  // of them, those that no broker was sent
  uint64_t given_up_ = 0;      // messages in this client's queue that were
  bool is_proven_ = false;     // this client has had a message acknowledged
  bool is_answered_ = false;   // any message has come to an end
  bool lacks_topic_ = false;
  std::optional<KafkaError> fatal_;  // this client's
  std::chrono::steady_clock::time_point
      first_sent_{};             // when a message was sent for the first time
  uint64_t retried_before_ = 0;  // by the clients before this one
  // Failed messages by the name of their error, since the last report.
  std::map<std::string, std::pair<KafkaError, uint64_t>> failures_;
  std::chrono::steady_clock::time_point next_report_{};
  std::atomic<uint64_t> queued_{0};
  std::atomic<uint64_t> failed_{0};
  std::atomic<uint64_t> retried_{0};
  std::atomic<uint64_t> errors_{0};
  std::atomic<uint64_t> readings_{0};
};

}  // namespace tcp_sniffer
