// The whole program on a live interface: a real server, a client at full speed.

#include <time.h>

#include "support/live_lab.h"

namespace tcp_sniffer::live_test {
namespace {

using namespace std::chrono_literals;

struct Variant {
  std::string name;
  std::string interface = "right";
  std::string address = kServer4;
  std::string path = "/small";
  bool offloads = true;
  std::vector<std::string> arguments{};
};

void PrintTo(const Variant& variant, std::ostream* out) {
  *out << variant.name;
}

class EveryExchangeIsSeen : public LiveLab, public testing::WithParamInterface<Variant> {};

TEST_P(EveryExchangeIsSeen, AtFullSpeed) {
  if (IsSkipped()) return;
  const Variant& variant = GetParam();
  if (!has_program("ethtool")) GTEST_SKIP() << "ethtool is not installed";
  if (!has_program("nginx")) GTEST_SKIP() << "nginx is not installed";
  set_offloads(variant.offloads);
  std::vector<std::string> arguments = {"-i", variant.interface, "-p", "80"};
  arguments.insert(arguments.end(), variant.arguments.begin(), variant.arguments.end());

  Load load;
  load.address = variant.address;
  load.path = variant.path;
  load.seconds = load_seconds();
  // Bodies of 100 kB would come at a gigabyte a second, more than two processors can serve and
  // read; a sanitizer makes everything slower.
  if (variant.path == "/large") load.per_second = 500;
  if (kSanitized) load.per_second = variant.path == "/large" ? 50 : 500;
  expect_all_found(variant.name, server_, arguments, load,
                   variant.interface == "lo" ? server_ : client_);
}

INSTANTIATE_TEST_SUITE_P(
    Live, EveryExchangeIsSeen,
    testing::Values(Variant{.name = "Ipv4"}, Variant{.name = "Ipv6", .address = kServer6},
                    Variant{.name = "Ipv4WithoutOffloads", .offloads = false},
                    Variant{.name = "Ipv6WithoutOffloads", .address = kServer6, .offloads = false},
                    Variant{.name = "LargeBodies", .path = "/large"},
                    Variant{.name = "LargeBodiesIpv6WithoutOffloads",
                            .address = kServer6,
                            .path = "/large",
                            .offloads = false},
                    Variant{.name = "AnyInterface", .interface = "any"},
                    Variant{.name = "Loopback", .interface = "lo", .address = "127.0.0.1"},
                    Variant{.name = "WithoutShards", .arguments = {"--shards", "0"}},
                    Variant{.name = "TwoCaptureThreads", .arguments = {"--capture-threads", "2"}},
                    Variant{.name = "TwoCaptureThreadsWithoutShards",
                            .arguments = {"--capture-threads", "2", "--shards", "0"}},
                    Variant{.name = "Blocking", .arguments = {"--overload", "block"}}),
    [](const auto& tested) { return tested.param.name; });

// Frames of more than 64 KiB, as BIG TCP makes them, must not be cut.
TEST_F(LiveLab, FramesOfBigTcpArriveWhole) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  for (const auto& [host, interface] : {std::pair(client_, "left"), std::pair(server_, "right")}) {
    if (!host.ip(std::string("link set ") + interface +
                 " gso_max_size 185000 gro_max_size 185000")) {
      GTEST_SKIP() << "this kernel has no BIG TCP";
    }
  }
  write_file(folder_ / "huge", std::string(3'000'000, 'h'));
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--max-body-size", "0"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  Load load;
  load.path = "/huge";
  load.connections = 2;
  // Together less than the kernel's buffer holds: it is not speed that is tested.
  load.exchanges = 10;
  load.address = kServer6;
  const LoadResult sent = send(load);
  EXPECT_EQ(sent.exchanges, 10u);
  EXPECT_EQ(sniffer.stop().code, 0);
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  expect_no_drops(stopped);
  // TCP sends a segment again when its peer gets no processor time.
  EXPECT_EQ(
      stopped["bytes"]["captured"].get<uint64_t>() - stopped["bytes"]["duplicate"].get<uint64_t>(),
      sent.bytes);
  EXPECT_EQ(sniffer.lines(), 20u);
  const double mean = static_cast<double>(sent.bytes) / stopped["frames"]["received"].get<double>();
  std::printf("bytes a frame, acknowledgments included: %.0f\n", mean);
}

// ---------------------------------------------------------------- overload and delay

TEST_F(LiveLab, BlockingLosesNothingWhileTheReaderStalls) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  expect_nothing_lost_in_a_stall(server_, {"-i", "right", "-p", "80"},
                                 std::getenv("TCP_SNIFFER_LIVE_SECONDS") != nullptr ? 5 : 2);
}

