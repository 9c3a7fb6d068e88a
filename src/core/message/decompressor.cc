#include "core/message/decompressor.h"

#define ZSTD_STATIC_LINKING_ONLY
#include <zstd.h>
#include <zstd_errors.h>

#include <algorithm>
#include <cstring>

namespace tcp_sniffer {
namespace {

// zlib's window bits: 15 is the format's largest window; +16 asks for gzip, minus for no header.
constexpr int kGzipBits = 15 + 16;
constexpr int kZlibBits = 15;
constexpr int kRawBits = -15;

// RFC 1950 section 2.2: method 8, a window of at most 32 KiB, and a multiple of 31.
bool looks_like_zlib(std::string_view input) {
  if (input.size() < 2) return true;
  const auto first = static_cast<uint8_t>(input[0]);
  const auto second = static_cast<uint8_t>(input[1]);
  return (first & 15) == 8 && first >> 4 <= 7 && (first * 256 + second) % 31 == 0;
}

bool begins_gzip_member(std::string_view input) {
  return input.starts_with("\x1f\x8b");
}

// RFC 8878 sections 3.1.1 and 3.1.2: a frame, or one to be skipped.
bool begins_zstd_frame(std::string_view input) {
  return input.starts_with("\x28\xb5\x2f\xfd") ||
         (input.size() >= 4 && (input[0] & 0xf0) == 0x50 && input.substr(1, 3) == "\x2a\x4d\x18");
}

Bytef* as_bytes(const char* text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text));
}

}  // namespace

// Each piece is preceded by the pool's Buffer, which is needed to give it back.
void* Decompressor::allocate(void* self, size_t size) {
  static_assert(sizeof(Buffer) == 16, "keeps the memory behind it aligned");
  Buffer buffer = static_cast<Decompressor*>(self)->pool_.allocate(size + sizeof(Buffer));
  if (!buffer) return nullptr;
  std::memcpy(buffer.data, &buffer, sizeof(buffer));
  return buffer.data + sizeof(buffer);
}

void Decompressor::give_back(void* self, void* memory) {
  if (memory == nullptr) return;
  Buffer buffer;
  std::memcpy(&buffer, static_cast<uint8_t*>(memory) - sizeof(buffer), sizeof(buffer));
  static_cast<Decompressor*>(self)->pool_.release(buffer);
}

void Decompressor::release() {
  if (zlib_made_) inflateEnd(&zlib_);
  zlib_made_ = false;
  if (brotli_ != nullptr) BrotliDecoderDestroyInstance(brotli_);
  brotli_ = nullptr;
  if (zstd_ != nullptr) ZSTD_freeDCtx(zstd_);
  zstd_ = nullptr;
}

bool Decompressor::start(ContentCoding coding, std::string_view input, bool raw_deflate) {
  coding_ = coding;
  zlib_header_ = false;
  has_checksum_ = coding == ContentCoding::kGzip;
  switch (coding) {
    case ContentCoding::kGzip:
      return start_zlib(kGzipBits);
    case ContentCoding::kDeflate:
      // RFC 9110 section 8.4.1.2 means zlib's format; many servers send the bare stream.
      has_checksum_ = zlib_header_ = !raw_deflate && looks_like_zlib(input);
      return start_zlib(zlib_header_ ? kZlibBits : kRawBits);
    case ContentCoding::kBrotli:
      return start_brotli();
    case ContentCoding::kZstd:
      return start_zstd(input);
  }
  return false;
}

Decompressor::Step Decompressor::step(std::string_view input, std::span<char> output) {
  switch (coding_) {
    case ContentCoding::kGzip:
    case ContentCoding::kDeflate:
      return step_zlib(input, output);
    case ContentCoding::kBrotli:
      return step_brotli(input, output);
    case ContentCoding::kZstd:
      return step_zstd(input, output);
  }
  return {State::kCorrupt};
}

bool Decompressor::start_zlib(int window_bits) {
  if (zlib_made_) return inflateReset2(&zlib_, window_bits) == Z_OK;
  zlib_ = {};
  zlib_.opaque = this;
  zlib_.zalloc = [](voidpf self, uInt items, uInt size) -> voidpf {
    return allocate(self, size_t{items} * size);
  };
  zlib_.zfree = [](voidpf self, voidpf memory) { give_back(self, memory); };
  zlib_made_ = inflateInit2(&zlib_, window_bits) == Z_OK;
  return zlib_made_;
}

