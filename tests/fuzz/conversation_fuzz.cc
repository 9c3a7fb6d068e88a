// A conversation whose messages are known, cut into segments anywhere, with copies, swapped
// neighbours, probes and segments from elsewhere: exactly its messages come out, each with its own
// exchange. With frames lost, whatever comes out without `incomplete` is one of its messages.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "conversation.h"
#include "line_oracles.h"
#include "show.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::fuzz {
namespace {

using namespace shard_harness;

// Sends a conversation as segments, with the damage that the input chooses.
class Sender {
 public:
  Sender(FuzzInput& input, bool loses) : input_(input), loses_(loses), harness_(settings()) {
    start_[0] = input_.u32();
    start_[1] = input_.u32();
    cut_max_ = 1 + input_.u8();
    odd_every_ = 1 + input_.below(16);
  }

  void send(const Conversation& conversation) {
    flags(true, kTcpSyn, -1, false);
    flags(false, kTcpSyn, -1, true);
    flags(true, 0, 0, true);
    for (size_t i = 0; i < conversation.utterances.size(); i++) {
      loses_now_ = loses_ && i >= conversation.kept;
      send(conversation.utterances[i]);
    }
    flush();
    flags(false, kTcpFin, static_cast<int64_t>(sent_[1]), true);
    sent_[1]++;
    flags(true, kTcpFin, static_cast<int64_t>(sent_[0]), true);
    sent_[0]++;
    flags(false, 0, static_cast<int64_t>(sent_[1]), true);
    harness_.drain();
    harness_.check_ledger();
  }

  const ShardHarness& harness() const { return harness_; }
  bool lost_any() const { return lost_any_; }

 private:
  static ShardSettings settings() {
    ShardSettings settings;
    settings.lines.binary_base64 = false;
    return settings;
  }

  Segment segment(bool from_client, int64_t offset, bool acknowledges) {
    Segment made;
    made.key = key_of(40000);
    made.side = from_client ? Side::kLow : Side::kHigh;
    const size_t mine = from_client ? 0 : 1;
    made.sequence = start_[mine] + static_cast<uint32_t>(offset);
    if (acknowledges) {
      made.flags |= kTcpAck;
      made.acknowledgment = start_[1 - mine] + static_cast<uint32_t>(sent_[1 - mine]);
    }
    made.window = 65535;
    return made;
  }

  void flags(bool from_client, uint8_t flags, int64_t offset, bool acknowledges) {
    Segment made = segment(from_client, offset, acknowledges);
    made.flags |= flags;
    put(made, "");
  }

  void send(const Utterance& utterance) {
    flush();
    const size_t mine = utterance.from_client ? 0 : 1;
    for (size_t at = 0; at < utterance.bytes.size();) {
      const size_t size = std::min(utterance.bytes.size() - at, 1 + input_.u8() % cut_max_);
      const std::string payload = utterance.bytes.substr(at, size);
      const Segment made = segment(utterance.from_client, static_cast<int64_t>(sent_[mine]), true);
      sent_[mine] += size;
      at += size;
      if (input_.empty() || input_.u8() % odd_every_ != 0) {
        deliver(made, payload);
      } else {
        deliver_oddly(made, payload);
      }
    }
    flush();
    // The other side has everything.
    flags(!utterance.from_client, 0, static_cast<int64_t>(sent_[1 - mine]), true);
  }

  void deliver_oddly(const Segment& made, const std::string& payload) {
    switch (input_.below(6)) {
      case 0:  // twice
        deliver(made, payload);
        deliver(made, payload);
        break;
      case 1:  // after the next one
        flush();
        held_ = {made, payload};
        break;
      case 2:  // a probe of what came before, then the segment
        deliver(made, payload);
        if (payload.size() > 1) {
          Segment again = made;
          again.sequence++;
          deliver(again, payload.substr(1));
        }
        break;
      case 3:
        forge(made);
        deliver(made, payload);
        break;
      case 4:  // between two blocks
        clock_ns_ += int64_t{kMs} * input_.u8();
        harness_.process();
        deliver(made, payload);
        break;
      default:
        if (loses_now_) {
          lost_any_ = true;
        } else {
          deliver(made, payload);
        }
    }
  }

