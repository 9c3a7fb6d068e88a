// SIGHUP with a configuration file: what changes, what is said, and that nothing is lost.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "support/ledger_check.h"
#include "support/program_lab.h"
#include "support/scrape.h"

namespace tcp_sniffer::reload_e2e_test {
namespace {

using namespace std::chrono_literals;

// A run that reads a capture which grows when the test says so.
class ReloadingRun {
 public:
  explicit ReloadingRun(std::string_view config, std::vector<std::string> flags = {})
      : in_(make_pipe()), out_(memory_file()), err_(memory_file()) {
    write_config(config);
    flags.insert(flags.begin(),
                 {"-r", "-", "--format", "ndjson", "--config", config_path().string()});
    start(flags);
  }

  std::filesystem::path config_path() const { return folder_ / "config.json"; }
  void write_config(std::string_view json) const { write_file(config_path(), json); }

  CaptureMaker maker;
  // Passes on what the maker has, and waits until `messages` lines are out.
  void feed(size_t messages) {
    const std::string bytes = maker.take();
    std::string_view rest = bytes;
    while (!rest.empty()) {
      const ssize_t size = ::write(in_.write_end.get(), rest.data(), rest.size());
      ASSERT_GT(size, 0);
      rest.remove_prefix(static_cast<size_t>(size));
    }
    ASSERT_TRUE(until([&] { return lines_of(content_of(out_)).size() >= messages; }))
        << content_of(out_) << said();
  }
  // Sends the signal and waits for one more event of that name.
  Json hang_up(std::string_view event) {
    const size_t before = events_named(said(), event).size();
    child_->signal(SIGHUP);
    EXPECT_TRUE(until([&] { return events_named(said(), event).size() > before; })) << said();
    const std::vector<Json> found = events_named(said(), event);
    return found.empty() ? Json::object() : found.back();
  }
  Json reload(std::string_view json) {
    write_config(json);
    return hang_up("reloaded");
  }
  Json end() {
    feed(0);
    in_.write_end.reset();
    EXPECT_EQ(child_->wait(60s).code, 0) << said();
    const Json stopped = event_named(said(), "stopped");
    expect_ledger_closes(stopped);
    return stopped;
  }

  Child& child() { return *child_; }
  std::vector<Json> lines() const { return json_lines(content_of(out_)); }
  std::string text() const { return content_of(out_); }
  // Whole lines only: the log may be in the middle of one.
  std::string said() const {
    const std::string text = content_of(err_);
    return text.substr(0, text.rfind('\n') + 1);
  }

 private:
  void start(const std::vector<std::string>& flags) {
    child_ = std::make_unique<Child>(sniffer(flags),
                                     Child::Streams{in_.read_end.get(), out_.get(), err_.get()});
    in_.read_end.reset();
    ASSERT_TRUE(until([&] { return said().find("\"started\"") != std::string::npos; })) << said();
  }

