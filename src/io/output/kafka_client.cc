#include "io/output/kafka_client.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <condition_variable>
#include <limits>
#include <memory>
#include <mutex>
#include <utility>

#include "io/base/kafka_library.h"
#include "io/base/printable.h"
#include "io/base/version.h"
#include "shard/start_thread.h"

namespace tcp_sniffer {
namespace {

struct Setting {
  const char* name;
  std::string value;
};

// The program's own, which the user's properties may change.
std::vector<Setting> defaults() {
  return {
      {"client.id", "tcp-sniffer"},
      {"enable.idempotence", "true"},
      {"acks", "all"},
      {"compression.codec", "zstd"},
      // Lines get as small with it as with zstd's own level 3, in less time.
      {"compression.level", "1"},
      // The same partition as the clients in other languages choose for the same key.
      {"partitioner", "murmur2_random"},
      {"linger.ms", std::to_string(KafkaClient::kLingerMs)},
      {"batch.num.messages", "20000"},
      // A message waits for as long as the brokers are away, as for any reader that pauses.
      {"message.timeout.ms", "0"},
  };
}

// What the user's properties may not change.
std::vector<Setting> rules_of(const KafkaSettings& settings) {
  const uint64_t half = settings.queue_bytes_max / 2;
  const uint64_t messages = std::clamp<uint64_t>(half / KafkaClient::kRecordBytes, 100, 10'000'000);
  const uint64_t kib = std::clamp<uint64_t>(half >> 10, 1, std::numeric_limits<int>::max());
  return {
      {"bootstrap.servers", settings.target.brokers},
      {"queue.buffering.max.messages", std::to_string(messages)},
      {"queue.buffering.max.kbytes", std::to_string(kib)},
      {"statistics.interval.ms", std::to_string(KafkaClient::kStatisticsMs)},
      {"log.queue", "true"},
  };
}

Problem cannot_be_made(std::string words) {
  return {ErrorCode::kInvalidConfig, "the producer for Kafka cannot be made: ", std::move(words)};
}

}  // namespace

// Called by the library within poll().
struct KafkaClient::Callbacks {
  static KafkaClient& client_of(void* opaque) { return *static_cast<KafkaClient*>(opaque); }

  static void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void* opaque) {
    KafkaClient& client = client_of(opaque);
    KafkaDelivery delivery{};
    delivery.note = reinterpret_cast<uintptr_t>(message->_private);
    delivery.size = message->len;
    delivery.took_us = client.library_.rd_kafka_message_latency(message);
    delivery.was_sent = true;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      const rd_kafka_msg_status_t status = client.library_.rd_kafka_message_status(message);
      // rd_kafka_message_errstr would give the message itself.
      delivery.error = client.error_of(message->err, nullptr);
      delivery.given_up = message->err == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
                          message->err == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT;
      delivery.may_be_written = status != RD_KAFKA_MSG_STATUS_NOT_PERSISTED;
      // The library's own errors have negative numbers.
      delivery.was_sent = delivery.may_be_written || message->err > 0;
    }
    client.listener_.on_delivery(delivery);
    rd_kafka_headers_t* headers = nullptr;
    if (client.library_.rd_kafka_message_detach_headers(const_cast<rd_kafka_message_t*>(message),
                                                        &headers) == RD_KAFKA_RESP_ERR_NO_ERROR) {
      client.keep_headers(headers);
    }
  }

  static void on_error(rd_kafka_t* handle, int code, const char* words, void* opaque) {
    KafkaClient& client = *static_cast<KafkaClient*>(opaque);
    if (code != RD_KAFKA_RESP_ERR__FATAL) {
      const KafkaError error = client.error_of(code, words);
      if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN) {
        client.all_brokers_down_ = true;
      } else {
        client.last_error_ = error;
      }
      return client.listener_.on_error(error, false);
    }
    char reason[512] = "";
    const rd_kafka_resp_err_t cause =
        client.library_.rd_kafka_fatal_error(handle, reason, sizeof(reason));
    client.listener_.on_error(client.error_of(cause, reason), true);
  }

  static void on_log(const rd_kafka_t* handle, int, const char* facility, const char* words) {
    const KafkaClient& client = client_of(kafka_library()->rd_kafka_opaque(handle));
    const std::string line = std::string(facility) + ": " + words;
    client.listener_.on_log(without_secrets(line, client.settings_.properties));
  }

  static int on_statistics(rd_kafka_t*, char* json, size_t size, void* opaque) {
    client_of(opaque).listener_.on_statistics({json, size});
    return 0;  // the library frees it
  }
};