// With a small buffer there is a loss, every byte of it is in a counter, and it does not outlast
// the pause.
TEST_F(LiveLab, DroppingCountsEveryByteThatIsMissingWhileTheReaderStalls) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  uint64_t after_requests = 0;
  std::atomic<bool> caught_up{false};
  std::string rest;
  LiveSniffer::Options options;
  options.on_output = [&](std::string_view piece) {
    rest += piece;
    size_t begin = 0;
    for (size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string_view line = std::string_view(rest).substr(begin, end - begin);
      if (line.find("\"path\":\"/small/after\"") != line.npos) after_requests++;
      if (line.find("\"path\":\"/small/probe\"") != line.npos) caught_up = true;
    }
    rest.erase(0, begin);
  };
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--stats-interval-ms", "100"}, options);
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  sniffer.stop_reading();
  // A busy machine takes longer to fill what bridges a pause.
  constexpr uint64_t kDroppedMin = 1000;
  std::atomic<bool> enough{false};
  Load load;
  load.path = "/large";
  load.per_second = 4000;
  load.stop = &enough;
  LoadResult during;
  std::thread flow([&] { during = send(load); });
  const auto count = [&](const char* group, const char* counter) {
    const Json stats = sniffer.last("stats");
    return stats.is_object() ? stats[group][counter].get<uint64_t>() : 0;
  };
  EXPECT_TRUE(until([&] { return count("frames", "dropped_overload") >= kDroppedMin; }));
  sniffer.go_on_reading();
  EXPECT_TRUE(until([&] { return count("bytes", "missing_overload") > 0; }));
  enough.store(true);
  flow.join();
  load.stop = nullptr;
  load.path = "/small/probe";
  load.exchanges = 1;
  ASSERT_TRUE(until([&] {
    during.bytes += send(load).bytes;
    return caught_up.load();
  }));
  load.path = "/small/after";
  load.exchanges = 2000;
  load.per_second = 2000;
  const LoadResult after = send(load);
  EXPECT_EQ(after.exchanges, 2000u);
  // The kernel also counts what comes after the last look at its buffer.
  EXPECT_TRUE(until([&] { return is_quiet(server_) && is_quiet(client_); }));
  const size_t reports = sniffer.events("stats").size();
  EXPECT_TRUE(sniffer.wait_for("stats", reports + 2));
  EXPECT_EQ(sniffer.stop().code, 0);

  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["kernel"]["received"], stopped["frames"]["received"].get<uint64_t>() +
                                               stopped["kernel"]["dropped"].get<uint64_t>());
  // The connections know whose fault their holes are.
  EXPECT_EQ(stopped["capture"]["dropped_untold"], 0);
  EXPECT_LE(stopped["bytes"]["missing_overload"], stopped["bytes"]["missing"]);
  if (stopped["kernel"]["dropped"] == 0) {
    for (const Json& gap : sniffer.events("reassembly_gap")) {
      EXPECT_EQ(gap.value("cause", ""), "overload") << gap;
    }
    // Of a segment that TCP sent again, as it does on a busy machine, both copies may be among the
    // dropped ones.
    constexpr uint64_t kSegmentMax = 1460;
    const uint64_t again =
        (segments_sent_again(server_) + segments_sent_again(client_)) * kSegmentMax;
    const uint64_t found = stopped["bytes"]["captured"].get<uint64_t>() -
                           stopped["bytes"]["duplicate"].get<uint64_t>() +
                           stopped["capture"]["dropped_overload_bytes"].get<uint64_t>();
    EXPECT_GE(found, during.bytes + after.bytes);
    EXPECT_LE(found, during.bytes + after.bytes + again);
  }
  EXPECT_EQ(sniffer.lines(), stopped["messages"]["written"].get<uint64_t>());
  EXPECT_EQ(after_requests, 2000u) << "what came after the pause must be whole";
}

TEST_F(LiveLab, TerminatedInFullFlowTheLastLineIsWholeAndTheLedgerCloses) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  std::atomic<bool> enough{false};
  Load load;
  load.stop = &enough;
  load.seconds = 60;
  std::thread flow([&] { send(load); });
  EXPECT_TRUE(until([&] { return sniffer.lines() > 1000; }));
  const double asked_at = now_seconds();
  const Exit exit = sniffer.stop();
  const double took = now_seconds() - asked_at;
  enough.store(true);
  flow.join();
  EXPECT_EQ(exit.code, 0);
  EXPECT_LT(took, kSanitized ? 20.0 : 2.0);
  EXPECT_TRUE(sniffer.last_line_is_whole());
  const Json stopped = sniffer.stopped();
  expect_ledger_closes(stopped);
  EXPECT_EQ(sniffer.lines(), stopped["messages"]["written"].get<uint64_t>());
  EXPECT_GT(sniffer.lines(), 1000u);
  std::printf("stopped after %.0f ms\n", took * 1000);
}

