#pragma once

#include "core/counters.h"
#include "core/histogram.h"
#include "core/message_line.h"
#include "core/message_output.h"
#include "shard/line_output.h"

namespace tcp_sniffer {

// Finished messages to lines, in the shard's line output. Part of its shard: same thread, same
// lifetime.
class ShardLines final : public MessageOutput {
 public:
  // Output and counters outlive it.
  ShardLines(const LineOptions& options, bool number_frames, LineOutput& output,
             ShardCounters& counters)
      : writer_(options), number_frames_(number_frames), output_(output), counters_(counters) {}

  void on_message(const HttpMessage& message) override;
  void on_unanswered(const HttpMessage& request) override;

  // `latencyMs` of the responses that went to the output.
  const Histogram& latencies() const { return latencies_; }
  void publish() { latencies_.publish(); }

 private:
  MessageLineWriter writer_;
  const bool number_frames_;
  LineOutput& output_;
  ShardCounters& counters_;
  Histogram latencies_;
};

}  // namespace tcp_sniffer
