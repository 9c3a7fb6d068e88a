#include "shard/shard_lines.h"

#include <gtest/gtest.h>
#include <sys/time.h>

#include <csignal>
#include <cstdint>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/message/body_file_name.h"
#include "support/content_coders.h"
#include "support/shard_harness.h"

// What a shard counts of bodies and lines on their way out.
namespace tcp_sniffer::shard_lines_test {
namespace {

using namespace shard_harness;
using Json = nlohmann::json;

// What a file of its own would hold.
struct KeptBodies final : BodySink {
  std::vector<std::string> bodies;
  std::vector<bool> incomplete;

  void put(const Message& message) override {
    bodies.emplace_back(message.body);
    incomplete.push_back(body_is_incomplete(message));
  }
};

// A shard that decodes bodies and has taken one response with this one; its line.
class DecodingShard {
 public:
  explicit DecodingShard(std::string_view body, BodySink* sink = nullptr)
      : harness_(settings(sink)) {
    const std::string head = "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
                             std::to_string(body.size()) + "\r\n\r\n";
    const std::string text = head + std::string(body);
    Segment segment;
    segment.key = key_of(40000);
    segment.side = Side::kHigh;
    segment.flags = kTcpSyn | kTcpAck;
    segment.sequence = 999;
    segment.clock_ns = segment.time_ns = kStartNs;
    harness_.add(segment, "");
    segment.flags = kTcpAck;
    segment.sequence = 1000;
    constexpr size_t kSegmentMax = 16384;
    for (std::string_view rest = text; !rest.empty();) {
      const std::string_view part = rest.substr(0, kSegmentMax);
      segment.payload_size = segment.payload_wire_size = static_cast<uint32_t>(part.size());
      harness_.add(segment, part);
      segment.sequence += segment.payload_size;
      rest.remove_prefix(part.size());
    }
    harness_.drain();
    harness_.check_ledger();
  }

  Json line() const {
    EXPECT_EQ(harness_.lines.size(), 1u);
    return harness_.lines.empty() ? Json::object() : Json::parse(harness_.lines[0]);
  }
  const std::string& text() const { return harness_.lines.at(0); }
  uint64_t count(ShardCounter counter) const { return harness_.count(counter); }

 private:
  static ShardSettings settings(BodySink* sink) {
    ShardSettings settings;
    settings.bodies.extract = sink;
    settings.bodies.decode = true;
    settings.bodies.decoded_max = 1u << 24;
    return settings;
  }

  ShardHarness harness_;
};

TEST(ShardLines, ABodyWhoseCodingWasUndoneIsCounted) {
  const DecodingShard shard(content_coders::gzip("plain text"));
  EXPECT_EQ(shard.line()["body"], "plain text");
  EXPECT_EQ(shard.count(ShardCounter::bodies_decoded), 1u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_broken), 0u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_limited), 0u);
}

TEST(ShardLines, AWholeBodyThatCanNotBeDecodedIsExtractedAsItWasSent) {
  const std::string good = content_coders::gzip(std::string(1000, 'a'));
  for (const std::string& body :
       {std::string("this is not gzip"), good.substr(0, good.size() - 4)}) {
    KeptBodies kept;
    const DecodingShard shard(body, &kept);
    EXPECT_TRUE(shard.line().contains("contentDecodeError"));
    ASSERT_EQ(kept.bodies.size(), 1u);
    EXPECT_EQ(kept.bodies[0], body);
    EXPECT_FALSE(kept.incomplete[0]);
  }
  KeptBodies kept;
  const DecodingShard shard(good, &kept);
  ASSERT_EQ(kept.bodies.size(), 1u);
  EXPECT_EQ(kept.bodies[0], std::string(1000, 'a'));
}

TEST(ShardLines, ABodyThatIsNoneOfItsCodingIsCountedAsBroken) {
  const DecodingShard shard("this is not gzip");
  EXPECT_EQ(shard.line()["body"], "this is not gzip");
  EXPECT_EQ(shard.count(ShardCounter::bodies_broken), 1u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_decoded), 0u);
}

TEST(ShardLines, ABodyThatGrowsBeyondAnyReasonIsCountedAsLimited) {
  const DecodingShard shard(content_coders::gzip(std::string(12u << 20, '\0')));
  EXPECT_EQ(shard.count(ShardCounter::bodies_limited), 1u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_broken), 0u);
}

// Makes the machine slow: while it lives, every millisecond is followed by a quarter of a second in
// which nothing is done.
class SlowMachine {
 public:
  SlowMachine() {
    struct sigaction action {};
    action.sa_handler = [](int) {
      const timespec pause = {0, 500'000'000};
      nanosleep(&pause, nullptr);
      run_for_us(1000);
    };
    sigaction(SIGALRM, &action, &before_);
    run_for_us(1000);
  }
  ~SlowMachine() {
    run_for_us(0);
    sigaction(SIGALRM, &before_, nullptr);
  }
  SlowMachine(const SlowMachine&) = delete;
  SlowMachine& operator=(const SlowMachine&) = delete;

 private:
  static void run_for_us(int64_t time_us) {
    const itimerval timer = {{0, 0}, {0, time_us}};
    setitimer(ITIMER_REAL, &timer, nullptr);
  }

  struct sigaction before_ {};
};

TEST(ShardLines, ABodyThatTakesTooLongToDecodeIsCountedAsTooSlow) {
  const std::string text = content_coders::some_text(3u << 20);
  const std::string body = content_coders::gzip(text);
  std::optional<SlowMachine> slow(std::in_place);
  const DecodingShard shard(body);
  slow.reset();
  EXPECT_EQ(shard.count(ShardCounter::bodies_too_slow), 1u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_limited), 0u);
  EXPECT_EQ(shard.count(ShardCounter::bodies_broken), 0u);
  // What was decoded until then is told, with why it is not all.
  EXPECT_EQ(shard.line()["contentDecodeError"], "limit");
  EXPECT_LT(shard.line()["body"].get_ref<const std::string&>().size(), text.size());
}

TEST(ShardLines, TheBytesOfLinesAreCounted) {
  const DecodingShard shard(content_coders::gzip("plain text"));
  EXPECT_EQ(shard.count(ShardCounter::line_bytes), shard.text().size() + 1);
  EXPECT_EQ(shard.count(ShardCounter::messages_written), 1u);
}

}  // namespace
}  // namespace tcp_sniffer::shard_lines_test