// From the last packet's time to the line's arrival in the reader. The kernel hands out a buffer
// block when its timeout of 2 ms has run, which older kernels round up to their timer's tick.
TEST_F(LiveLab, MessagesArriveWithinMilliseconds) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  std::vector<double> delays_ms;
  std::string rest;
  LiveSniffer::Options options;
  options.on_output = [&](std::string_view piece) {
    timespec now{};
    clock_gettime(CLOCK_REALTIME, &now);
    const double now_ms =
        static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
    rest += piece;
    size_t begin = 0;
    for (size_t end = 0; (end = rest.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const Json line = Json::parse(rest.begin() + static_cast<ptrdiff_t>(begin),
                                    rest.begin() + static_cast<ptrdiff_t>(end));
      tm when{};
      const std::string text = line["timestamp"];
      strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &when);
      const double begin_ms = static_cast<double>(timegm(&when)) * 1e3 +
                              std::strtod(("0." + text.substr(20, 6)).c_str(), nullptr) * 1e3;
      delays_ms.push_back(now_ms - begin_ms - line["durationMs"].get<double>());
    }
    rest.erase(0, begin);
  };
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"}, options);
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  Load load;
  load.connections = 4;
  load.per_second = kSanitized ? 500 : 5000;
  load.seconds = load_seconds();
  const LoadResult sent = send(load);
  EXPECT_EQ(sniffer.stop().code, 0);
  ASSERT_EQ(delays_ms.size(), sent.exchanges * 2);
  std::sort(delays_ms.begin(), delays_ms.end());
  timespec tick{};
  clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
  const double tick_ms = static_cast<double>(tick.tv_nsec) / 1e6;
  const double p50 = delays_ms[delays_ms.size() / 2];
  const double p99 = delays_ms[delays_ms.size() * 99 / 100];
  std::printf("kernel %s, tick %.0f ms: %zu messages, delay p50 %.2f ms, p99 %.2f ms\n",
              content_of(std::filesystem::path("/proc/sys/kernel/osrelease")).c_str(), tick_ms,
              delays_ms.size(), p50, p99);
  double waiting = 0;
  getloadavg(&waiting, 1);
  if (kSanitized || waiting > 1.5 * std::thread::hardware_concurrency()) {
    GTEST_SKIP() << "the machine is too busy (load " << waiting << ") to judge delays";
  }
  EXPECT_LE(p50, 2 * tick_ms);
  EXPECT_LE(p99, 10 + tick_ms);
}

// Ten minutes are not for every build: TCP_SNIFFER_SOAK_SECONDS=600 asks for them. A tenth of the
// time, a minute of ten, is for warming up.
TEST_F(LiveLab, MemoryStaysFlatAtHalfLoad) {
  if (IsSkipped()) return;
  const char* said = std::getenv("TCP_SNIFFER_SOAK_SECONDS");
  if (said == nullptr) GTEST_SKIP() << "TCP_SNIFFER_SOAK_SECONDS is not set";
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  Load load;
  load.seconds = 2;
  const double full = static_cast<double>(send(load).exchanges) / load.seconds;

  const double seconds = std::strtod(said, nullptr);
  std::atomic<bool> enough{false};
  load.seconds = 0;
  load.per_second = full / 2;
  load.stop = &enough;
  std::thread flow([&] {
    // New connections all the time, as on a gateway.
    load.exchanges = static_cast<uint64_t>(load.per_second);
    while (!enough.load()) send(load);
  });
  std::vector<double> resident;
  const double begin = now_seconds();
  while (now_seconds() - begin < seconds) {
    std::this_thread::sleep_for(1s);
    const std::string status =
        content_of(std::filesystem::path("/proc/" + std::to_string(sniffer.pid()) + "/statm"));
    if (now_seconds() - begin < seconds / 10) continue;
    resident.push_back(std::strtod(status.substr(status.find(' ')).c_str(), nullptr));
  }
  enough.store(true);
  flow.join();
  EXPECT_EQ(sniffer.stop().code, 0);
  expect_no_drops(sniffer.stopped());
  const auto [least, most] = std::minmax_element(resident.begin(), resident.end());
  std::printf("%.0f s at %.0f exchanges/s: %.1f to %.1f MiB resident\n", seconds, full / 2,
              *least / 256, *most / 256);
  EXPECT_LE(*most, resident.front() * 1.02);
  EXPECT_GE(*least, resident.front() * 0.98);
}

TEST_F(LiveLab, AnIdleCaptureUsesHardlyAnyProcessorTime) {
  if (IsSkipped()) return;
  LiveSniffer sniffer(server_, {"-i", "right", "-p", "80", "--stats-interval-ms", "3000"});
  ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
  const auto ticks = [&] {
    const std::string stat =
        content_of(std::filesystem::path("/proc/" + std::to_string(sniffer.pid()) + "/stat"));
    std::istringstream words(stat.substr(stat.rfind(')') + 2));
    std::string word;
    uint64_t sum = 0;
    for (int i = 3; i <= 15 && words >> word; i++) {
      if (i >= 14) sum += std::stoull(word);
    }
    return sum;
  };
  ASSERT_TRUE(sniffer.wait_for("stats", 1)) << "it has begun";
  const uint64_t before = ticks();
  ASSERT_TRUE(sniffer.wait_for("stats", 2));
  // A tick of this clock is 10 ms; 1 % of the 3 s between two reports is three of them.
  EXPECT_LE(ticks() - before, kSanitized ? 10u : 3u);
  EXPECT_EQ(sniffer.stop().code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::live_test
