#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "io/base/kafka_target.h"
#include "io/base/problem.h"

struct rd_kafka_s;
struct rd_kafka_topic_s;
struct rd_kafka_headers_s;

namespace tcp_sniffer {

struct KafkaLibrary;

// How a producer for one topic is made.
struct KafkaSettings {
  KafkaTarget target;
  std::string sensor;                     // of the header `sensor`
  std::vector<KafkaProperty> properties;  // librdkafka's own, in the order in which they count
  uint64_t queue_bytes_max = 64u << 20;   // what waits may take, half of it for what it consists of
};

// librdkafka's view of what happened, in its words, without secrets.
struct KafkaError {
  std::string name;  // of the error, as in librdkafka: _TRANSPORT, MSG_SIZE_TOO_LARGE
  std::string words;
};

// One message's end.
struct KafkaDelivery {
  uint64_t note;        // that send() was given
  size_t size;          // of the value, in bytes
  int64_t took_us;      // since send()
  KafkaError error;     // name empty: the brokers have acknowledged it
  bool given_up;        // because of give_up()
  bool may_be_written;  // nobody knows; else it is not
  bool was_sent;        // to a broker
};

// A producer of librdkafka for one topic: idempotent, acknowledged by all replicas that are in
// sync, compressed, in batches. All functions are for one thread, which gets what happened from
// poll().
class KafkaClient {
 public:
  // What a message takes beside its bytes: librdkafka's own record of it, its key, its headers.
  static constexpr uint64_t kRecordBytes = 640;
  // A batch is sent when it is this old. Longer batches are compressed better, and a tenth of the
  // time that a person notices is added to the delay.
  static constexpr int kLingerMs = 20;
  // Copies of the headers that are kept for the next messages: as many as the largest batch of
  // small lines gives back at once. They take four megabytes.
  static constexpr size_t kSpareHeadersMax = 16384;

  struct Listener {
    std::function<void(const KafkaDelivery&)> on_delivery = [](const KafkaDelivery&) {};
    // Of a connection or of the cluster: the library tries again by itself. `fatal`: it does not,
    // and nothing more can be sent.
    std::function<void(const KafkaError&, bool fatal)> on_error = [](const KafkaError&, bool) {};
    // A line of the library's log.
    std::function<void(std::string_view line)> on_log = [](std::string_view) {};
    // Its statistics: a JSON object, every kStatisticsMs.
    std::function<void(std::string_view json)> on_statistics = [](std::string_view) {};
  };
  static constexpr int kStatisticsMs = 200;

  // Connects in the background: brokers that cannot be reached are no error here.
  static std::variant<std::unique_ptr<KafkaClient>, Problem> make(const KafkaSettings& settings,
                                                                  Listener listener);
  // Waits for the library's threads, for kEndMs at most: one of them may hang in the look-up of a
  // name.
  ~KafkaClient();
  KafkaClient(const KafkaClient&) = delete;
  KafkaClient& operator=(const KafkaClient&) = delete;
  static constexpr int kEndMs = 2000;

  // kFull: there is no room until messages were delivered. kRejected: this message is never taken;
  // `error` says why. kEnded: no message is, because of a fatal error, which poll() tells.
  enum class Sent : uint8_t { kYes, kFull, kRejected, kEnded };
  // Copies the message. `note` comes back with its delivery.
  Sent send(std::string_view key, std::string_view value, uint64_t note, KafkaError& error);
  // Calls the listener for what has happened, after waiting for it for `wait_ms` at most.
  void poll(int wait_ms);
  // The same, and what waits for others to share a batch is sent at once.
  void flush(int wait_ms);
  // Messages that were sent and not delivered yet.
  uint64_t waiting() const;
  // They fail: poll() delivers them.
  void give_up();

  // What the library reported last of a connection or of the cluster. Empty: nothing.
  const KafkaError& last_error() const { return last_error_; }
  // The error of a topic that is not there.
  KafkaError unknown_topic() const;
  // What the brokers say of the topic, which is not made by this. Waits for `wait_ms` at most.
  std::variant<uint32_t, Problem> partitions(int wait_ms);

 private:
  struct Callbacks;

  KafkaClient(const KafkaLibrary& library, const KafkaSettings& settings, Listener listener);
  KafkaError error_of(int code, const char* words) const;
  rd_kafka_headers_s* take_headers();
  void keep_headers(rd_kafka_headers_s* headers);

  const KafkaLibrary& library_;
  const KafkaSettings settings_;
  const Listener listener_;
  KafkaError last_error_;  // except that all brokers are down, which says less
  bool all_brokers_down_ = false;
  rd_kafka_s* handle_ = nullptr;
  rd_kafka_topic_s* topic_ = nullptr;
  rd_kafka_headers_s* headers_ = nullptr;           // what each message gets a copy of
  std::vector<rd_kafka_headers_s*> spare_headers_;  // copies of delivered messages, for others
};

}  // namespace tcp_sniffer
