// Real captures with random damage: whatever happens to a capture, nothing is made up, every byte
// is accounted for, and what is whole comes out.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "support/damaged_capture.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"

namespace tcp_sniffer::damage_test {
namespace {

using pcapdamage::CaptureFile;
using pcapdamage::DamageOptions;

// The recorded captures of HTTP: those that pcapdamage reads and that are not damaged already. What
// the messages behind a PROXY header say depends on whether the header was lost.
std::vector<std::filesystem::path> whole_captures() {
  const std::set<std::string> others = {
      "loss_in_body.pcap", "loss_in_headers.pcap", "loss_random.pcap",
      "reordered.pcap",    "duplicated.pcap",      "all_without_loss.pcap",
      "midstream.pcap",    "snaplen.pcap",         "fragments_ipv6.pcap",
      "pop3.pcap",         "proxied.pcap"};
  std::vector<std::filesystem::path> paths;
  for (const auto& path : captures_in(source_dir() / "pcaps")) {
    if (path.extension() == ".pcap" && !others.contains(path.filename())) paths.push_back(path);
  }
  return paths;
}

struct Damage {
  std::set<size_t> lost;  // frames, from 1
  DamageOptions others;
  std::string text;
};

// One kind of damage or several together; the seed decides.
Damage random_damage(uint64_t seed, size_t frames) {
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t limit) { return static_cast<size_t>(random() % limit); };
  Damage damage;
  damage.others.seed = seed;
  damage.text = "seed " + std::to_string(seed);
  if (below(3) != 0) {
    const size_t per_thousand = std::vector<size_t>{10, 30, 100, 300}[below(4)];
    for (size_t frame = 1; frame <= frames; frame++) {
      if (below(1000) < per_thousand) damage.lost.insert(frame);
    }
    damage.text += ", loss of " + std::to_string(per_thousand) + " in 1000";
  }
  if (below(4) == 0) {  // a burst
    const size_t first = 1 + below(frames);
    const size_t last = std::min(frames, first + below(12));
    for (size_t frame = first; frame <= last; frame++) damage.lost.insert(frame);
    damage.text += ", lost " + std::to_string(first) + "-" + std::to_string(last);
  }
  if (below(5) == 0) {
    const size_t first = 1 + below(frames);
    for (size_t frame = 1; frame < first; frame++) damage.lost.insert(frame);
    damage.text += ", begins with frame " + std::to_string(first);
  }
  if (below(5) == 0) {
    const size_t last = 1 + below(frames);
    for (size_t frame = last + 1; frame <= frames; frame++) damage.lost.insert(frame);
    damage.text += ", ends with frame " + std::to_string(last);
  }
  if (below(3) == 0) {
    damage.others.duplicate_probability = 0.2;
    damage.others.duplicate_distance = 1 + below(8);
    damage.text += ", duplicates";
  }
  if (below(3) == 0) {
    damage.others.reorder_probability = 0.2;
    damage.others.reorder_distance = 1 + below(6);
    damage.text += ", reordered by up to " + std::to_string(damage.others.reorder_distance);
  }
  if (below(6) == 0) {
    damage.others.wrap_after = static_cast<uint32_t>(below(20000));
    damage.text += ", wrap after " + std::to_string(*damage.others.wrap_after);
  }
  damage.others.drop_frames = damage.lost;
  return damage;
}

// The messages of the undamaged capture.
class Truth {
 public:
  explicit Truth(const std::vector<Json>& lines) : lines_(lines) {
    std::map<std::pair<std::string, uint64_t>, std::string> requests;
    for (const Json& line : lines) {
      if (!line.contains("incomplete")) whole_[identity_of(line)]++;
      if (line["direction"] == "request") requests[exchange_of(line)] = start_of(line);
    }
    for (const Json& line : lines) {
      if (line["direction"] == "response" && line.contains("exchange")) {
        asked_[head_of(line)].insert(requests.at(exchange_of(line)));
      }
    }
  }