  const TemporaryFolder folder_;
  Pipe in_;
  Descriptor out_;
  Descriptor err_;
  std::unique_ptr<Child> child_;
};

class ReloadOfShards : public testing::TestWithParam<const char*> {
 protected:
  std::vector<std::string> flags(std::vector<std::string> more = {}) const {
    more.insert(more.end(), {"--shards", GetParam()});
    return more;
  }
};
INSTANTIATE_TEST_SUITE_P(Shards, ReloadOfShards, testing::Values("0", "1", "3"));

Json names(std::vector<std::string> list) {
  return Json(std::move(list));
}

TEST_P(ReloadOfShards, EachKeyChangesWhileTheRunGoesOn) {
  ReloadingRun run("{}", flags());
  auto connection = run.maker.open();
  size_t number = 0;
  const auto send = [&](const std::string& path, size_t lines) {
    run.maker.segment(connection, CaptureMaker::kClient,
                      "GET " + path + " HTTP/1.1\r\nHost: a\r\nCookie: key\r\n\r\n");
    run.maker.segment(connection, CaptureMaker::kServer,
                      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 17\r\n"
                      "\r\n{\"password\":\"pw\"}");
    run.feed(number += lines);
    std::string text;
    for (const std::string& line : lines_of(run.text())) text = line;
    return text;
  };
  EXPECT_EQ(Json::parse(send("/a?t=1", 2))["body"], "{\"password\":\"pw\"}");

  EXPECT_EQ(run.reload(R"({"where": "path ~ \"/b*\""})")["changed"], names({"where"}));
  send("/a", 0);
  EXPECT_EQ(Json::parse(send("/b", 2))["statusCode"], 200);
  EXPECT_EQ(run.lines()[2]["path"], "/b");

  EXPECT_EQ(run.reload(R"({"select": ["request.path", "statusCode"]})")["changed"],
            names({"where", "select"}));
  EXPECT_EQ(send("/c", 2), R"({"request.path":"/c","statusCode":200})");

  EXPECT_EQ(run.reload(R"({"redactHeaders": ["cookie"]})")["changed"],
            names({"select", "redactHeaders"}));
  send("/d", 2);
  EXPECT_EQ(run.lines()[number - 2]["headers"]["cookie"], "[redacted]");

  EXPECT_EQ(run.reload(R"({"redactQuery": ["t"]})")["changed"],
            names({"redactHeaders", "redactQuery"}));
  send("/e?t=secret", 2);
  EXPECT_EQ(run.lines()[number - 2]["path"], "/e?t=[redacted]");
  EXPECT_EQ(run.lines()[number - 2]["headers"]["cookie"], "key");

  EXPECT_EQ(run.reload(R"({"redactBody": ["password"]})")["changed"],
            names({"redactQuery", "redactBody"}));
  EXPECT_EQ(Json::parse(send("/f", 2))["body"], "{\"password\":\"[redacted]\"}");

  EXPECT_EQ(run.reload(R"({"redactPattern": ["p.s+word"]})")["changed"],
            names({"redactBody", "redactPattern"}));
  EXPECT_EQ(send("/g", 2).find("password"), std::string::npos);

  EXPECT_EQ(run.reload(R"({"sampleExchanges": 0, "alwaysKeep": "path = \"/kept\""})")["changed"],
            names({"sampleExchanges", "alwaysKeep", "redactPattern"}));
  send("/h", 0);
  send("/kept", 2);
  EXPECT_EQ(run.lines()[number - 2]["path"], "/kept");

