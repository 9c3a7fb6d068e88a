// LineOutput: large bodies that go to the writer in the memory where they lie.
//
//     the block:         | lines before | head of the record |
//     the body's memory: | free                              | body         | free |
//     after take_over:   | free | lines before | head        | body | rest of the record | free |

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>

#include "shard/line_output.h"

namespace tcp_sniffer {

bool LineOutput::take_over(std::string_view body) {
  if (body.size() < kLargeBody || !can_take(body) || !wait_for_bodies(offered_->capacity)) {
    return false;
  }
  LineBlock* const from = block_;
  const auto front =
      static_cast<size_t>(reinterpret_cast<const uint8_t*>(body.data()) - offered_->data);
  const size_t line = size();
  const bool takes_all = from->used + line <= front;
  if (!takes_all && !settings_.may_wait && !may_leave_early()) return false;
  LineBlock* const block = take_body_block();
  block->body = std::exchange(*offered_, {});
  charged_bytes_ += block->body.capacity;
  body_bytes_ += block->body.capacity;

  char* const body_at = reinterpret_cast<char*>(block->body.data) + front;
  const size_t moved = takes_all ? from->used + line : line;
  block->data = body_at - moved;
  block->capacity = block->body.capacity - (front - moved);
  std::memcpy(block->data, end_ - moved, moved);
  if (takes_all) {
    block->used = std::exchange(from->used, 0);
    block->messages = std::exchange(from->messages, 0);
    block->oldest_ns = from->oldest_ns;
    idle_.push_back(from);
    block_ = block;
  } else {
    flush();
    open(block);
  }
  begin_ = body_at - line;
  end_ = body_at + body.size();
  limit_ = block->data + block->capacity;
  return true;
}

// Whether the body lies in the memory that is offered, which is not short, and the line fits around
// it.
bool LineOutput::can_take(std::string_view body) const {
  constexpr size_t kAfterBody = 8;  // a record ends at a multiple of it
  if (offered_ == nullptr || !*offered_ || notes_lines_ || block_->oversized || block_->body) {
    return false;
  }
  // At the writer it is not there for the messages in the making. A copy in a block is no memory of
  // theirs.
  const bool fits_block = size() + body.size() + kAfterBody <= kLineBlockBytes;
  if (fits_block && memory_.excess() > 0) return false;
  const auto* begin = reinterpret_cast<const char*>(offered_->data);
  const char* end = begin + offered_->capacity;
  const std::less_equal<> is_before;
  return is_before(begin + size(), body.data()) &&
         is_before(body.data() + body.size() + kAfterBody, end);
}

// Until the writer has written enough of the bodies before this one. False: there is no room, and
// waiting is not allowed, or has no end.
bool LineOutput::wait_for_bodies(size_t size) {
  const size_t most = std::min(kBodyBytesMax, memory_.limit_bytes() / 16);
  if (size > most) return false;
  take_returned();
  while (body_bytes_ + size > most) {
    if (!settings_.may_wait || !wait_for_block()) return false;
  }
  return true;
}

LineBlock* LineOutput::take_body_block() {
  if (body_blocks_.empty()) {
    auto* block = new LineBlock;
    block->owner = this;
    return block;
  }
  LineBlock* block = body_blocks_.back();
  body_blocks_.pop_back();
  return block;
}

}  // namespace tcp_sniffer