KafkaClient::KafkaClient(const KafkaLibrary& library, const KafkaSettings& settings,
                         Listener listener)
    : library_(library), settings_(settings), listener_(std::move(listener)) {}

std::variant<std::unique_ptr<KafkaClient>, Problem> KafkaClient::make(const KafkaSettings& settings,
                                                                      Listener listener) {
  const KafkaLibrary* const library = kafka_library();
  if (library == nullptr) return cannot_be_made(fault_of_kafka_library());
  std::unique_ptr<KafkaClient> client(new KafkaClient(*library, settings, std::move(listener)));
  std::unique_ptr<rd_kafka_conf_t, decltype(&rd_kafka_conf_destroy)> conf(
      library->rd_kafka_conf_new(), library->rd_kafka_conf_destroy);
  char words[512] = "";
  const auto set = [&](const char* name, const std::string& value) {
    return library->rd_kafka_conf_set(conf.get(), name, value.c_str(), words, sizeof(words)) ==
           RD_KAFKA_CONF_OK;
  };
  const auto refused = [&](std::string_view name) {
    return cannot_be_made(std::string(name) + ": " +
                          printable(without_secrets(words, settings.properties)));
  };
  for (const Setting& setting : defaults()) {
    if (!set(setting.name, setting.value)) return refused(setting.name);
  }
  for (const KafkaProperty& property : settings.properties) {
    if (!set(property.name.c_str(), property.value)) return refused(property.name);
  }
  for (const Setting& setting : rules_of(settings)) {
    if (!set(setting.name, setting.value)) return refused(setting.name);
  }
  library->rd_kafka_conf_set_opaque(conf.get(), client.get());
  library->rd_kafka_conf_set_dr_msg_cb(conf.get(), Callbacks::on_delivery);
  library->rd_kafka_conf_set_error_cb(conf.get(), Callbacks::on_error);
  library->rd_kafka_conf_set_log_cb(conf.get(), Callbacks::on_log);
  library->rd_kafka_conf_set_stats_cb(conf.get(), Callbacks::on_statistics);
  client->handle_ = library->rd_kafka_new(RD_KAFKA_PRODUCER, conf.get(), words, sizeof(words));
  if (client->handle_ == nullptr) {
    return cannot_be_made(printable(without_secrets(words, settings.properties)));
  }
  static_cast<void>(conf.release());  // it is the producer's now
  library->rd_kafka_set_log_queue(client->handle_, nullptr);
  client->topic_ =
      library->rd_kafka_topic_new(client->handle_, settings.target.topic.c_str(), nullptr);
  if (client->topic_ == nullptr) {
    return cannot_be_made(library->rd_kafka_err2str(library->rd_kafka_last_error()));
  }
  client->headers_ = library->rd_kafka_headers_new(2);
  const std::string version = std::to_string(kSchemaVersion);
  library->rd_kafka_header_add(client->headers_, "schemaVersion", -1, version.data(),
                               static_cast<ssize_t>(version.size()));
  library->rd_kafka_header_add(client->headers_, "sensor", -1, settings.sensor.data(),
                               static_cast<ssize_t>(settings.sensor.size()));
  return client;
}

KafkaClient::~KafkaClient() {
  for (rd_kafka_headers_t* const spare : spare_headers_) library_.rd_kafka_headers_destroy(spare);
  if (headers_ != nullptr) library_.rd_kafka_headers_destroy(headers_);
  if (topic_ != nullptr) library_.rd_kafka_topic_destroy(topic_);
  if (handle_ == nullptr) return;
  struct Ending {
    std::mutex mutex;
    std::condition_variable changed;
    bool done = false;
  };
  const auto ending = std::make_shared<Ending>();
  try {
    start_thread("kafka end", [ending, handle = handle_, destroy = library_.rd_kafka_destroy] {
      destroy(handle);
      const std::lock_guard lock(ending->mutex);
      ending->done = true;
      ending->changed.notify_all();
    }).detach();
  } catch (const std::exception&) {
    return;  // there is no thread for it: its memory is the process's
  }
  std::unique_lock lock(ending->mutex);
  ending->changed.wait_for(lock, std::chrono::milliseconds(kEndMs), [&] { return ending->done; });
}

KafkaError KafkaClient::error_of(int code, const char* words) const {
  const auto error = static_cast<rd_kafka_resp_err_t>(code);
  const std::string text = words == nullptr ? library_.rd_kafka_err2str(error) : words;
  return {library_.rd_kafka_err2name(error), without_secrets(text, settings_.properties)};
}

rd_kafka_headers_t* KafkaClient::take_headers() {
  if (spare_headers_.empty()) return library_.rd_kafka_headers_copy(headers_);
  rd_kafka_headers_t* const headers = spare_headers_.back();
  spare_headers_.pop_back();
  return headers;
}

