#pragma once

#include <cstdint>
#include <memory>

#include "core/base/counters.h"
#include "core/base/histogram.h"
#include "core/line/message_line.h"
#include "core/message/body_sink.h"
#include "core/message/content_decoder.h"
#include "core/message/message_output.h"
#include "core/redaction/message_redactor.h"
#include "core/redaction/rules.h"
#include "shard/exchange_limit.h"
#include "shard/exchange_lines.h"
#include "shard/line_output.h"
#include "shard/line_room.h"
#include "shard/line_rules.h"

namespace tcp_sniffer {

// What is done with bodies beside writing them into lines.
struct BodySettings {
  bool decode = false;          // decodeBodies
  uint64_t decoded_max = 0;     // maxBodySize
  BodySink* extract = nullptr;  // extractDir: gets every response; outlives the shard
};

// What finished messages meet from now on (ShardLines::change). Made by any thread.
struct LineChange {
  LineChange(const LineOptions& options, const BodySettings& new_bodies,
             const RedactionRules& redaction, const ChoiceRules& choice, BufferPool& pool)
      : bodies(new_bodies),
        redacts(redaction.any()),
        redactor(std::make_unique<MessageRedactor>(redaction, pool)),
        rules(std::make_unique<LineRules>(options, choice)) {}

  BodySettings bodies;
  bool redacts;
  std::unique_ptr<MessageRedactor> redactor;
  std::unique_ptr<LineRules> rules;
};

// Finished messages: bodies decoded, secrets hidden, what is not wanted left out, bodies handed to
// the extraction, then lines in the shard's line output, each by itself or joined to exchanges.
// Part of its shard: same thread, same lifetime.
class ShardLines final : public MessageOutput {
 public:
  // Pool, output, counters and limit outlive it. `limit`: nullptr without `count`.
  ShardLines(const LineOptions& options, bool number_frames, const BodySettings& bodies,
             const RedactionRules& redaction, const ChoiceRules& choice, ExchangeLimit* limit,
             BufferPool& pool, LineOutput& output, ShardCounters& counters);

  // Between two messages. Of the lines' options only `select` may differ. What is hidden is so in
  // every text that is made from here on, also in one for an exchange that has begun.
  void change(LineChange& change, int64_t clock_ns);

  void on_message(const Message& message, ConnectionIdentity& connection) override;
  bool may_split(const Message& head) const override;
  PartTaken on_part(const Message& as_sent, ConnectionIdentity& connection) override;
  void on_unanswered(const Message& as_sent, ConnectionIdentity& connection,
                     Orphan orphan) override;
  void on_orphan(ConnectionIdentity& connection, uint64_t exchange, Orphan orphan) override;
  void on_connection_over(ConnectionIdentity& connection, Incomplete cause) override;

  // Memory is short: what waits for other messages gives way until a quarter is free.
  void make_room() { exchanges_.make_room(); }
  // Gives back the memory that is kept from one message to the next.
  void release_memory() {
    decoder_.release();
    redactor_->release_body();
  }

  // `latencyMs` of the responses that went to the output.
  const Histogram& latencies() const { return latencies_; }
  // Of the exchanges that were shown to people; nullptr: none are taken.
  const ExchangeNotes* notes() const { return writer_->notes(); }
  void publish() { latencies_.publish(); }

 private:
  void choose_ways();
  void with_body(const Message& as_sent, ConnectionIdentity& connection);
  void deliver(const Message& message, ConnectionIdentity& connection);
  void extract(const Message& message, const Message& as_sent);
  void decode(Message& message);
  void redact(Message& message);
  static void withhold_part(Message& part);
  void write(const Message& message);
  bool admits(const Message& message);
  bool admits_part(const Message& part);

  MessageLineWriter* writer_ = nullptr;  // of the rules
  const bool number_frames_;
  BodySettings bodies_;
  const bool by_exchange_;  // LineOptions
  bool as_sent_ = false;    // with their bodies and frames, nothing decoded or hidden
  bool plain_ = false;      // and each is written as it comes
  ContentDecoder decoder_;
  bool redacts_;
  std::unique_ptr<MessageRedactor> redactor_;
  ExchangeLimit* const limit_;
  LineOutput& output_;
  ShardCounters& counters_;
  Histogram latencies_;
  LineRoom room_;
  ExchangeLines exchanges_;
  // Whether there is a choice among exchanges, and whether it is made before bodies are decoded.
  bool chooses_ = false;
  bool chooses_first_ = false;
  bool has_earlier_rules_ = false;  // when the ways were chosen
};

}  // namespace tcp_sniffer
