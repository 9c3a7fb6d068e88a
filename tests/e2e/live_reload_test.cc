// SIGHUP under a live load: settings change, and nothing is lost.

#include <map>
#include <string>
#include <utility>

#include "support/live_lab.h"

namespace tcp_sniffer::live_reload_test {
namespace {

class LiveReload : public LiveLab {};

TEST_F(LiveReload, UnderLoadNothingIsLostAndEveryExchangeIsWhole) {
  if (IsSkipped()) return;
  if (!start_server()) GTEST_SKIP() << "nginx is not installed";
  for (const char* shards : {"0", "2"}) {
    SCOPED_TRACE(std::string("shards ") + shards);
    const std::filesystem::path config = folder_ / "config.json";
    write_file(config, "{}");
    std::string text;
    LiveSniffer::Options options;
    options.on_output = [&](std::string_view piece) { text += piece; };
    LiveSniffer sniffer(
        server_, {"-i", "right", "-p", "80", "--shards", shards, "--config", config.string()},
        options);
    ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    std::atomic<bool> done{false};
    size_t hang_ups = 0;
    std::thread operator_at_work([&] {
      const std::vector<std::string> configs = {
          R"({"where": "status >= 500"})",
          R"({"select": ["connectionId", "exchange"]})",
          R"({"redactHeaders": ["host", "server"], "sampleExchanges": 0.5})",
          R"({"redactBody": ["x"], "where": "latencyMs > 0.2"})",
          R"({"sampleExchanges": 0, "alwaysKeep": "path ~ \"/sm*\"", "logLevel": "error"})",
          R"({"redactQuery": ["a"], "redactPattern": ["x+y"], "quiet": true})",
          R"({"ports": [81], "maxBodySize": 5, "where": "status = 200"})",
          "{",
          "{}"};
      for (; !done.load(); hang_ups++) {
        // In one step, as an editor does it.
        write_file(folder_ / "new.json", configs[hang_ups % configs.size()]);
        std::filesystem::rename(folder_ / "new.json", config);
        for (int twice = 0; twice < 2; twice++) sniffer.signal(SIGHUP);
        // 200 a second: a load, as that of the client.
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    Load load;
    load.path = "/small";
    load.seconds = 2;
    // Far below what two processors can do: it is not speed that is tested.
    load.per_second = kSanitized ? 300 : 3000;
    const LoadResult sent = send(load);
    done.store(true);
    operator_at_work.join();
    // What it has to say at the end is said.
    write_file(config, "{}");
    const size_t before = sniffer.events("reloaded").size();
    sniffer.signal(SIGHUP);
    ASSERT_TRUE(sniffer.wait_for("reloaded", before + 1));
    EXPECT_EQ(sniffer.stop().code, 0);
    const Json stopped = sniffer.stopped();
    expect_ledger_closes(stopped);
    expect_no_drops(stopped);
    EXPECT_EQ(stopped["messages"]["parsed"], 2 * sent.exchanges);
    EXPECT_EQ(ledger_sum(stopped["messages"], {"written", "filtered", "sampled_out"}),
              2 * sent.exchanges);
    EXPECT_GT(hang_ups, 50u);
    EXPECT_FALSE(sniffer.events("reloaded").empty());
    EXPECT_FALSE(sniffer.events("reload_failed").empty());
    EXPECT_FALSE(sniffer.events("reload_ignored").empty());
    std::map<std::pair<std::string, Json>, int> messages;
    for (const Json& line : json_lines(text)) messages[{line["connectionId"], line["exchange"]}]++;
    for (const auto& [exchange, count] : messages) {
      EXPECT_EQ(count, 2) << exchange.first << " " << exchange.second;
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::live_reload_test
