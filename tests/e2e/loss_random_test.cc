// Random loss in real captures: what must become of every message follows from the bytes it lost,
// and the ledger's missing bytes are those that were taken out.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <random>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "support/damaged_capture.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::loss_random_test {
namespace {

using pcapdamage::CaptureFile;

uint64_t overlap(uint64_t begin, uint64_t end, uint64_t other_begin, uint64_t other_end) {
  const uint64_t from = std::max(begin, other_begin);
  const uint64_t to = std::min(end, other_end);
  return to > from ? to - from : 0;
}

// What must become of a message of known length whose head lies in one segment; "" when it is gone.
std::string fate_of(const Json& message, const std::vector<FrameContent>& frames,
                    const Frames& lost) {
  const FrameContent& first = frames[message["firstFrame"].get<size_t>() - 1];
  const auto head_bytes = message["headersSize"].get<uint64_t>();
  const uint64_t bytes = head_bytes + message["bodySize"].get<uint64_t>();
  EXPECT_LE(head_bytes, first.payload_bytes) << "its head does not lie in one segment";
  uint64_t missing = 0;
  for (const size_t frame : lost) {
    const FrameContent& content = frames[frame - 1];
    if (content.source != first.source || content.destination != first.destination) continue;
    const uint64_t offset = content.sequence - first.sequence;  // nothing before it: none of it
    if (offset > INT32_MAX) continue;
    if (overlap(offset, offset + content.payload_bytes, 0, head_bytes) > 0) return "";
    missing += overlap(offset, offset + content.payload_bytes, head_bytes, bytes);
  }
  return missing == 0 ? "whole" : std::to_string(missing) + " missing";
}

// The payload that was taken out of one direction and is missed for certain: there was a later
// segment, or the other side acknowledged it. Beginnings are known where the SYN was captured.
struct KnownLoss {
  uint64_t bytes = 0;
  bool exact = true;
};

KnownLoss known_loss_of(const std::string& source, const std::vector<FrameContent>& frames,
                        const std::vector<uint32_t>& acknowledgments, const Frames& lost) {
  constexpr uint8_t kFin = 1;
  constexpr uint8_t kSyn = 2;
  const auto syn = std::find_if(frames.begin(), frames.end(), [&](const FrameContent& frame) {
    return frame.source == source && (frame.flags & kSyn) != 0;
  });
  const uint32_t begin = syn->sequence + 1;
  uint64_t known_end = 0;
  bool fin_lost = false;
  KnownLoss known;
  for (size_t i = 0; i < frames.size(); i++) {
    const FrameContent& frame = frames[i];
    const bool captured = !lost.contains(i + 1);
    const bool fin = (frame.flags & kFin) != 0;
    if (frame.source == source) {
      if ((frame.flags & kSyn) != 0) {
        known.exact &= captured;
      } else if (captured && (frame.payload_bytes > 0 || fin)) {
        const uint64_t end = uint64_t{frame.sequence - begin} + frame.payload_bytes;
        known_end = std::max(known_end, end);
      }
      fin_lost |= fin && !captured;
    } else if (captured && (frame.flags & kSyn) == 0) {
      known_end = std::max<uint64_t>(known_end, acknowledgments[i] - begin);
    }
  }
  for (const size_t at : lost) {
    const FrameContent& frame = frames[at - 1];
    if (frame.source != source || (frame.flags & kSyn) != 0) continue;
    const uint64_t offset = frame.sequence - begin;
    known.bytes += overlap(offset, offset + frame.payload_bytes, 0, known_end);
  }
  // An acknowledged FIN that was lost with data before it counts as a byte.
  if (fin_lost) known.exact = false;
  return known;
}

class RandomLoss : public testing::TestWithParam<std::tuple<const char*, int>> {};

TEST_P(RandomLoss, EveryMessageComesOutAsItsBytesSay) {
  const auto& [name, percent] = GetParam();
  const CaptureFile whole = load_capture(capture(name));
  const std::vector<FrameContent> frames = contents_of(whole);
  std::vector<uint32_t> acknowledgments;
  std::set<std::string> sources;
  for (const auto& frame : whole.frames) {
    const auto layout = pcapdamage::find_layout(frame, whole.link_type);
    acknowledgments.push_back(packets::read_be32(frame.bytes, layout->tcp + 8));
  }
  for (const FrameContent& frame : frames) sources.insert(frame.source);
  const std::vector<Json> truth = json_lines(read_whole(capture(name).string()).out);
  size_t complete = 0;
  size_t cut = 0;
  size_t gone = 0;
  size_t exact_ledgers = 0;
  const uint64_t repeats = repetitions("TCP_SNIFFER_LOSSES", 50, 10);
  for (uint64_t seed = 1; seed <= repeats; seed++) {
    std::mt19937_64 random(seed);
    Frames lost;
    for (size_t frame = 1; frame <= frames.size(); frame++) {
      if (random() % 100 < static_cast<uint64_t>(percent)) lost.insert(frame);
    }
    SCOPED_TRACE(std::string(name) + ", seed " + std::to_string(seed) + ", without " +
                 testing::PrintToString(lost));
    const Finished run = read_without(whole, lost, seed % 2 == 0 ? "0" : "2");
    const std::vector<Json> lines = json_lines(run.out);
    expect_truthful(truth, lines);

    std::vector<std::string> expected;
    for (const Json& message : truth) {
      const std::string fate = fate_of(message, frames, lost);
      fate.empty() ? gone++ : fate == "whole" ? complete++ : cut++;
      if (!fate.empty()) expected.push_back(head_of(message) + fate);
    }
    std::vector<std::string> got;
    for (const Json& line : lines) {
      const bool whole_line = !line.contains("incomplete");
      got.push_back(head_of(line) + (whole_line
                                         ? "whole"
                                         : line.value("missingBytes", Json()).dump() + " missing"));
    }
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
    EXPECT_EQ(got, expected);

    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    KnownLoss known;
    for (const std::string& source : sources) {
      const KnownLoss one = known_loss_of(source, frames, acknowledgments, lost);
      known.bytes += one.bytes;
      known.exact &= one.exact;
    }
    if (known.exact) {
      exact_ledgers++;
      EXPECT_EQ(stopped["bytes"]["missing"], known.bytes);
    } else {
      EXPECT_LE(stopped["bytes"]["missing"].get<uint64_t>(), known.bytes + sources.size());
    }
    if (HasFailure()) return;
  }
  EXPECT_GT(complete, 0u);
  EXPECT_GT(cut + gone, 0u);
  EXPECT_GT(exact_ledgers, 0u);
  std::printf("%zu whole, %zu cut, %zu gone; the ledger exact to the byte in %zu of %llu runs\n",
              complete, cut, gone, exact_ledgers, static_cast<unsigned long long>(repeats));
}

INSTANTIATE_TEST_SUITE_P(Pcaps, RandomLoss,
                         testing::Combine(testing::Values("download.pcap", "sequence_wrap.pcap",
                                                          "body_1mb.pcap", "ipv6.pcap"),
                                          testing::Values(1, 5)),
                         [](const auto& of) {
                           std::string name = std::get<0>(of.param);
                           name.resize(name.find('.'));
                           std::erase(name, '_');
                           return name + std::to_string(std::get<1>(of.param)) + "Percent";
                         });

}  // namespace
}  // namespace tcp_sniffer::loss_random_test