  EXPECT_EQ(run.reload("{}")["changed"], names({"sampleExchanges", "alwaysKeep"}));
  send("/i", 2);
  const Json stopped = run.end();
  EXPECT_EQ(stopped["messages"]["written"], number);
  EXPECT_EQ(stopped["messages"]["filtered"], 2);
  EXPECT_EQ(stopped["messages"]["sampled_out"], 2);
  EXPECT_TRUE(stopped["deterministic"].is_boolean());
}

// Also of hosts that have series already; each of them is served once.
TEST_P(ReloadOfShards, TheLabelsOfMetricsAreHiddenAndShownAgain) {
  const int port = scrape::free_port();
  ReloadingRun run("{}", flags({"--metrics-listen", std::to_string(port)}));
  auto connection = run.maker.open();
  size_t requests = 0;
  std::string page;
  const auto send = [&](const std::vector<std::string>& hosts) {
    for (const std::string& host : hosts) {
      run.maker.segment(connection, CaptureMaker::kClient,
                        "GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
      run.maker.segment(connection, CaptureMaker::kServer, "HTTP/1.1 204 No Content\r\n\r\n");
    }
    run.feed(2 * (requests += hosts.size()));
    scrape::Samples samples;
    EXPECT_TRUE(until([&] {
      page = scrape::get(port, "/metrics");
      samples = scrape::samples_of(page);
      return scrape::sum(samples, "tcp_sniffer_http_requests_total") ==
             static_cast<double>(requests);
    })) << page;
    for (const char* name : {"request_duration_seconds_count", "requests_total"}) {
      EXPECT_EQ(scrape::sum(samples, std::string("tcp_sniffer_http_") + name),
                static_cast<double>(requests));
    }
    return scrape::sum(samples, "tcp_sniffer_http_request_duration_seconds_count",
                       "host=\"[redacted]\"");
  };
  const auto shows = [&](const char* host) { return page.find(host) != std::string::npos; };
  EXPECT_EQ(send({"secret-1", "secret-2", "shop"}), 0);
  EXPECT_TRUE(shows("secret-1"));
  run.reload(R"({"redactPattern": ["secret-[0-9]"]})");
  EXPECT_EQ(send({"secret-1", "secret-3", "shop"}), 4);
  EXPECT_FALSE(shows("secret"));
  EXPECT_TRUE(shows("shop"));
  run.reload(R"({"redactHeaders": ["host"]})");
  EXPECT_EQ(send({"secret-4", "shop"}), 8);
  EXPECT_FALSE(shows("shop"));
  run.reload("{}");
  send({"secret-5", "secret-1"});
  EXPECT_TRUE(shows("secret-1") && shows("secret-5") && shows("shop"));
  EXPECT_FALSE(shows("secret-3"));
  run.end();
}

TEST_P(ReloadOfShards, TheLogLevelChanges) {
  ReloadingRun run("{}", flags());
  EXPECT_EQ(run.reload(R"({"logLevel": "error"})")["changed"], names({"logLevel"}))
      << "reported, because it would have been before";
  EXPECT_EQ(run.reload(R"({"logLevel": "info"})")["changed"], names({"logLevel"}));
  EXPECT_EQ(run.reload(R"({"quiet": true})")["changed"], names({"quiet", "logLevel"}));
  run.child().signal(SIGTERM);
  EXPECT_EQ(run.child().wait(60s).code, 0);
  EXPECT_EQ(events_named(run.said(), "stopped").size(), 0u);
}

TEST(ReloadedRun, AWrongFileChangesNothingAndIsReportedInTheWordsOfAStart) {
  ReloadingRun run(R"({"where": "path ~ \"/a*\""})");
  auto connection = run.maker.open();
  size_t number = 0;
  const auto still_as_before = [&] {
    run.maker.exchange(connection, "/b", "");
    run.maker.exchange(connection, "/a", "");
    run.feed(number += 2);
    EXPECT_EQ(run.lines().size(), number);
  };
  for (const char* json : {R"({"where": "staus >= 500"})", "{", "", R"({"shards": -1})"}) {
    run.write_config(json);
    const Json failed = run.hang_up("reload_failed");
    EXPECT_EQ(failed["level"], "warn");
    EXPECT_EQ(failed["file"], run.config_path().string());
    const Finished start = run_sniffer({"-r", kShop, "--config", run.config_path().string()});
    EXPECT_EQ(start.exit.code, 2);
    EXPECT_EQ(failed["error"], fatal_of(start)["message"]);
    still_as_before();
  }
  std::filesystem::remove(run.config_path());
  EXPECT_NE(run.hang_up("reload_failed")["error"].get<std::string>().find("No such file"),
            std::string::npos);
  still_as_before();
  std::filesystem::create_directory(run.config_path());
  EXPECT_NE(run.hang_up("reload_failed")["error"].get<std::string>().find("is no file"),
            std::string::npos);
  std::filesystem::remove(run.config_path());
  ASSERT_EQ(::mkfifo(run.config_path().c_str(), 0600), 0);
  run.hang_up("reload_failed");
  std::filesystem::remove(run.config_path());
  still_as_before();
  EXPECT_EQ(run.reload(R"({"where": "path ~ \"/b*\""})")["changed"], names({"where"}));
  run.end();
}

TEST(ReloadedRun, KeysThatCannotChangeAreNamed) {
  ReloadingRun run(R"({"maxBodySize": 10})", {"--shards", "1"});
  run.write_config(R"({"maxBodySize": 20, "ports": [80], "where": "orphan", "shards": 4})");
  const Json ignored = run.hang_up("reload_ignored");
  EXPECT_EQ(ignored["keys"], names({"ports", "maxBodySize"})) << "the flag beats the file";
  EXPECT_EQ(ignored["level"], "warn");
  EXPECT_NE(ignored["message"].get<std::string>().find("ports, maxBodySize"), std::string::npos);
  ASSERT_TRUE(until([&] { return events_named(run.said(), "reloaded").size() == 1; }));
  EXPECT_EQ(event_named(run.said(), "reloaded")["changed"], names({"where"}));
  run.end();
}

TEST(ReloadedRun, TheColumnsOfATableStayAndTheReasonIsGiven) {
  const std::string tsv = R"({"format": "tsv", "select": ["request.path"]})";
  ReloadingRun run(tsv, {"--format", "tsv"});
  auto connection = run.maker.open();
  run.maker.exchange(connection, "/a", "");
  run.feed(3);
  run.write_config(R"({"select": ["statusCode"], "where": "path = \"/c\""})");
  const Json ignored = run.hang_up("reload_ignored");
  EXPECT_EQ(ignored["keys"], names({"select"}));
  EXPECT_NE(ignored["message"].get<std::string>().find("row of names"), std::string::npos);
  run.maker.exchange(connection, "/b", "");
  run.maker.exchange(connection, "/c", "");
  run.feed(5);
  run.end();
  EXPECT_EQ(run.text(), "request.path\n/a\n/a\n/c\n/c\n");
}

