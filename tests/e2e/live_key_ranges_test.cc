// The numeric keys that only a live capture uses, at both ends of their ranges.

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "io/config/config_keys.h"
#include "support/ledger_check.h"
#include "support/live_lab.h"

namespace tcp_sniffer::live_key_ranges_test {
namespace {

using Arguments = std::vector<std::string>;

class LiveKeyRanges : public LiveLab {
 protected:
  // A server that answers as many requests as are sent, each on a connection of its own.
  void exchange(int count) {
    Descriptor listening;
    server_.run([&] {
      listening = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      ::setsockopt(listening.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
      sockaddr_in at{};
      at.sin_family = AF_INET;
      at.sin_port = htons(80);
      ASSERT_EQ(::bind(listening.get(), reinterpret_cast<sockaddr*>(&at), sizeof(at)), 0);
      ASSERT_EQ(::listen(listening.get(), 16), 0);
    });
    std::thread server([&] {
      for (int i = 0; i < count; i++) {
        const Descriptor socket(::accept(listening.get(), nullptr, nullptr));
        char request[4096];
        if (::recv(socket.get(), request, sizeof(request), 0) <= 0) continue;
        const std::string_view answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
        ::send(socket.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
        while (::recv(socket.get(), request, sizeof(request), 0) > 0) {
        }
      }
    });
    Load load;
    load.connections = 1;
    load.exchanges = 1;
    for (int i = 0; i < count; i++) EXPECT_EQ(send(load).exchanges, 1u);
    server.join();
  }

  // Ten exchanges under the key's value, of which so many messages come out; the ledger.
  Json capture(std::string_view name, bool at_most, uint64_t messages = 20,
               const Arguments& more = {}) {
    const KeySpec* key = find_key(name);
    Arguments arguments = {"-i",
                           "right",
                           "-p",
                           "80",
                           "--stats-interval-ms",
                           "50",
                           "--" + flag_name(name),
                           std::to_string(at_most ? key->maximum : key->minimum)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    LiveSniffer sniffer(server_, arguments);
    EXPECT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    exchange(10);
    // Each of them takes more than four frames.
    EXPECT_TRUE(until([&] {
      const std::vector<Json> stats = sniffer.events("stats");
      return sniffer.lines() >= messages && !stats.empty() &&
             stats.back()["frames"]["received"] > 40;
    }));
    EXPECT_EQ(sniffer.stop().code, 0) << sniffer.said();
    Json stopped = sniffer.stopped();
    expect_ledger_closes(stopped);
    return stopped;
  }
};

TEST_F(LiveKeyRanges, SnaplenCutsFramesOrTakesThemWhole) {
  if (IsSkipped()) return;
  EXPECT_EQ(capture("snaplen", true)["messages"]["written"], 20);
  // Less than the headers with their options.
  EXPECT_EQ(capture("snaplen", false, 0)["messages"]["written"], 0);
}

TEST_F(LiveKeyRanges, TheKernelsBufferMayBeSmallOrLarge) {
  if (IsSkipped()) return;
  EXPECT_EQ(capture("bufferSizeMiB", false)["messages"]["written"], 20);
  EXPECT_EQ(capture("bufferSizeMiB", true)["messages"]["written"], 20);
}

TEST_F(LiveKeyRanges, OneCaptureThreadOrAsManyAsThereMayBe) {
  if (IsSkipped()) return;
  EXPECT_EQ(capture("captureThreads", false)["messages"]["written"], 20);
  EXPECT_EQ(capture("captureThreads", true, 20, {"--buffer-size-mib", "1"})["messages"]["written"],
            20);
}

TEST_F(LiveKeyRanges, TheWarningOfSilenceMayBeOffOrADayAway) {
  if (IsSkipped()) return;
  EXPECT_EQ(capture("noPacketsWarningMs", false)["messages"]["written"], 20);
  EXPECT_EQ(capture("noPacketsWarningMs", true)["messages"]["written"], 20);
}

}  // namespace
}  // namespace tcp_sniffer::live_key_ranges_test
