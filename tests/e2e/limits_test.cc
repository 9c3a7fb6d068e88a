// Traffic made to eat memory: the resident memory of the program stays under memoryLimit, and what
// is given up for it is counted and said on its message.

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::limits_test {
namespace {

constexpr uint64_t kMiB = uint64_t{1} << 20;

// Sanitizers bring memory of their own, and take their time: the same runs, smaller, not measured.
constexpr uint64_t kScale = kSanitized ? 20 : 1;

// Passes the capture on as it is made: it need not exist as a whole.
class Sink {
 public:
  explicit Sink(int fd) : fd_(fd) {}
  CaptureMaker maker;
  void pass_on(bool all = false) {
    if (!all && maker.bytes().size() < kMiB) return;
    const std::string bytes = maker.take();
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t size = ::write(fd_, rest.data(), rest.size());
      if (size <= 0) return;
      rest.remove_prefix(static_cast<size_t>(size));
    }
  }

 private:
  int fd_;
};

using Traffic = std::function<void(Sink&)>;

// `stall`: nobody reads the output, which is a pipe then, until the program stands still.
Finished run_with(const Traffic& traffic, std::vector<std::string> arguments, bool stall = false) {
  ::signal(SIGPIPE, SIG_IGN);
  Pipe in = make_pipe();
  Pipe lines = make_pipe();
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  arguments.insert(arguments.begin(), {"-r", "-", "--format", "ndjson"});
  Child child(sniffer(std::move(arguments)),
              {in.read_end.get(), stall ? lines.write_end.get() : out.get(), err.get()});
  in.read_end.reset();
  lines.write_end.reset();
  std::string text;
  std::thread reader([&] {
    if (!stall) return;
    EXPECT_TRUE(until_still([&] { return waiting_in(lines.read_end.get()); }));
    text = read_all(lines.read_end.get());
  });
  std::thread feeder([&] {
    Sink sink(in.write_end.get());
    traffic(sink);
    sink.pass_on(true);
    in.write_end.reset();
  });
  Finished result;
  result.exit = child.wait();
  feeder.join();
  reader.join();
  result.out = stall ? text : content_of(out);
  result.err = content_of(err);
  return result;
}

// Ordinary traffic that fills every fixed pool: pieces of the file, packet blocks, line blocks.
void ordinary_traffic(Sink& sink) {
  const std::string body(20000, 'b');
  for (int i = 0; i < 4000; i++) {
    auto connection = sink.maker.open();
    sink.maker.exchange(connection, "/ordinary", body);
    sink.maker.close(connection);
    sink.pass_on();
  }
}

struct Measured {
  Finished run;
  Json stopped;
  std::map<std::string, uint64_t> incomplete;  // lines by cause; "" = whole

  uint64_t count(const std::string& cause) const {
    const auto found = incomplete.find(cause);
    return found == incomplete.end() ? 0 : found->second;
  }
};

Measured measure(const char* name, const Traffic& traffic, uint64_t limit_mib,
                 std::vector<std::string> arguments) {
  arguments.insert(arguments.end(),
                   {"--memory-limit", std::to_string(limit_mib) + "M", "--log-level", "info"});
  const Finished ordinary = run_with(ordinary_traffic, arguments);
  EXPECT_EQ(ordinary.exit.code, 0) << ordinary.err;
  Measured measured;
  measured.run = run_with(traffic, arguments);
  EXPECT_EQ(measured.run.exit.code, 0) << measured.run.err.substr(0, 2000);
  measured.stopped = event_named(measured.run.err, "stopped");
  expect_ledger_closes(measured.stopped);
  for (const std::string& line : lines_of(measured.run.out)) {
    const Json message = Json::parse(line, nullptr, false);
    EXPECT_TRUE(message.is_object());
    measured.incomplete[message.value("incomplete", "")]++;
  }
  const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / double{kMiB}; };
  const uint64_t above = measured.run.exit.resident_max > ordinary.exit.resident_max
                             ? measured.run.exit.resident_max - ordinary.exit.resident_max
                             : 0;
  std::printf(
      "%s: %.1f MiB above the %.1f MiB of ordinary traffic, limit %llu MiB; refusals %llu\n", name,
      mib(above), mib(ordinary.exit.resident_max), static_cast<unsigned long long>(limit_mib),
      static_cast<unsigned long long>(measured.stopped["memory"]["refusals"]));
  for (const auto& [cause, count] : measured.incomplete) {
    std::printf("  %llu %s\n", static_cast<unsigned long long>(count),
                cause.empty() ? "whole" : cause.c_str());
  }
  // Beside the limit: the table of open connections, which maxConcurrentConnections bounds, and
  // what of the fixed pools ordinary traffic leaves untouched.
  constexpr uint64_t kConnectionBytes = 450;
  constexpr uint64_t kFixedBytes = 8 * kMiB;
  const uint64_t beside =
      measured.stopped["connections"]["opened"].get<uint64_t>() * kConnectionBytes + kFixedBytes;
  if (!kSanitized) {
    EXPECT_LE(above, limit_mib * kMiB * 11 / 10 + beside) << name;
  }
  return measured;
}