TEST(ReloadedRun, TheOutputIsReopenedAsWellAlsoWhenTheFileIsWrong) {
  const TemporaryFolder folder;
  const std::filesystem::path output = folder / "lines";
  ReloadingRun run("{}", {"--output", output.string()});
  const auto exchange_into_new_file = [&](std::string_view config, std::string_view event) {
    std::error_code ignored;
    std::filesystem::remove(output, ignored);
    run.write_config(config);
    run.hang_up(event);
    ASSERT_TRUE(until([&] { return std::filesystem::exists(output); }));
    auto connection = run.maker.open();
    run.maker.exchange(connection, "/a", "");
    run.feed(0);
    ASSERT_TRUE(until([&] { return lines_of(content_of(output)).size() == 2; }));
  };
  exchange_into_new_file(R"({"redactHeaders": ["host"]})", "reloaded");
  EXPECT_EQ(json_lines(content_of(output))[0]["headers"]["host"], "[redacted]");
  exchange_into_new_file("{", "reload_failed");
  EXPECT_EQ(json_lines(content_of(output))[0]["headers"]["host"], "[redacted]");
  run.end();
}

// While a FIFO has no reader the run has not begun: the newest file holds from its first packet on.
TEST_P(ReloadOfShards, AHangUpBeforeTheFirstPacketHoldsForIt) {
  const TemporaryFolder folder;
  const std::string config = folder / "config.json";
  const std::string output = folder / "fifo";
  ASSERT_EQ(::mkfifo(output.c_str(), 0600), 0);
  write_file(config, R"({"where": "path = \"/nowhere\""})");
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", kShop, "--format", "ndjson", "--shards", GetParam(), "--config",
                       config, "--output", output}),
              {-1, -1, err.get()});
  ASSERT_TRUE(until([&] { return content_of(err).find("no_reader") != std::string::npos; }));
  write_file(config, R"({"redactHeaders": ["host"]})");
  child.signal(SIGHUP);
  ASSERT_TRUE(until([&] { return child.has_taken(SIGHUP); }));
  const Descriptor reader(::open(output.c_str(), O_RDONLY | O_CLOEXEC));
  const std::vector<Json> lines = json_lines(read_all(reader.get()));
  EXPECT_EQ(child.wait(60s).code, 0) << content_of(err);
  ASSERT_EQ(lines.size(), kShopMessages);
  for (const Json& line : lines) {
    EXPECT_EQ(line["headers"].value("host", "[redacted]"), "[redacted]");
  }
  EXPECT_EQ(event_named(content_of(err), "reloaded")["changed"], names({"where", "redactHeaders"}));
  expect_ledger_closes(event_named(content_of(err), "stopped"));
}

// Without a file there is nothing to read again: SIGHUP means what it meant.
TEST(ReloadedRun, WithFlagsAloneAHangUpEndsTheRunAsBefore) {
  const Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--format", "ndjson"}), {in.read_end.get(), -1, err.get()});
  ASSERT_TRUE(until([&] { return content_of(err).find("\"started\"") != std::string::npos; }));
  child.signal(SIGHUP);
  EXPECT_EQ(child.wait(30s).code, 0);
  EXPECT_EQ(events_named(content_of(err), "reloaded").size(), 0u);
}

