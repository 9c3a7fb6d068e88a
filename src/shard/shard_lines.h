#pragma once

#include <cstdint>

#include "core/base/counters.h"
#include "core/base/histogram.h"
#include "core/line/message_line.h"
#include "core/message/body_sink.h"
#include "core/message/content_decoder.h"
#include "core/message/message_output.h"
#include "core/redaction/message_redactor.h"
#include "shard/line_output.h"

namespace tcp_sniffer {

// What is done with bodies beside writing them into lines.
struct BodySettings {
  bool decode = false;          // decodeBodies
  uint64_t decoded_max = 0;     // maxBodySize
  BodySink* extract = nullptr;  // extractDir: gets every response; outlives the shard
};

// Finished messages: bodies decoded, secrets hidden, bodies handed to the extraction, then lines in
// the shard's line output. Part of its shard: same thread, same lifetime.
class ShardLines final : public MessageOutput {
 public:
  // Pool, output and counters outlive it.
  ShardLines(const LineOptions& options, bool number_frames, const BodySettings& bodies,
             const RedactionRules& redaction, BufferPool& pool, LineOutput& output,
             ShardCounters& counters);

  void on_message(const Message& message) override;
  void on_unanswered(const Message& as_sent) override;

  // Gives back the memory that is kept from one message to the next.
  void release_memory() { decoder_.release(); }

  // `latencyMs` of the responses that went to the output.
  const Histogram& latencies() const { return latencies_; }
  void publish() { latencies_.publish(); }

 private:
  void with_body(Message message);
  void decode(Message& message);
  size_t size_bound(const Message& message) const;
  void write(const Message& message);
  void write_up_to(size_t bound, const Message& message);
  void write_long(Message message);
  void cut_body(Message& message);
  void end_line(const Message& message);
  void drop();

  MessageLineWriter writer_;
  const bool number_frames_;
  const BodySettings bodies_;
  const bool plain_;  // messages are written as they come
  BufferPool& pool_;
  ContentDecoder decoder_;
  const bool redacts_;
  MessageRedactor redactor_;
  LineOutput& output_;
  ShardCounters& counters_;
  Histogram latencies_;
};

}  // namespace tcp_sniffer