  const std::vector<Json>& lines() const { return lines_; }
  size_t count(const std::string& identity) const {
    const auto found = whole_.find(identity);
    return found == whole_.end() ? 0 : found->second;
  }
  // The start lines of the requests that a response with this head may answer; empty: no such
  // response.
  std::set<std::string> asked(const Json& response) const {
    const auto found = asked_.find(head_of(response));
    return found == asked_.end() ? std::set<std::string>() : found->second;
  }

 private:
  std::vector<Json> lines_;
  std::map<std::string, size_t> whole_;
  std::map<std::string, std::set<std::string>> asked_;
};

// A frame of pcaps/websocket.pcap carries what reads like a request. Where the beginning of the
// connection is lost, that it became a tunnel included, nothing tells it from one.
bool reads_like_a_message(const Json& line) {
  return line["headers"].value("host", "") == "not-a-request";
}

// Returns the number of lines that are no messages, and cannot be told from them.
size_t expect_nothing_made_up(const Truth& truth, const std::vector<Json>& lines) {
  std::map<std::string, size_t> seen;
  size_t misread = 0;
  for (const Json& line : lines) {
    if (line.contains("incomplete")) continue;
    if (reads_like_a_message(line)) {
      misread++;
      continue;
    }
    const std::string identity = identity_of(line);
    EXPECT_LE(++seen[identity], truth.count(identity))
        << "nobody sent this: " << line.dump().substr(0, 800);
  }
  return misread;
}

void expect_pairs_right_or_absent(const Truth& truth, const std::vector<Json>& lines) {
  std::map<std::pair<std::string, uint64_t>, std::string> requests;
  for (const Json& line : lines) {
    if (line["direction"] != "request") continue;
    EXPECT_TRUE(requests.emplace(exchange_of(line), start_of(line)).second)
        << "two requests with one number: " << line.dump().substr(0, 300);
  }
  for (const Json& line : lines) {
    if (line["direction"] != "response" || !line.contains("exchange")) continue;
    if (line.value("headersIncomplete", false)) continue;
    const auto request = requests.find(exchange_of(line));
    if (request == requests.end()) {
      ADD_FAILURE() << "no request has this number: " << line.dump().substr(0, 300);
      continue;
    }
    const std::set<std::string> asked = truth.asked(line);
    EXPECT_TRUE(asked.empty() || asked.contains(request->second))
        << line.dump().substr(0, 400) << "\nis paired with " << request->second;
  }
}

class DamagedCapture : public testing::TestWithParam<std::filesystem::path> {};

// Whether a frame was lost that may carry a part of the message.
bool touched(const Json& line, const std::vector<FrameContent>& frames, const Damage& damage) {
  const size_t first = line["firstFrame"];
  const size_t last = line["lastFrame"];
  const std::string& sender = frames[first - 1].source;
  for (size_t frame = first; frame <= last; frame++) {
    const FrameContent& content = frames[frame - 1];
    const bool same_side = sender.empty() || content.source.empty() || content.source == sender;
    if (same_side && damage.lost.contains(frame)) return true;
  }
  return false;
}

// Why a message may not come out whole though all its bytes are there; "" when nothing explains it.
std::string excuse(const Json& message, const Truth& truth, const std::vector<FrameContent>& frames,
                   const Damage& damage, const Json& stopped) {
  const auto lost = [&](const Json& line) { return touched(line, frames, damage); };
  const bool has_length = message["headers"].contains("content-length") ||
                          message["headers"].contains("transfer-encoding");
  if (message["direction"] == "response" && !has_length && message["bodySize"] > 0) {
    return "its body ends with the connection, whose end is lost";
  }
  for (const Json& line : truth.lines()) {
    if (ends_of(line) != ends_of(message) || !lost(line)) continue;
    // Without the request nothing says that the answer has no body: it waits for one, or takes what
    // comes behind a loss for one.
    if (line["direction"] == "request" && line["method"] == "HEAD") return "a HEAD is lost";
    // Without a final answer nothing says that the body of a request that asked does not come.
    if (message["headers"].value("expect", "") == "100-continue" &&
        line["direction"] == "response" && line["exchange"] == message["exchange"]) {
      return "the answer to a request that asked before it sent its body is lost";
    }
    // The same of the other framing that the request decides.
    if (line["direction"] == "request" && line["method"] == "CONNECT") return "a CONNECT is lost";
  }
  const FrameContent& first = frames[message["firstFrame"].get<size_t>() - 1];
  const bool begins_late = std::any_of(damage.lost.begin(), damage.lost.end(), [&](size_t frame) {
    constexpr uint8_t kSyn = 2;
    const FrameContent& content = frames[frame - 1];
    const bool same_side = first.source.empty() || content.source == first.source;
    return same_side && (content.flags & kSyn) != 0;
  });
  if (begins_late && damage.others.reorder_probability > 0) {
    return "it was moved in front of where the capture begins";
  }
  if (damage.others.reorder_probability > 0 && stopped["bytes"]["bridged_late"] > 0) {
    return "it came when its hole had been given up";
  }
  return "";
}

TEST_P(DamagedCapture, NothingIsMadeUpAndWhatIsWholeComesOut) {
  const CaptureFile whole = load_capture(GetParam());
  const std::vector<FrameContent> frames = contents_of(whole);
  const bool all_segments = std::none_of(frames.begin(), frames.end(),
                                         [](const auto& frame) { return frame.source.empty(); });
  const Truth truth(json_lines(read_whole(GetParam().string()).out));
  const uint64_t repeats = repetitions("TCP_SNIFFER_DAMAGES", 20, 4);
  const uint64_t first_seed = repetitions("TCP_SNIFFER_DAMAGE_SEED", 1, 1);
  std::map<std::string, size_t> excuses;
  size_t untouched = 0;
  size_t misread = 0;
  for (uint64_t seed = first_seed; seed < first_seed + repeats; seed++) {
    Damage damage = random_damage(seed, whole.frames.size());
    // pcapdamage cannot renumber what it does not understand: fragments, jumbograms.
    if (!all_segments) damage.others.wrap_after.reset();
    SCOPED_TRACE(GetParam().filename().string() + ": " + damage.text);
    CaptureFile damaged = whole;
    pcapdamage::damage_capture(damaged, damage.others);
    const Finished run = read_capture_file(damaged, seed % 2 == 0 ? "0" : "2");
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    const std::vector<Json> lines = json_lines(run.out);
    EXPECT_EQ(stopped["messages"]["written"], lines.size());
    misread += expect_nothing_made_up(truth, lines);
    expect_pairs_right_or_absent(truth, lines);

    std::map<std::string, size_t> got;
    for (const Json& line : lines) {
      if (!line.contains("incomplete")) got[identity_of(line)]++;
    }
    for (const Json& message : truth.lines()) {
      if (message.contains("incomplete") || touched(message, frames, damage)) continue;
      untouched++;
      size_t& left = got[identity_of(message)];
      if (left > 0) {
        left--;
        continue;
      }
      const std::string why = excuse(message, truth, frames, damage, stopped);
      excuses[why]++;
      EXPECT_NE(why, "") << "whole, but not found: frames " << message["firstFrame"] << "-"
                         << message["lastFrame"] << " " << start_of(message);
    }
    if (HasFailure()) {
      const std::string kept = testing::TempDir() + "damaged_" + GetParam().filename().string();
      EXPECT_EQ(pcapdamage::write_capture(kept, damaged), "");
      FAIL() << "the damaged capture is kept: " << kept;
    }
  }
  std::printf("%llu damages: %zu messages with all their bytes, %zu lines misread\n",
              static_cast<unsigned long long>(repeats), untouched, misread);
  for (const auto& [why, count] : excuses) {
    std::printf("  not whole: %zu, %s\n", count, why.c_str());
  }
}

INSTANTIATE_TEST_SUITE_P(Pcaps, DamagedCapture, testing::ValuesIn(whole_captures()),
                         [](const auto& of) {
                           std::string name = of.param.stem();
                           std::erase(name, '_');
                           return name;
                         });

}  // namespace
}  // namespace tcp_sniffer::damage_test