// Every exchange is written whole or not at all, by one of the conditions, however often they
// change; the shares of both sum up to all.
TEST_P(ReloadOfShards, AThousandHangUpsInARowLoseNothing) {
  ReloadingRun run(R"({"where": "path ~ \"*0\""})", flags());
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 20; i++) connections.push_back(run.maker.open());
  size_t exchanges = 0;
  const int hang_ups = std::string_view(GetParam()) == "1" ? 1000 : 200;
  for (int i = 0; i < hang_ups; i++) {
    switch (i % 4) {
      case 0:
        run.write_config(R"({"where": "path ~ \"*1\"", "redactHeaders": ["x-secret"]})");
        break;
      case 1:
        run.write_config(R"({"redactHeaders": ["x-secret"], "redactQuery": ["t"]})");
        break;
      case 2:
        run.write_config(R"({"where": "status >= 400", "redactHeaders": ["x-secret", "host"]})");
        break;
      default:
        run.write_config("{");
    }
    run.child().signal(SIGHUP);
    for (auto& connection : connections) {
      run.maker.segment(connection, CaptureMaker::kClient,
                        "GET /" + std::to_string(exchanges++) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    for (auto& connection : connections) {
      run.maker.segment(connection, CaptureMaker::kServer,
                        i % 3 == 0 ? "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n"
                                   : "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    }
    run.feed(0);
  }
  for (auto& connection : connections) run.maker.close(connection);
  run.feed(0);
  const Json stopped = run.end();
  EXPECT_EQ(stopped["messages"]["parsed"], 2 * exchanges);
  EXPECT_EQ(
      stopped["messages"]["written"].get<size_t>() + stopped["messages"]["filtered"].get<size_t>(),
      2 * exchanges);
  EXPECT_GT(stopped["messages"]["written"], 0);
  EXPECT_GT(stopped["messages"]["filtered"], 0);
  std::map<std::pair<std::string, Json>, int> messages;
  for (const Json& line : run.lines()) messages[{line["connectionId"], line["exchange"]}]++;
  for (const auto& [exchange, count] : messages) {
    EXPECT_EQ(count, 2) << exchange.first << " " << exchange.second;
  }
}

// What is hidden before and after a change is never shown, and of what only the last settings hide
// nothing is shown after they were reported.
TEST_P(ReloadOfShards, NothingThatIsHiddenBeforeAndAfterIsEverShown) {
  ReloadingRun run(R"({"redactHeaders": ["x-secret"]})", flags({"--records", "exchange"}));
  std::vector<CaptureMaker::Connection> connections;
  for (int i = 0; i < 10; i++) connections.push_back(run.maker.open());
  const std::string secret = "X-Secret: hidden-word\r\n";
  const std::vector<std::string> configs = {
      R"({"redactHeaders": ["x-secret", "host"]})", R"({"redactHeaders": ["X-Secret"]})",
      R"({"redactPattern": ["hidden-w.rd"]})",
      R"({"redactHeaders": ["x-secret"], "redactBody": ["a"]})",
      R"({"redactHeaders": ["x-secret"], "select": ["headers", "request.headers"]})"};
  size_t exchanges = 0;
  for (int i = 0; i < 100; i++) {
    for (auto& connection : connections) {
      run.maker.segment(connection, CaptureMaker::kClient,
                        "GET / HTTP/1.1\r\nHost: a\r\n" + secret + "\r\n");
    }
    run.feed(0);
    run.reload(configs[static_cast<size_t>(i) % configs.size()]);
    for (auto& connection : connections) {
      run.maker.segment(connection, CaptureMaker::kServer,
                        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n" + secret + "\r\n");
    }
    exchanges += connections.size();
    run.feed(exchanges);
  }
  run.end();
  EXPECT_EQ(run.lines().size(), exchanges);
  EXPECT_EQ(run.text().find("hidden-word"), std::string::npos);
}

}  // namespace
}  // namespace tcp_sniffer::reload_e2e_test
