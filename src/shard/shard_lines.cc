#include "shard/shard_lines.h"

namespace tcp_sniffer {

void ShardLines::on_message(const HttpMessage& message) {
  if (!output_.begin_line()) {
    counters_.add(output_.abandoned() ? ShardCounter::messages_discarded
                                      : ShardCounter::messages_dropped_overload);
    return;
  }
  if (number_frames_) {
    writer_.write(message, output_);
  } else {
    HttpMessage unnumbered = message;
    unnumbered.first_frame = unnumbered.last_frame = 0;
    writer_.write(unnumbered, output_);
  }
  output_.end_line(1, message.last_byte_ns);
  counters_.add(ShardCounter::messages_written);
  if (message.has_latency) latencies_.add(message.latency_ns);
}

void ShardLines::on_unanswered(const HttpMessage& request) {
  if (!output_.begin_line()) return;
  writer_.write_unanswered(request, output_);
  output_.end_line(0, request.first_byte_ns);
}

}  // namespace tcp_sniffer
