#pragma once

#include <cstddef>

#include "core/base/buffer_pool.h"
#include "core/base/counters.h"
#include "core/base/limits.h"
#include "core/line/message_line.h"
#include "core/message/message.h"
#include "core/redaction/message_redactor.h"
#include "shard/line_output.h"

namespace tcp_sniffer {

// Room for lines in the shard's output, also when memory is short: then the lines before are waited
// for, and if that is not enough, a message loses as much of its body as there is no memory for.
// Part of its shard: same thread, same lifetime.
class LineRoom {
 public:
  LineRoom(BufferPool& pool, LineOutput& output, ShardCounters& counters)
      : pool_(pool), output_(output), counters_(counters) {}

  // Called before anything else, and again when one of the two is replaced. `redactor` has redacted
  // the messages that come.
  void use(const MessageLineWriter& writer, const MessageRedactor& redactor) {
    writer_ = &writer;
    redactor_ = &redactor;
  }

  // A size that the message's line does not exceed, whatever its bytes are. Most lines are far
  // shorter: the exact bound (MessageLineWriter::size_max) is computed only when memory is short.
  size_t bound_of(const Message& message) const { return bound_of(message, *writer_); }
  size_t bound_of(const Message& message, const MessageLineWriter& writer) const;

  // Begins a line of at most `bound` bytes. False: there is no room.
  bool begin(size_t bound) {
    return is_easy(bound) ? output_.begin_line(bound)
                          : output_.begin_long_line(bound) == LineOutput::Room::kEnough;
  }
  // Only when it needs no memory that is short.
  bool begin_easy(size_t bound) { return is_easy(bound) && output_.begin_line(bound); }

  // Begins a line, and calls append(message) to write it; the message may have less of its body.
  // False: there is no room, and the line is lost.
  template <class Append>
  bool write(const Message& message, const Append& append) {
    const size_t bound = bound_of(message);
    if (!is_easy(bound)) [[unlikely]] {
      Message shorter = message;
      if (!begin_long(shorter)) return false;
      append(shorter);
      return true;
    }
    if (!output_.begin_line(bound)) return false;
    append(message);
    return true;
  }

  // Counts messages whose line was lost.
  void drop(uint64_t messages) {
    counters_.add(output_.abandoned() ? ShardCounter::messages_discarded
                                      : ShardCounter::messages_dropped_overload,
                  messages);
  }

 private:
  bool is_easy(size_t bound) { return bound <= kLineBlockBytes || output_.can_hold(bound); }
  bool begin_long(Message& message);
  void cut_body(Message& message);

  const MessageLineWriter* writer_ = nullptr;
  const MessageRedactor* redactor_ = nullptr;
  BufferPool& pool_;
  LineOutput& output_;
  ShardCounters& counters_;
};

}  // namespace tcp_sniffer
