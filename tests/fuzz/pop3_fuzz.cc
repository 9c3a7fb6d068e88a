// POP3 sessions of which any segment may be lost, cut, swapped or seen from one side only: what a
// client sends to sign in stands in no line and no event.

#include <gtest/gtest.h>

#include <array>

#include "fuzz_input.h"
#include "line_oracles.h"
#include "show.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::fuzz {
namespace {

using namespace shard_harness;

constexpr std::string_view kSecret = "S3cr3tV4lue";

struct Said {
  bool by_client;
  std::string text;
};

constexpr size_t kSignIns = 10;  // the first of the words

// What is said next; the secret stands only where a client signs in.
Said words(size_t index, FuzzInput& input) {
  const std::string secret(kSecret);
  switch (index) {
    case 0:
      return {true, "PASS " + secret + "\r\n"};
    case 1:
      return {true, "pass\t" + secret + "\r\n"};
    case 2:
      return {true, " PASS " + secret + "\r\n"};
    case 3:
      return {true, "APOP ada " + secret + "\r\n"};
    case 4:
      return {true, "AUTH PLAIN " + secret + "\r\n"};
    case 5:
      return {true, "AUTH PLAIN\r\n" + secret + "\r\n"};  // pipelined
    case 6:
      return {true, "AUTH LOGIN\r\n"};
    case 7:
      return {true, "AUTH XOAUTH2\r\n" + secret + "\r\n*\r\n"};
    case 8:
      return {true, "AUTH LOGIN\r\n" + secret + "\r\n" + secret + "=\r\n"};
    case 9:
      return {true, secret + "=\r\n"};  // as a mechanism asks for it
    case 10:
      return {true, "USER ada\r\n"};
    case 11:
      return {true, "RETR 1\r\n"};
    case 12:
      return {true, "UNKNOWN x\r\n"};
    case 13:
      return {false, "+OK ready\r\n"};
    case 14:
      return {false, "-ERR no\r\n"};
    case 15:
      return {false, "+ \r\n"};
    case 16:
      return {false, "+ VXNlcm5hbWU6\r\n"};
    case 17:
      return {false,
              "+OK\r\nSubject: x\r\n\r\n..\r\n" + std::string(input.u8(), 'm') + "\r\n.\r\n"};
    case 18:
      return {false, "+OK " + std::string(size_t{40} * input.u8(), 'l') + "\r\n"};
    default:
      return {true, "CAPA\r\n"};
  }
}

class Session {
 public:
  explicit Session(FuzzInput input) : input_(input), flags_(input_.u8()), harness_(settings()) {}

  void run() {
    if ((flags_ & 1) == 0) {
      put(true, kTcpSyn, "");
      put(false, kTcpSyn, "");
      next_[0]++;
      next_[1]++;
      put(true, 0, "");
    }
    if ((flags_ & 2) == 0) send({false, "+OK POP3 ready <1.2@h>\r\n"});
    while (!input_.empty() && sent_ < 60) send(next_said());
    harness_.drain();
    harness_.check_ledger();
    expect_hidden();
  }

 private:
  static ShardSettings settings() {
    ShardSettings settings;
    settings.protocols.speak("pop3");
    settings.lines.raw_headers = true;
    return settings;
  }

  void expect_hidden() const {
    for (const std::string& line : harness_.lines) {
      EXPECT_EQ(line.find(kSecret), std::string::npos) << line;
      read_line(line);
    }
    for (const EventRecord& event : harness_.events.records) {
      const std::string bytes(reinterpret_cast<const char*>(&event), sizeof(event));
      EXPECT_EQ(bytes.find(kSecret), std::string::npos) << "in an event";
    }
  }

  // A client signs in until a server says that it has; what a mechanism asks for comes after AUTH.
  Said next_said() {
    size_t index = input_.below(20);
    if (index < kSignIns && signed_in_) index += kSignIns;
    if (index == 9 && !authenticating_) index = 6;
    if (index == 6) authenticating_ = true;
    Said said = words(index, input_);
    tried_ = tried_ || index < kSignIns;
    if (said.text.starts_with("+OK") || said.text.starts_with("-ERR")) authenticating_ = false;
    signed_in_ = signed_in_ || (tried_ && said.text.starts_with("+OK"));
    return said;
  }

  void send(const Said& said) {
    sent_++;
    const size_t how = input_.below(8);
    if (how == 0) {  // cut once
      const size_t at = input_.u8() % said.text.size();
      deliver(said.by_client, said.text.substr(0, at));
      deliver(said.by_client, said.text.substr(at));
    } else if (how == 1) {  // lost
      next_[said.by_client ? 0 : 1] += static_cast<uint32_t>(said.text.size());
    } else {
      deliver(said.by_client, said.text);
    }
  }

  void deliver(bool by_client, const std::string& text) {
    const bool is_captured = by_client ? (flags_ & 4) == 0 : (flags_ & 8) == 0;
    if (is_captured) put(by_client, 0, text);
    next_[by_client ? 0 : 1] += static_cast<uint32_t>(text.size());
    clock_ns_ += int64_t{kMs} * (flags_ >> 4) * 100;
  }

  void put(bool by_client, uint8_t flags, const std::string& text) {
    Segment segment;
    segment.key = key_of(40000, (flags_ & 2) == 0 ? 110 : 8110);
    segment.side = by_client ? Side::kLow : Side::kHigh;
    segment.sequence = next_[by_client ? 0 : 1];
    segment.flags = flags;
    if (flags != kTcpSyn || !by_client) {
      segment.flags |= kTcpAck;
      segment.acknowledgment = next_[by_client ? 1 : 0] + (flags == kTcpSyn ? 1 : 0);
    }
    segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(text.size());
    segment.clock_ns = segment.time_ns = clock_ns_ += 1000;
    show(segment, text);
    harness_.add(segment, text);
  }

  FuzzInput input_;
  const uint8_t flags_;
  ShardHarness harness_;
  std::array<uint32_t, 2> next_ = {1000, 5000};
  size_t sent_ = 0;
  bool authenticating_ = false;
  bool tried_ = false;
  bool signed_in_ = false;
  int64_t clock_ns_ = kStartNs;
};

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  Session(FuzzInput(data, size)).run();
  return 0;
}