  // From somebody who knows addresses and ports, and no sequence number.
  void forge(const Segment& near) {
    Segment forged = near;
    forged.flags = input_.u8();
    forged.sequence += 0x10000000u + (uint32_t{input_.u8()} << 20);
    forged.acknowledgment += 0x10000000u + (uint32_t{input_.u8()} << 20);
    put(forged, kWords[input_.below(std::size(kWords))]);
  }

  void deliver(const Segment& made, const std::string& payload) {
    put(made, payload);
    flush();
  }
  void flush() {
    if (!held_) return;
    const auto [made, payload] = *held_;
    held_.reset();
    put(made, payload);
  }

  void put(Segment made, std::string_view payload) {
    made.payload_size = made.payload_wire_size = static_cast<uint32_t>(payload.size());
    made.clock_ns = made.time_ns = clock_ns_;
    clock_ns_ += 100'000;
    show(made, payload);
    harness_.add(made, payload);
  }

  FuzzInput& input_;
  const bool loses_;
  bool loses_now_ = false;
  ShardHarness harness_;
  std::array<uint32_t, 2> start_{};
  std::array<uint64_t, 2> sent_{};
  size_t cut_max_ = 1;
  size_t odd_every_ = 1;
  bool lost_any_ = false;
  std::optional<std::pair<Segment, std::string>> held_;
  int64_t clock_ns_ = kStartNs;
};

// The exchange that a message says it belongs to: its path, or its field X-For.
std::optional<size_t> named_exchange(const ReadLine& line) {
  const std::string name = line.is_request ? "\"path\":\"/" : "\"x-for\":\"";
  const size_t at = line.text.find(name);
  if (at == std::string::npos) return std::nullopt;
  return std::strtoull(line.text.c_str() + at + name.size(), nullptr, 10);
}

const SaidMessage* find_message(const Conversation& conversation, const ReadLine& line) {
  const auto named = named_exchange(line);
  for (const SaidMessage& message : conversation.messages) {
    if (message.is_request == line.is_request && named && message.exchange == *named &&
        static_cast<uint64_t>(message.status) == line.status) {
      return &message;
    }
  }
  return nullptr;
}

void expect_truth(const Conversation& conversation, const ReadLine& line) {
  SCOPED_TRACE(line.text);
  if (line.incomplete || line.status == 100) return;
  const SaidMessage* message = find_message(conversation, line);
  ASSERT_NE(message, nullptr) << "nobody sent this";
  ASSERT_EQ(line.body_size, message->body.size());
  if (line.has_body) {
    ASSERT_EQ(line.body, message->body);
  }
}

// Whatever the numbers are after a loss: a response stands beside its own request.
void expect_true_pairs(const std::vector<ReadLine>& lines) {
  std::map<uint64_t, size_t> named;  // by `exchange`
  for (const ReadLine& line : lines) {
    const auto name = named_exchange(line);
    if (!line.has_exchange || !name) continue;
    if (line.is_request) {
      named[line.exchange] = *name;
    } else if (named.contains(line.exchange)) {
      ASSERT_EQ(named[line.exchange], *name) << "a wrong pair: " << line.text;
    }
  }
}

void expect_everything(const Conversation& conversation, const std::vector<ReadLine>& lines) {
  EXPECT_EQ(lines.size(), conversation.messages.size());
  for (const ReadLine& line : lines) {
    ASSERT_FALSE(line.incomplete) << line.text;
    ASSERT_FALSE(line.after_gap) << line.text;
    ASSERT_TRUE(line.has_exchange) << line.text;
    if (line.status != 100) {
      ASSERT_EQ(line.exchange, named_exchange(line)) << line.text;
    }
  }
}

void check(FuzzInput input) {
  const uint8_t kind = input.u8();
  const bool loses = (kind & 1) != 0;
  const bool shows_pipelining = loses && (kind & 2) != 0;
  const Conversation conversation = ConversationMaker(input, loses, shows_pipelining).make();
  Sender sender(input, loses);
  sender.send(conversation);
  const std::vector<ReadLine> lines = read_lines(sender.harness().lines);
  expect_order_and_pairing(lines);
  for (const ReadLine& line : lines) expect_truth(conversation, line);
  expect_true_pairs(lines);
  if (!sender.lost_any()) expect_everything(conversation, lines);
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  tcp_sniffer::fuzz::check(tcp_sniffer::fuzz::FuzzInput(data, size));
  return 0;
}
