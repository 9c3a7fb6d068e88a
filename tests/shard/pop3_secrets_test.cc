#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/repetitions.h"
#include "support/shard_harness.h"

// Sessions with planted secrets, cut, lost, reordered and captured in part at random: no piece of a
// secret appears in a line or an event.
namespace tcp_sniffer::pop3_secrets_test {
namespace {

using namespace shard_harness;

constexpr size_t kPieceSize = 5;  // what of a secret must not be seen

struct Turn {
  Side side;
  std::string text;
};

struct Session {
  std::vector<Turn> turns;
  std::vector<std::string> secrets;
};

class Maker {
 public:
  Maker(uint64_t seed, bool quotes) : random_(seed), quotes_(quotes) {}

  Session make() {
    server("+OK <1896.697@a.example> ready\r\n");
    const uint64_t logins = 1 + number(3);
    for (uint64_t i = 0; i < logins; i++) {
      if (chance(3)) command("CAPA\r\n", "+OK\r\nSASL PLAIN LOGIN\r\nUSER\r\n.\r\n");
      login(i + 1 == logins && !chance(4));
    }
    command("STAT\r\n", "+OK 1 20000\r\n");
    if (chance(2)) {
      const std::string line(number(2) * 9000 + number(200), 'm');
      command("RETR 1\r\n", "+OK\r\nSubject: a\r\n\r\n" + line + "+OK no reply\r\n+ \r\n.\r\n");
    }
    if (chance(2)) command("XFOO\r\n", "-ERR\r\n");
    command("QUIT\r\n", "+OK bye\r\n");
    return session_;
  }

 private:
  uint64_t number(uint64_t below) { return random_() % below; }
  bool chance(uint64_t of) { return number(of) == 0; }
  void client(const std::string& text) { session_.turns.push_back({Side::kLow, text}); }
  void server(const std::string& text) { session_.turns.push_back({Side::kHigh, text}); }
  void command(const std::string& text, const std::string& reply) {
    client(text);
    server(reply);
  }

  // Base64 letters. Every second one is in no word of a line, so no piece is there by chance.
  std::string secret() {
    constexpr std::string_view kLetters =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz01/+";
    constexpr std::string_view kNowhereElse = "HJQVWXY";
    std::string text = "s3";
    for (uint64_t size = 8 + number(chance(20) ? 9000 : 30); size > 0; size--) {
      const std::string_view letters = size % 2 == 0 ? kNowhereElse : kLetters;
      text += letters[number(letters.size())];
    }
    session_.secrets.push_back(text);
    return text;
  }
  std::string blanks() {
    constexpr std::string_view kBlanks[] = {" ", "\t", "  ", " \t"};
    return std::string(kBlanks[chance(4) ? number(4) : 0]);
  }

  void login(bool succeeds) {
    const std::string last = succeeds ? "+OK welcome\r\n" : "-ERR no\r\n";
    const std::string before = chance(8) ? " " : "";
    switch (number(quotes_ ? 6 : 5)) {
      case 0:
        command("USER anna\r\n", "+OK\r\n");
        command(before + (chance(2) ? "PASS" : "pass") + blanks() + secret() + "\r\n", last);
        return;
      case 1:
        command(before + "APOP" + blanks() + "anna " + secret() + "\r\n", last);
        return;
      case 2:
        command(before + "AUTH" + blanks() + "PLAIN " + secret() + "\r\n", last);
        return;
      case 3:
        answer("AUTH PLAIN\r\n", {secret() + "\r\n"}, last);
        return;
      case 5: {  // the server quotes what it does not know
        const std::string line = secret();
        command(line + "\r\n", "-ERR unknown command " + line + "\r\n");
        if (succeeds) command("APOP anna " + secret() + "\r\n", last);
        return;
      }
      default:
        answer("AUTH LOGIN\r\n", {secret() + "\r\n", secret() + "\r\n"}, last);
        return;
    }
  }
  // Waiting for each question or not.
  void answer(const std::string& start, const std::vector<std::string>& answers,
              const std::string& last) {
    const bool pipelined = chance(3);
    client(start);
    if (pipelined) {
      for (const std::string& text : answers) client(text);
      for (size_t i = 0; i < answers.size(); i++) server("+ \r\n");
    } else {
      for (const std::string& text : answers) {
        server("+ \r\n");
        client(text);
      }
    }
    server(last);
  }

