#pragma once

#include <librdkafka/rdkafka.h>

#include <string>

// Every function of librdkafka that is called.
#define TCP_SNIFFER_KAFKA_FUNCTIONS(X) \
  X(rd_kafka_conf_destroy)             \
  X(rd_kafka_conf_new)                 \
  X(rd_kafka_conf_set)                 \
  X(rd_kafka_conf_set_dr_msg_cb)       \
  X(rd_kafka_conf_set_error_cb)        \
  X(rd_kafka_conf_set_log_cb)          \
  X(rd_kafka_conf_set_opaque)          \
  X(rd_kafka_conf_set_stats_cb)        \
  X(rd_kafka_destroy)                  \
  X(rd_kafka_err2name)                 \
  X(rd_kafka_err2str)                  \
  X(rd_kafka_error_code)               \
  X(rd_kafka_error_destroy)            \
  X(rd_kafka_fatal_error)              \
  X(rd_kafka_flush)                    \
  X(rd_kafka_header_add)               \
  X(rd_kafka_headers_copy)             \
  X(rd_kafka_headers_destroy)          \
  X(rd_kafka_headers_new)              \
  X(rd_kafka_last_error)               \
  X(rd_kafka_message_detach_headers)   \
  X(rd_kafka_message_latency)          \
  X(rd_kafka_message_status)           \
  X(rd_kafka_metadata)                 \
  X(rd_kafka_metadata_destroy)         \
  X(rd_kafka_new)                      \
  X(rd_kafka_opaque)                   \
  X(rd_kafka_outq_len)                 \
  X(rd_kafka_poll)                     \
  X(rd_kafka_produceva)                \
  X(rd_kafka_purge)                    \
  X(rd_kafka_set_log_queue)            \
  X(rd_kafka_topic_destroy)            \
  X(rd_kafka_topic_new)                \
  X(rd_kafka_version_str)

namespace tcp_sniffer {

// librdkafka, which is loaded when a run first needs it: with OpenSSL and the other libraries that
// it is linked with, loading takes longer than all else that a start does, and most runs write no
// message to Kafka. So the program is not linked with it, and calls it through this table.
struct KafkaLibrary {
// A declared name has no parentheses.
// NOLINTNEXTLINE(bugprone-macro-parentheses)
#define TCP_SNIFFER_KAFKA_MEMBER(name) decltype(&::name) name = nullptr;
  TCP_SNIFFER_KAFKA_FUNCTIONS(TCP_SNIFFER_KAFKA_MEMBER)
#undef TCP_SNIFFER_KAFKA_MEMBER
};

// Loads the library at the first call; it stays until the process ends. nullptr: it cannot be
// loaded. Any thread.
const KafkaLibrary* kafka_library();
// Why it cannot be loaded, and in which package it is. Empty: it is loaded.
const std::string& fault_of_kafka_library();

}  // namespace tcp_sniffer