void KafkaClient::keep_headers(rd_kafka_headers_t* headers) {
  if (spare_headers_.size() < kSpareHeadersMax) return spare_headers_.push_back(headers);
  library_.rd_kafka_headers_destroy(headers);
}

KafkaClient::Sent KafkaClient::send(std::string_view key, std::string_view value, uint64_t note,
                                    KafkaError& error) {
  rd_kafka_headers_t* const headers = take_headers();
  std::array<rd_kafka_vu_t, 6> parts = {};
  parts[0].vtype = RD_KAFKA_VTYPE_RKT;
  parts[0].u.rkt = topic_;
  parts[1].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
  parts[1].u.i = RD_KAFKA_MSG_F_COPY;
  parts[2].vtype = RD_KAFKA_VTYPE_KEY;
  parts[2].u.mem = {const_cast<char*>(key.data()), key.size()};
  parts[3].vtype = RD_KAFKA_VTYPE_VALUE;
  parts[3].u.mem = {const_cast<char*>(value.data()), value.size()};
  parts[4].vtype = RD_KAFKA_VTYPE_OPAQUE;
  parts[4].u.ptr =
      reinterpret_cast<void*>(static_cast<uintptr_t>(note));  // NOLINT(performance-no-int-to-ptr)
  parts[5].vtype = RD_KAFKA_VTYPE_HEADERS;
  parts[5].u.headers = headers;
  rd_kafka_error_t* const refused =
      library_.rd_kafka_produceva(handle_, parts.data(), parts.size());
  if (refused == nullptr) return Sent::kYes;
  const rd_kafka_resp_err_t result = library_.rd_kafka_error_code(refused);
  library_.rd_kafka_error_destroy(refused);
  keep_headers(headers);
  if (result == RD_KAFKA_RESP_ERR__QUEUE_FULL) return Sent::kFull;
  if (result == RD_KAFKA_RESP_ERR__FATAL) return Sent::kEnded;
  error = error_of(result, nullptr);
  return Sent::kRejected;
}

void KafkaClient::poll(int wait_ms) {
  library_.rd_kafka_poll(handle_, wait_ms);
}

void KafkaClient::flush(int wait_ms) {
  library_.rd_kafka_flush(handle_, wait_ms);
}

uint64_t KafkaClient::waiting() const {
  return static_cast<uint64_t>(std::max(library_.rd_kafka_outq_len(handle_), 0));
}

void KafkaClient::give_up() {
  library_.rd_kafka_purge(handle_, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
}

KafkaError KafkaClient::unknown_topic() const {
  constexpr rd_kafka_resp_err_t kError = RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
  return {library_.rd_kafka_err2name(kError), library_.rd_kafka_err2str(kError)};
}

std::variant<uint32_t, Problem> KafkaClient::partitions(int wait_ms) {
  using Clock = std::chrono::steady_clock;
  const std::string tried = "topic " + settings_.target.topic + " at " + settings_.target.brokers;
  const Clock::time_point deadline = Clock::now() + std::chrono::milliseconds(wait_ms);
  const rd_kafka_metadata_t* answer = nullptr;
  rd_kafka_resp_err_t result = RD_KAFKA_RESP_ERR__TRANSPORT;
  while (result != RD_KAFKA_RESP_ERR_NO_ERROR && Clock::now() < deadline) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    result = library_.rd_kafka_metadata(handle_, 0, topic_, &answer,
                                        std::clamp(static_cast<int>(left.count()), 1, 200));
    poll(result == RD_KAFKA_RESP_ERR_NO_ERROR ? 0 : 20);
    if (all_brokers_down_ || last_error_.name == "_AUTHENTICATION") break;
  }
  const auto failed = [&](const std::string& words) {
    return Problem{ErrorCode::kOutputFailed,
                   "output " + tried + " cannot be written: ", printable(words)};
  };
  if (result != RD_KAFKA_RESP_ERR_NO_ERROR) {
    return failed(last_error_.words.empty() ? library_.rd_kafka_err2str(result)
                                            : last_error_.words);
  }
  const std::unique_ptr<const rd_kafka_metadata_t, decltype(&rd_kafka_metadata_destroy)> owned(
      answer, library_.rd_kafka_metadata_destroy);
  if (answer->topic_cnt != 1) return failed("the brokers say nothing about this topic");
  const rd_kafka_metadata_topic_t& topic = answer->topics[0];
  if (topic.err != RD_KAFKA_RESP_ERR_NO_ERROR) return failed(library_.rd_kafka_err2str(topic.err));
  return static_cast<uint32_t>(topic.partition_cnt);
}

}  // namespace tcp_sniffer
