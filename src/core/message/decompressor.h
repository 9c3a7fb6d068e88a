#pragma once

#include <brotli/decode.h>
#include <zlib.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "core/base/buffer_pool.h"
#include "core/message/message.h"

struct ZSTD_DCtx_s;

namespace tcp_sniffer {

// The state machines of zlib, brotli and zstd with one interface: one coded stream at a time.
// Contexts are made when first needed and used again; all their memory comes from the pool, which
// outlives this. No call throws, blocks or looks at a clock. One per shard.
class Decompressor {
 public:
  // RFC 9659 section 3: a decoder of HTTP content need not grant zstd more than 8 MiB.
  static constexpr int kZstdWindowLogMax = 23;

  // Input of one step; limits are checked between steps. Brotli hands out what it has when its
  // input ends, but not when it finds an error: a broken stream loses at most the output of one
  // step.
  static constexpr size_t kStepMax = 16384;
  static constexpr size_t kBrotliStepMax = 1024;

  // A zstd context that has grown beyond this is not kept for the next stream.
  static constexpr size_t kZstdKeptMax = size_t{1} << 20;

  explicit Decompressor(BufferPool& pool) : pool_(pool) {}
  ~Decompressor() { release(); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;

  enum class State : uint8_t {
    kMore,  // wants more input, or more room
    kEnd,   // the stream is complete; what is left of the input is not part of it
    kCorrupt,
    kNoMemory  // the pool refused, or the stream asks for a larger window than any browser grants
  };
  struct Step {
    State state = State::kMore;
    size_t consumed = 0;
    size_t produced = 0;
  };

  // Begins a stream. `input` is looked at, not kept: it shows whether deflate has zlib's header.
  // With `raw_deflate` it has none, whatever it looks like. False: no memory.
  bool start(ContentCoding coding, std::string_view input, bool raw_deflate = false);
  // Whether start() took the stream for deflate with zlib's header.
  bool has_zlib_header() const { return coding_ == ContentCoding::kDeflate && zlib_header_; }

  // Whether the end of the stream has a checksum, which is compared there.
  bool has_checksum() const { return has_checksum_; }

  // Decodes some of `input`, which is all that is left of the stream, into `output`. A step that
  // neither consumed nor produced has reached the end of its input too early. Several gzip members
  // (RFC 1952 section 2.2) or zstd frames (RFC 8878 section 3.1) are one stream.
  Step step(std::string_view input, std::span<char> output);

  // Gives all contexts back.
  void release();

 private:
  static void* allocate(void* self, size_t size);
  static void give_back(void* self, void* memory);

  bool start_zlib(int window_bits);
  bool start_brotli();
  bool start_zstd(std::string_view input);
  Step step_zlib(std::string_view input, std::span<char> output);
  Step step_brotli(std::string_view input, std::span<char> output);
  Step step_zstd(std::string_view input, std::span<char> output);

  BufferPool& pool_;
  ContentCoding coding_ = ContentCoding::kGzip;
  bool zlib_header_ = false;
  bool has_checksum_ = false;
  bool zlib_made_ = false;
  z_stream zlib_{};
  BrotliDecoderState* brotli_ = nullptr;
  ZSTD_DCtx_s* zstd_ = nullptr;
};

}  // namespace tcp_sniffer
