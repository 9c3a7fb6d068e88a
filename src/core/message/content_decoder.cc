#include "core/message/content_decoder.h"

#include <algorithm>
#include <cstring>

#include "core/base/limits.h"
#include "core/base/text_encoding.h"

namespace tcp_sniffer {
namespace {

// The first output buffer; more is taken as it comes.
constexpr size_t kFirstOutput = 16384;

// The bytes of the body that follow each other.
std::string_view unbroken(const Message& message) {
  if (message.body_gaps.empty()) return message.body;
  const uint64_t before_gap = message.body_gaps.front().offset;
  return message.body.substr(
      0, static_cast<size_t>(std::min<uint64_t>(before_gap, message.body.size())));
}

}  // namespace

void ContentDecoder::release_output() {
  for (Text& text : texts_) {
    pool_.release(text.memory);
    text.size = 0;
  }
}

void ContentDecoder::release() {
  release_output();
  decompressor_.release();
}

ContentDecoder::Result ContentDecoder::decode(const Message& message) {
  Result result;
  result.body = message.body;
  if (message.body.empty()) return result;
  const ContentCodings list = read_content_codings(message.headers);
  if (list.too_many) {
    result.error = ContentDecodeError::kLimit;
    result.limit = Limit::kCodings;
  }
  if (list.count == 0) return result;

  std::string_view input = unbroken(message);
  ratio_bytes_max_ = std::max(kDecodeRatioFreeBytes, kDecodeRatioMax * input.size());
  started_ns_ = clock_();
  work_bytes_ = clock_at_bytes_ = 0;
  limit_ = Limit::kNone;
  End end = End::kWhole;
  size_t undone = 0;
  bool last_was_cut = false;
  const bool input_is_whole = !message.body_truncated && message.incomplete == Incomplete::kNo;
  while (undone < list.count) {
    Text& output = texts_[undone];
    const End this_end = undo(list.codings[list.count - 1 - undone], input, output);
    note_proof(this_end, end == End::kWhole, input_is_whole, result);
    // A stream that ends too early because an outer one was stopped has the outer one's reason.
    if (this_end != End::kWhole && (this_end != End::kTruncated || end == End::kWhole)) {
      end = this_end;
    }
    if (output.size == 0 && this_end != End::kWhole) break;
    input = output.view();
    last_was_cut = this_end == End::kCut;
    undone++;
  }
  if (undone > 0) {
    name_codings(list.view().last(undone));
    result.codings = {names_, names_size_};
    result.body = input;
  }
  result.truncated = end == End::kCut;
  result.cut_is_none =
      last_was_cut && cut_character_is_none(result.body, {&texts_[undone - 1].beyond, 1});
  if (end == End::kTruncated) result.error = ContentDecodeError::kTruncated;
  if (end == End::kCorrupt) result.error = ContentDecodeError::kCorrupt;
  if (end == End::kLimit) {
    result.error = ContentDecodeError::kLimit;
    result.limit = limit_;
  }
  return result;
}

// One checksum speaks for all codings of a body: what is around it or in it is what was coded, too.
void ContentDecoder::note_proof(End end, bool is_first_fault, bool input_is_whole,
                                Result& result) const {
  const bool ends_early = end == End::kTruncated && is_first_fault && input_is_whole;
  const bool goes_on = end == End::kWhole && goes_on_ && !decompressor_.has_checksum();
  if (ends_early || goes_on) {
    result.proof = ContentProof::kContradicted;
  } else if (end == End::kWhole && decompressor_.has_checksum() &&
             result.proof != ContentProof::kContradicted) {
    result.proof = ContentProof::kChecksum;
  } else if (result.proof == ContentProof::kNotNeeded) {
    result.proof = ContentProof::kNone;
  }
}

void ContentDecoder::name_codings(std::span<const ContentCoding> codings) {
  names_size_ = 0;
  for (const ContentCoding coding : codings) {
    const std::string_view separator = names_size_ > 0 ? ", " : "";
    for (const std::string_view part : {separator, content_coding_name(coding)}) {
      std::memcpy(names_ + names_size_, part.data(), part.size());
      names_size_ += part.size();
    }
  }
}

ContentDecoder::End ContentDecoder::undo(ContentCoding coding, std::string_view input,
                                         Text& output) {
  output.size = 0;
  if (!decompressor_.start(coding, input)) {
    limit_ = Limit::kMemory;
    return End::kLimit;
  }
  End end = run(input, output);
  if (end == End::kCorrupt && output.size == 0 && decompressor_.has_zlib_header() &&
      decompressor_.start(coding, input, true)) {
    // One bare stream in a thousand begins with bytes that could be zlib's header.
    end = run(input, output);
  }
  return end;
}

ContentDecoder::End ContentDecoder::run(std::string_view input, Text& output) {
  for (;;) {
    if (!make_room(output, input.size())) {
      limit_ = Limit::kMemory;
      return End::kLimit;
    }
    const size_t room = std::min<size_t>(output.memory.capacity, output_max_) - output.size;
    // At output_max one byte more decides whether anything was cut.
    char beyond = 0;
    const std::span<char> space =
        room == 0 ? std::span<char>(&beyond, 1)
                  : std::span<char>(reinterpret_cast<char*>(output.memory.data) + output.size,
                                    std::min(room, kOutputStepMax));
    const Decompressor::Step step = decompressor_.step(input, space);
    input.remove_prefix(step.consumed);
    work_bytes_ += step.consumed + step.produced;
    if (room == 0 && step.produced > 0) {
      output.beyond = beyond;
      return End::kCut;
    }
    output.size += step.produced;
    switch (step.state) {
      case Decompressor::State::kEnd:
        goes_on_ = !input.empty();
        return End::kWhole;
      case Decompressor::State::kCorrupt:
        return End::kCorrupt;
      case Decompressor::State::kNoMemory:
        limit_ = Limit::kMemory;
        return End::kLimit;
      case Decompressor::State::kMore:
        break;
    }
    if (step.consumed == 0 && step.produced == 0) return End::kTruncated;
    if (beyond_limit(output)) return End::kLimit;
  }
}

bool ContentDecoder::make_room(Text& output, size_t input_size) {
  if (output.size < output.memory.capacity || output.size == output_max_) return true;
  const uint64_t wanted =
      output.size == 0 ? std::max<uint64_t>(kFirstOutput, input_size * 2) : output.size * 2;
  return pool_.grow(output.memory, static_cast<size_t>(std::min(wanted, output_max_)), output.size);
}

bool ContentDecoder::beyond_limit(const Text& output) {
  if (output.size > ratio_bytes_max_) {
    limit_ = Limit::kRatio;
    return true;
  }
  if (work_bytes_ < clock_at_bytes_) return false;
  clock_at_bytes_ = work_bytes_ + kDecodeClockBytes;
  const int64_t time_max = kDecodeTimeNs + static_cast<int64_t>(work_bytes_) * kDecodeTimePerByteNs;
  if (clock_() - started_ns_ <= time_max) return false;
  limit_ = Limit::kTime;
  return true;
}

}  // namespace tcp_sniffer
