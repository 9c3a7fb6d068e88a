// Every packet captured twice (`any` on a gateway, a mirror of two ports) and a hole that is larger
// than any window: the stream must be found again as with single packets.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/run_program.h"

namespace tcp_sniffer::doubled_packets_test {
namespace {

constexpr size_t kExchanges = 60;
constexpr size_t kLost = 20;  // the exchange in which the hole begins
constexpr size_t kHole = 7u << 20;

enum class Copies { kSingle, kDoubled, kDoubledLate };

// Records frames and writes them once or twice: each directly after itself, or three frames later.
class Recorder {
 public:
  explicit Recorder(Copies copies) : copies_(copies) {}

  void put(CaptureMaker::Connection& connection, CaptureMaker::From from,
           std::string_view payload) {
    const uint32_t sequence = connection.next[from];
    maker_.put(connection, from, sequence, payload, CaptureMaker::kAck);
    if (copies_ == Copies::kDoubled) {
      maker_.put(connection, from, sequence, payload, CaptureMaker::kAck);
    }
    if (copies_ == Copies::kDoubledLate) {
      late_.push_back({from, sequence, std::string(payload)});
      if (late_.size() > 3) write_late(connection);
    }
    connection.next[from] += static_cast<uint32_t>(payload.size());
  }
  void write_late(CaptureMaker::Connection& connection) {
    const Frame frame = late_.front();
    late_.erase(late_.begin());
    maker_.put(connection, frame.from, frame.sequence, frame.payload, CaptureMaker::kAck);
  }
  CaptureMaker& maker() { return maker_; }

 private:
  struct Frame {
    CaptureMaker::From from;
    uint32_t sequence;
    std::string payload;
  };
  const Copies copies_;
  CaptureMaker maker_;
  std::vector<Frame> late_;
};

std::string capture_with_hole(Copies copies) {
  Recorder recorder(copies);
  CaptureMaker::Connection connection = recorder.maker().open();
  const std::string body(64 * 1024, 'b');
  for (size_t i = 0; i < kExchanges; i++) {
    recorder.put(connection, CaptureMaker::kClient,
                 "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    std::string response =
        "HTTP/1.1 200 OK\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
    for (std::string_view rest = response; !rest.empty();) {
      const size_t size = std::min<size_t>(1400, rest.size());
      recorder.put(connection, CaptureMaker::kServer, rest.substr(0, size));
      rest.remove_prefix(size);
    }
    if (i == kLost) recorder.maker().lose(connection, CaptureMaker::kServer, kHole);
  }
  return recorder.maker().bytes();
}

size_t responses_of(Copies copies, const char* shards) {
  const TemporaryFolder folder;
  write_file(folder / "hole.pcap", capture_with_hole(copies));
  const Finished run = run_sniffer({"-r", (folder / "hole.pcap").string(), "--format", "ndjson",
                                    "--max-body-size", "0", "--shards", shards});
  EXPECT_EQ(run.exit.code, 0);
  return event_named(run.err, "stopped")["messages"]["responses"].get<size_t>();
}

TEST(DoubledPackets, AfterALargeHoleAsManyResponsesAsWithSingleOnes) {
  for (const char* shards : {"0", "1"}) {
    const size_t single = responses_of(Copies::kSingle, shards);
    EXPECT_GT(single, kExchanges - 5);
    EXPECT_EQ(responses_of(Copies::kDoubled, shards), single);
    EXPECT_EQ(responses_of(Copies::kDoubledLate, shards), single);
  }
}

}  // namespace
}  // namespace tcp_sniffer::doubled_packets_test