  std::mt19937_64 random_;
  const bool quotes_;  // lines that are no command are sent, and the server repeats them
  Session session_;
};

struct Frame {
  Segment segment;
  std::string text;
};

std::vector<Frame> frames_of(const Session& session, std::mt19937_64& random) {
  std::array<uint32_t, 2> next = {1001, 0x90000001};
  std::vector<Frame> frames;
  int64_t clock_ns = kStartNs;
  const auto add = [&](Side side, uint8_t flags, std::string text) {
    const auto me = static_cast<size_t>(side);
    Frame frame;
    frame.segment.key = key_of(40000, 110);
    frame.segment.side = side;
    frame.segment.flags = flags;
    frame.segment.sequence = next[me];
    if ((flags & kTcpAck) != 0) frame.segment.acknowledgment = next[1 - me];
    frame.segment.clock_ns = frame.segment.time_ns = clock_ns += kMs;
    frame.segment.payload_size = frame.segment.payload_wire_size =
        static_cast<uint32_t>(text.size());
    next[me] += static_cast<uint32_t>(text.size()) + ((flags & kTcpSyn) != 0 ? 1 : 0);
    frame.text = std::move(text);
    frames.push_back(std::move(frame));
  };
  next = {1000, 0x90000000};
  add(Side::kLow, kTcpSyn, "");
  add(Side::kHigh, kTcpSyn | kTcpAck, "");
  add(Side::kLow, kTcpAck, "");
  const size_t piece_max = random() % 2 == 0 ? 5000 : 1 + random() % 20;
  for (const Turn& turn : session.turns) {
    for (size_t at = 0; at < turn.text.size();) {
      const size_t size = std::max<size_t>(1 + random() % piece_max, turn.text.size() / 40);
      add(turn.side, kTcpAck, turn.text.substr(at, size));
      at += size;
    }
  }
  return frames;
}

void damage(std::vector<Frame>& frames, std::mt19937_64& random) {
  const auto kind = random() % 8;
  if (kind == 1) {  // one side only
    const auto side = static_cast<Side>(random() % 2);
    std::erase_if(frames, [side](const Frame& frame) { return frame.segment.side == side; });
  }
  if (kind == 2 || kind == 3) {  // met in its middle
    frames.erase(frames.begin(),
                 frames.begin() + static_cast<std::ptrdiff_t>(random() % frames.size()));
  }
  if (kind >= 3) {
    const uint64_t of = 2 + random() % 30;
    std::erase_if(frames, [&](const Frame&) { return random() % of == 0; });
  }
  if (kind >= 5 && frames.size() > 1) {
    for (size_t swaps = 1 + random() % 10; swaps > 0; swaps--) {
      const size_t at = random() % (frames.size() - 1);
      std::swap(frames[at].segment.clock_ns, frames[at + 1].segment.clock_ns);
      std::swap(frames[at], frames[at + 1]);
    }
  }
}

std::string shown(const EventRecord& record) {
  return {reinterpret_cast<const char*>(record.sample.data()), record.sample_size};
}

// The piece of a secret that is in the text; empty: none.
std::string leaked(const Session& session, const std::string& text) {
  for (const std::string& secret : session.secrets) {
    for (size_t at = 0; at + kPieceSize <= secret.size(); at++) {
      const std::string piece = secret.substr(at, kPieceSize);
      if (text.find(piece) != std::string::npos) return piece;
    }
  }
  return "";
}

TEST(Pop3Secrets, NoPieceOfOneIsShownWhateverIsLost) {
  const uint64_t sessions = repetitions("TCP_SNIFFER_POP3_SESSIONS", 1500, 190);
  for (uint64_t seed = 1; seed <= sessions; seed++) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    const bool speaks_pop3 = seed % 7 != 0;
    const Session session = Maker(seed, speaks_pop3).make();
    std::mt19937_64 random(seed);
    std::vector<Frame> frames = frames_of(session, random);
    if (seed % 10 != 0) damage(frames, random);
    ShardSettings settings;
    // Without it nothing of it is in a line, nor in a sample.
    settings.protocols.speak("pop3", speaks_pop3);
    settings.lines.raw_headers = true;
    if (seed % 3 == 0) {
      settings.lines.format = LineOptions::kPretty;
      settings.protocols.http.request_target_max = 1024;
    }
    ShardHarness harness(settings);
    for (const Frame& frame : frames) {
      harness.add(frame.segment, frame.text);
      if (random() % 4 == 0) harness.process();
    }
    harness.process(kStartNs + 100'000 * kMs);
    harness.drain();
    harness.check_ledger();
    for (const std::string& line : harness.lines) ASSERT_EQ(leaked(session, line), "") << line;
    for (const EventRecord& record : harness.events.records) {
      ASSERT_EQ(leaked(session, shown(record)), "") << shown(record);
    }
  }
}

// The greeting is lost, and the SYN ACK, from which the loss could be seen, is captured late.
TEST(Pop3Secrets, AFirstReplyThatComesWhenCommandsWaitMayAnswerOneOfThem) {
  Session session;
  session.turns = {{Side::kHigh, "+OK\r\n"},
                   {Side::kLow, "NOOP\r\n"},
                   {Side::kHigh, "+OK\r\n"},
                   {Side::kLow, "s3cretly\r\n"},
                   {Side::kHigh, "-ERR what is s3cretly\r\n"}};
  session.secrets = {"s3cretly"};
  std::mt19937_64 random(2);
  std::vector<Frame> frames = frames_of(session, random);
  frames.erase(frames.begin() + 2, frames.begin() + 4);  // the ACK of the handshake, the greeting
  std::swap(frames[1], frames[2]);
  ShardSettings settings;
  settings.protocols.speak("pop3");
  ShardHarness harness(settings);
  for (const Frame& frame : frames) harness.add(frame.segment, frame.text);
  harness.drain();
  ASSERT_EQ(harness.lines.size(), 4u);
  for (const std::string& line : harness.lines) EXPECT_EQ(leaked(session, line), "") << line;
  EXPECT_EQ(harness.lines[3].find("\"exchange\":0"), std::string::npos) << harness.lines[3];
}

}  // namespace
}  // namespace tcp_sniffer::pop3_secrets_test
