#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/message/content_coding.h"
#include "core/message/decompressor.h"
#include "core/message/message.h"

namespace tcp_sniffer {

// Undoes the content codings of message bodies (decodeBodies): gzip, deflate with and without
// zlib's header, br, zstd, and two of them one after the other.
//
// 1. A broken or costly stream is stopped. Its output up to there is the result, and the error
//    shows that it is incomplete. A stream without output leaves the body as it was sent.
// 2. The output of each coding ends at output_max; then `truncated`.
// 3. Limits against bombs: limits.h (ratio, time). Memory is the shard's, and charged to it.
//
// A message has the bytes of its body that were captured. With a gap only those before the gap are
// decoded, because the bytes after it cannot be decoded alone.
//
// One per shard, used by its thread; the pool outlives it. Nothing throws.
class ContentDecoder {
 public:
  // Output made in one step, so that limits are looked at in between.
  static constexpr size_t kOutputStepMax = 65536;

  // Steady time in nanoseconds. This class is pure: its caller brings the clock.
  using Clock = int64_t (*)();

  ContentDecoder(BufferPool& pool, uint64_t output_max, Clock clock)
      : pool_(pool), decompressor_(pool), output_max_(output_max), clock_(clock) {}
  ~ContentDecoder() { release(); }

  // Between two bodies.
  void change_output_max(uint64_t output_max) { output_max_ = output_max; }

  enum class Limit : uint8_t { kNone, kRatio, kTime, kMemory, kCodings };

  struct Result {
    std::string_view body;     // decoded; valid until release_output
    std::string_view codings;  // those undone, "gzip" or "deflate, gzip"; empty: body is as sent
    ContentDecodeError error = ContentDecodeError::kNo;
    Limit limit = Limit::kNone;  // which, with kLimit
    ContentProof proof = ContentProof::kNotNeeded;
    bool truncated = false;    // output went beyond output_max
    bool cut_is_none = false;  // … and what followed shows the character cut there to be none
  };

  // Looks at the headers, the kept body and its gaps only.
  Result decode(const Message& message);

  // The result was used: gives its memory back.
  void release_output();
  // Gives back the contexts too, which otherwise are used again.
  void release();

 private:
  enum class End : uint8_t { kWhole, kCut, kTruncated, kCorrupt, kLimit };
  struct Text {
    Buffer memory;
    size_t size = 0;
    char beyond = 0;  // the byte after the cut

    std::string_view view() const { return {reinterpret_cast<const char*>(memory.data), size}; }
  };

  End undo(ContentCoding coding, std::string_view input, Text& output);
  End run(std::string_view input, Text& output);
  void note_proof(End end, bool is_first_fault, bool input_is_whole, Result& result) const;
  bool make_room(Text& output, size_t input_size);
  bool beyond_limit(const Text& output);
  void name_codings(std::span<const ContentCoding> codings);

  BufferPool& pool_;
  Decompressor decompressor_;
  uint64_t output_max_;
  const Clock clock_;
  Text texts_[ContentCodings::kCodingsMax];
  char names_[16] = {};
  size_t names_size_ = 0;

  // For the body being decoded.
  uint64_t ratio_bytes_max_ = 0;
  int64_t started_ns_ = 0;
  uint64_t work_bytes_ = 0;
  uint64_t clock_at_bytes_ = 0;
  Limit limit_ = Limit::kNone;
  bool goes_on_ = false;  // bytes follow the stream's end
};

}  // namespace tcp_sniffer