class MemoryLimit : public testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> shards() const { return {"--shards", GetParam()}; }
};

TEST_P(MemoryLimit, HoldsWhenTwentyThousandPostsOfOneMebibyteStayUnfinished) {
  constexpr uint64_t kConnections = 20000 / kScale;
  const Measured measured = measure(
      "unfinished POSTs",
      [](Sink& sink) {
        const std::string part(8000, 'p');
        std::vector<CaptureMaker::Connection> connections;
        for (uint64_t i = 0; i < kConnections; i++) {
          connections.push_back(sink.maker.open());
          sink.maker.segment(connections.back(), CaptureMaker::kClient,
                             "POST /upload HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n" + part);
          sink.pass_on();
        }
        for (int round = 0; round < 3; round++) {
          for (auto& connection : connections) {
            sink.maker.segment(connection, CaptureMaker::kClient, part);
            sink.pass_on();
          }
        }
      },
      64, shards());
  const auto& bytes = measured.stopped["bytes"];
  const auto& messages = measured.stopped["messages"];
  // Nearly every POST is told of, as not whole. A connection that was given up is met again in its
  // middle by its next segment, and has nothing to tell then.
  const auto& connections = measured.stopped["connections"];
  const uint64_t told =
      messages["written"].get<uint64_t>() + messages["lost_before_start_line"].get<uint64_t>();
  EXPECT_LE(told, connections["opened"]);
  EXPECT_LE(connections["opened"].get<uint64_t>(),
            kConnections + connections["evicted"].get<uint64_t>());
  EXPECT_GE(told, kConnections - kConnections / 100);
  EXPECT_EQ(connections["opened"] == kConnections, connections["refused"] == 0) << connections;
  EXPECT_FALSE(measured.incomplete.contains(""));
  EXPECT_GT(bytes["captured"], kConnections * 32000 - 1);
  if (!kSanitized) {
    EXPECT_GT(measured.stopped["memory"]["refusals"], 0);
    EXPECT_FALSE(measured.stopped["deterministic"]);
    EXPECT_GT(measured.incomplete.at("limit"), 1000u);
  }
}

TEST_P(MemoryLimit, HoldsWhenHeadersNeverEnd) {
  constexpr uint64_t kConnections = 1000 / kScale;
  const Measured measured = measure(
      "endless headers",
      [](Sink& sink) {
        std::string lines;
        while (lines.size() < 15000) lines += "x-more-and-more: of the same\r\n";
        std::vector<CaptureMaker::Connection> connections;
        for (uint64_t i = 0; i < kConnections; i++) {
          connections.push_back(sink.maker.open());
          sink.maker.segment(connections.back(), CaptureMaker::kClient,
                             "GET /endless HTTP/1.1\r\n");
        }
        for (int round = 0; round < 30; round++) {
          for (auto& connection : connections) {
            sink.maker.segment(connection, CaptureMaker::kClient, lines);
            sink.pass_on();
          }
        }
      },
      64, shards());
  const auto& messages = measured.stopped["messages"];
  // Where memory has ended there is none for the line of such a head, either, which is counted.
  EXPECT_EQ(ledger_sum(messages, {"written", "lost_before_start_line", "dropped_overload"}),
            kConnections);
  // Beyond maxHeaderBytes, or of a connection that was given up, as it held most for what it
  // delivered.
  EXPECT_EQ(measured.incomplete.at("limit") + measured.count("evicted"), messages["written"]);
  // Counted are also those for whose line there was no memory.
  const uint64_t limited = measured.stopped["incomplete"]["limit"];
  EXPECT_GE(limited, measured.incomplete.at("limit"));
  EXPECT_LE(limited,
            measured.incomplete.at("limit") + messages["dropped_overload"].get<uint64_t>());
  EXPECT_FALSE(events_named(measured.run.err, "limit").empty());
}