Decompressor::Step Decompressor::step_zlib(std::string_view input, std::span<char> output) {
  const std::string_view piece = input.substr(0, kStepMax);
  zlib_.next_in = as_bytes(piece.data());
  zlib_.avail_in = static_cast<uInt>(piece.size());
  zlib_.next_out = as_bytes(output.data());
  zlib_.avail_out = static_cast<uInt>(output.size());
  const int result = inflate(&zlib_, Z_NO_FLUSH);
  Step step;
  step.consumed = piece.size() - zlib_.avail_in;
  step.produced = output.size() - zlib_.avail_out;
  switch (result) {
    case Z_OK:
    case Z_BUF_ERROR:
      break;
    case Z_STREAM_END:
      step.state = State::kEnd;
      if (coding_ == ContentCoding::kGzip && begins_gzip_member(input.substr(step.consumed)) &&
          inflateReset(&zlib_) == Z_OK) {
        step.state = State::kMore;
      }
      break;
    case Z_MEM_ERROR:
      step.state = State::kNoMemory;
      break;
    default:
      step.state = State::kCorrupt;
  }
  return step;
}

bool Decompressor::start_brotli() {
  if (brotli_ != nullptr) BrotliDecoderDestroyInstance(brotli_);
  brotli_ = BrotliDecoderCreateInstance(allocate, give_back, this);
  return brotli_ != nullptr;
}

Decompressor::Step Decompressor::step_brotli(std::string_view input, std::span<char> output) {
  const uint8_t* next_in = as_bytes(input.data());
  const size_t piece_size = std::min(input.size(), kBrotliStepMax);
  size_t left_in = piece_size;
  uint8_t* next_out = as_bytes(output.data());
  size_t left_out = output.size();
  const BrotliDecoderResult result =
      BrotliDecoderDecompressStream(brotli_, &left_in, &next_in, &left_out, &next_out, nullptr);
  Step step;
  step.consumed = piece_size - left_in;
  step.produced = output.size() - left_out;
  if (result == BROTLI_DECODER_RESULT_SUCCESS) {
    step.state = State::kEnd;
  } else if (result == BROTLI_DECODER_RESULT_ERROR) {
    const BrotliDecoderErrorCode code = BrotliDecoderGetErrorCode(brotli_);
    const bool memory = code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
                        code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
    step.state = memory ? State::kNoMemory : State::kCorrupt;
  }
  return step;
}

// The first frame speaks for the others: one program makes them all.
bool Decompressor::start_zstd(std::string_view input) {
  ZSTD_frameHeader header{};
  has_checksum_ =
      ZSTD_getFrameHeader(&header, input.data(), input.size()) == 0 && header.checksumFlag != 0;
  if (zstd_ != nullptr && ZSTD_sizeof_DCtx(zstd_) > kZstdKeptMax) {
    ZSTD_freeDCtx(zstd_);
    zstd_ = nullptr;
  }
  if (zstd_ == nullptr) {
    zstd_ = ZSTD_createDCtx_advanced({allocate, give_back, this});
    if (zstd_ == nullptr) return false;
  }
  ZSTD_DCtx_reset(zstd_, ZSTD_reset_session_and_parameters);
  return ZSTD_isError(ZSTD_DCtx_setParameter(zstd_, ZSTD_d_windowLogMax, kZstdWindowLogMax)) == 0;
}

Decompressor::Step Decompressor::step_zstd(std::string_view input, std::span<char> output) {
  ZSTD_inBuffer in{input.data(), std::min(input.size(), kStepMax), 0};
  ZSTD_outBuffer out{output.data(), output.size(), 0};
  const size_t result = ZSTD_decompressStream(zstd_, &out, &in);
  Step step;
  step.consumed = in.pos;
  step.produced = out.pos;
  if (ZSTD_isError(result) != 0) {
    const ZSTD_ErrorCode code = ZSTD_getErrorCode(result);
    const bool memory =
        code == ZSTD_error_memory_allocation || code == ZSTD_error_frameParameter_windowTooLarge;
    step.state = memory ? State::kNoMemory : State::kCorrupt;
  } else if (result == 0) {
    step.state = begins_zstd_frame(input.substr(in.pos)) ? State::kMore : State::kEnd;
  }
  return step;
}

}  // namespace tcp_sniffer