TEST_P(MemoryLimit, HoldsWhenRequestsAreSentAndNeverAnswered) {
  constexpr uint64_t kConnections = 200;
  constexpr uint64_t kRequests = 1000 / kScale;
  const Measured measured = measure(
      "endless pipelined requests",
      [](Sink& sink) {
        std::string requests;
        for (int i = 0; i < 100; i++) requests += "GET /again HTTP/1.1\r\nHost: a\r\n\r\n";
        std::vector<CaptureMaker::Connection> connections;
        for (uint64_t i = 0; i < kConnections; i++) connections.push_back(sink.maker.open());
        for (uint64_t sent = 0; sent < kRequests; sent += 100) {
          for (auto& connection : connections) {
            sink.maker.segment(connection, CaptureMaker::kClient, requests);
            sink.pass_on();
          }
        }
      },
      64, shards());
  const uint64_t all = (kRequests + 99) / 100 * 100 * kConnections;
  EXPECT_EQ(measured.stopped["messages"]["requests"], all);
  EXPECT_EQ(measured.incomplete.at(""), all);
  EXPECT_TRUE(kSanitized || !events_named(measured.run.err, "limit").empty());
}

TEST_P(MemoryLimit, HoldsWhenThereAreHolesEverywhere) {
  constexpr uint64_t kConnections = 5000 / kScale;
  constexpr uint64_t kPieces = 20;
  const Measured measured = measure(
      "holes everywhere",
      [](Sink& sink) {
        const std::string piece(4000, 'h');
        std::vector<CaptureMaker::Connection> connections;
        for (uint64_t i = 0; i < kConnections; i++) {
          connections.push_back(sink.maker.open());
          sink.maker.segment(connections.back(), CaptureMaker::kClient,
                             "POST /holes HTTP/1.1\r\nContent-Length: 1048576\r\n\r\n");
        }
        for (uint64_t round = 0; round < kPieces; round++) {
          for (auto& connection : connections) {
            sink.maker.lose(connection, CaptureMaker::kClient, 1000);
            sink.maker.segment(connection, CaptureMaker::kClient, piece);
            sink.pass_on();
          }
        }
      },
      64, shards());
  EXPECT_EQ(measured.stopped["messages"]["written"], kConnections);
  EXPECT_FALSE(measured.incomplete.contains(""));
  // What holds much and has delivered little is given up; nobody knows what is missing of the rest.
  EXPECT_GT(measured.stopped["bytes"]["missing"], 0);
  EXPECT_LE(measured.stopped["bytes"]["missing"], kConnections * kPieces * 1000);
  EXPECT_TRUE(kSanitized || measured.stopped["connections"]["evicted"] > 0);
}

TEST_P(MemoryLimit, HoldsWhenFragmentsNeverBecomeDatagrams) {
  constexpr uint64_t kFragments = 100000 / kScale;
  const Measured measured = measure(
      "fragments that never complete",
      [](Sink& sink) {
        const std::string part(1400, 'f');
        for (uint64_t i = 0; i < kFragments; i++) {
          const CaptureMaker::Connection from{.number = static_cast<uint32_t>(i * 7)};
          sink.maker.frame(CaptureMaker::packet(from, CaptureMaker::kClient, 6,
                                                static_cast<uint16_t>(i), 0x2000, part));
          sink.pass_on();
        }
      },
      64, shards());
  EXPECT_EQ(measured.stopped["frames"]["fragment_dropped"], kFragments);
  EXPECT_TRUE(measured.run.out.empty());
}

// Large bodies, and an output that is not read until the program has taken all it can.
TEST_P(MemoryLimit, HoldsWhenTheReaderOfTheOutputStops) {
  constexpr size_t kBytes = (kSanitized ? 6 : 30) * kMiB;
  std::vector<std::string> arguments = shards();
  arguments.insert(arguments.end(), {"--memory-limit", "64M", "--max-body-size", "64M"});
  const Finished ordinary = run_with(ordinary_traffic, arguments);
  // Lines as long as their bodies, and six times as long.
  for (const char byte : {'b', '\x01'}) {
    for (const size_t size : {size_t{600} << 10, size_t{12} << 20}) {
      SCOPED_TRACE(std::to_string(size) + (byte == 'b' ? " letters" : " control characters"));
      const auto traffic = [&](Sink& sink) {
        const std::string body(size, byte);
        for (size_t sent = 0; sent < kBytes; sent += size) {
          auto connection = sink.maker.open();
          sink.maker.exchange(connection, "/large", body);
          sink.maker.close(connection);
          sink.pass_on();
        }
      };
      const Finished stopped = run_with(traffic, arguments, true);
      EXPECT_EQ(stopped.exit.code, 0) << stopped.err.substr(0, 2000);
      const Json ledger = event_named(stopped.err, "stopped");
      expect_ledger_closes(ledger);
      // Nothing is lost; what does not fit is cut and says so.
      EXPECT_EQ(ledger["messages"]["written"], ledger["messages"]["parsed"]);
      size_t cut = 0;
      for (const Json& message : json_lines(stopped.out)) {
        if (message["direction"] != "response") continue;
        EXPECT_EQ(message["bodySize"], size);
        if (message.value("incomplete", "") == "limit") {
          cut++;
        } else {
          EXPECT_EQ(message["body"].get<std::string>().size(), size);
        }
      }
      EXPECT_EQ(ledger["incomplete"]["limit"], cut);
      const auto mib = [](uint64_t bytes) { return static_cast<double>(bytes) / double{kMiB}; };
      std::printf("%zu KiB of %s: %.1f MiB, ordinary %.1f MiB, %zu cut\n", size >> 10,
                  byte == 'b' ? "letters" : "control characters", mib(stopped.exit.resident_max),
                  mib(ordinary.exit.resident_max), cut);
      if (!kSanitized) {
        EXPECT_LE(stopped.exit.resident_max, ordinary.exit.resident_max + 64 * kMiB);
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Shards, MemoryLimit, testing::Values("0", "2"));

// What a connection costs that only stands open: above the empty process.
TEST(IdleConnections, AHundredThousandCostSixtyFourMebibytesAtMost) {
  constexpr uint64_t kConnections = 100000 / kScale;
  const std::vector<std::string> arguments = {"--shards", "1", "--max-concurrent-connections",
                                              "100000"};
  const Finished empty = run_with([](Sink&) {}, arguments);
  const Finished idle = run_with(
      [](Sink& sink) {
        for (uint64_t i = 0; i < kConnections; i++) {
          sink.maker.open();
          sink.pass_on();
        }
      },
      arguments);
  EXPECT_EQ(event_named(idle.err, "stopped")["connections"]["drained"], kConnections);
  const uint64_t cost = idle.exit.resident_max - empty.exit.resident_max;
  std::printf("%llu idle connections: %.1f MiB\n", static_cast<unsigned long long>(kConnections),
              static_cast<double>(cost) / double{kMiB});
  if (!kSanitized) {
    EXPECT_LE(cost, 64 * kMiB);
  }
}

// What a further connection costs: a tenth of them use the fixed pools as much as all of them.
TEST(IdleConnections, AMillionAreHeldAtOnceFor400BytesEach) {
  constexpr uint64_t kConnections = 1000000 / kScale;
  const auto open = [](uint64_t connections) {
    const Finished run = run_with(
        [&](Sink& sink) {
          for (uint64_t i = 0; i < connections; i++) {
            sink.maker.open();
            sink.pass_on();
          }
        },
        {"--shards", "1", "--max-concurrent-connections", "1000000"});
    const Json stopped = event_named(run.err, "stopped");
    EXPECT_EQ(stopped["connections"]["drained"], connections);
    EXPECT_EQ(stopped["connections"]["evicted"], 0);
    return run.exit.resident_max;
  };
  const uint64_t each =
      (open(kConnections) - open(kConnections / 10)) / (kConnections - kConnections / 10);
  std::printf("%llu idle connections: %llu bytes each\n",
              static_cast<unsigned long long>(kConnections), static_cast<unsigned long long>(each));
  if (!kSanitized) {
    EXPECT_LE(each, 400u);
  }
}

}  // namespace
}  // namespace tcp_sniffer::limits_test
