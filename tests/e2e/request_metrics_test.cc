// Requests as metrics, of the whole program: what is counted, the bound on series, hosts that mean
// harm, and the rules and the dashboard that use them.

#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <regex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "core/base/text_encoding.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/live_lab.h"
#include "support/program_lab.h"
#include "support/repetitions.h"
#include "support/scrape.h"

namespace tcp_sniffer::request_metrics_test {
namespace {

using scrape::MeteredRun;
using scrape::Samples;
using scrape::sum;

constexpr const char* kRequests = "tcp_sniffer_http_requests_total";

// One connection on which each request has its response, 200 with two bytes.
class Requests {
 public:
  void add(std::string_view start_line, std::string_view host_line) {
    maker_.send(connection_, CaptureMaker::kClient,
                std::string(start_line) + "\r\n" + std::string(host_line) + "\r\n\r\n");
    maker_.segment(connection_, CaptureMaker::kServer,
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    count_++;
  }
  void add_host(std::string_view host) { add("GET / HTTP/1.1", "Host: " + std::string(host)); }
  const std::string& bytes() const { return maker_.bytes(); }
  uint64_t count() const { return count_; }

 private:
  CaptureMaker maker_;
  CaptureMaker::Connection connection_ = maker_.open();
  uint64_t count_ = 0;
};

// Each line of the page is what the format allows (Prometheus: text exposition format 0.0.4).
void expect_valid(const std::string& page) {
  EXPECT_TRUE(is_utf8(page));
  EXPECT_EQ(page.find('\0'), std::string::npos);
  const std::regex sample(
      R"re([a-zA-Z_:][a-zA-Z0-9_:]*(\{([a-zA-Z_]\w*="([^"\\]|\\[\\n"])*",?)*\})? [0-9.eE+-]+|.* (\+Inf|Nan))re");
  for (const std::string& line : lines_of(page)) {
    if (line.starts_with("# HELP ") || line.starts_with("# TYPE ") || line.size() > 2000) continue;
    EXPECT_TRUE(std::regex_match(line, sample)) << line;
  }
}

// What promtool has to say about a page; empty: nothing.
std::string promtool_check(const std::string& page) {
  const Finished checked = run({"promtool", "check", "metrics"}, page);
  return checked.exit.code == 0 ? "" : checked.out + checked.err;
}

TEST(RequestMetrics, AddUpToTheLinesOfTheRunForEveryNumberOfShards) {
  for (const char* shards : {"0", "1", "4"}) {
    SCOPED_TRACE(shards);
    MeteredRun metered(content_of(std::filesystem::path(kShop)), {"--shards", shards});
    const Samples samples = metered.samples_with(kShopMessages / 2);
    const Finished finished = metered.end();
    ASSERT_EQ(finished.exit.code, 0) << finished.err;
    std::map<std::string, double> expected;
    double request_bytes = 0;
    double response_bytes = 0;
    double latest = 0;
    for (const Json& line : json_lines(finished.out)) {
      if (line["direction"] == "request") {
        request_bytes += line["bodySize"].get<double>();
      } else {
        const int status = line["statusCode"].get<int>();
        expected["status_class=\"" + std::to_string(status / 100) + "xx\""]++;
        response_bytes += line["bodySize"].get<double>();
        latest++;
      }
    }
    for (const auto& [label, count] : expected) EXPECT_EQ(sum(samples, kRequests, label), count);
    EXPECT_EQ(sum(samples, kRequests), latest);
    EXPECT_EQ(sum(samples, "tcp_sniffer_http_request_duration_seconds_count"), latest);
    EXPECT_EQ(sum(samples, "tcp_sniffer_http_request_bytes_total"), request_bytes);
    EXPECT_EQ(sum(samples, "tcp_sniffer_http_response_bytes_total"), response_bytes);
    EXPECT_EQ(sum(samples, "tcp_sniffer_http_messages_incomplete_total"), 0);
  }
}

TEST(RequestMetrics, ChangeNoLine) {
  const std::string bytes = content_of(std::filesystem::path(kShop));
  MeteredRun metered(bytes, {"--metrics-routes", "/api/**"});
  metered.page_with(kShopMessages / 2);
  EXPECT_EQ(sorted_lines(metered.end().out),
            sorted_lines(run_sniffer({"-r", "-", "--format", "ndjson"}, bytes).out));
}

TEST(RequestMetrics, CountWhatIsParsedWhateverIsWritten) {
  MeteredRun metered(content_of(std::filesystem::path(kShop)),
                     {"--where", "status = 599", "--records", "exchange"});
  metered.samples_with(kShopMessages / 2);
  EXPECT_EQ(metered.end().out, "");
}

TEST(RequestMetrics, TheDurationIsTheWholeExchange) {
  CaptureMaker maker;
  auto connection = maker.open();
  const auto wait_ms = [&](int64_t ms) { maker.wait_us(ms * 1000); };
  maker.segment(connection, CaptureMaker::kClient,
                "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nab");
  wait_ms(20);
  maker.segment(connection, CaptureMaker::kClient, "cd");
  wait_ms(30);
  maker.segment(connection, CaptureMaker::kServer,
                "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab");
  wait_ms(150);
  maker.segment(connection, CaptureMaker::kServer, "cde");
  maker.segment(connection, CaptureMaker::kServer, "");
  MeteredRun metered(maker.bytes());
  const Samples samples = metered.samples_with(1);
  const auto of_host = [&](const std::string& name) {
    return samples.at("tcp_sniffer_http_request_" + name + "{host=\"a\"}");
  };
  EXPECT_NEAR(of_host("duration_seconds_sum"), 0.2, 0.001);
  EXPECT_EQ(of_host("duration_seconds_count"), 1);
  EXPECT_EQ(samples.at("tcp_sniffer_http_request_duration_seconds_bucket{host=\"a\",le=\"0.1\"}"),
            0);
  EXPECT_EQ(samples.at("tcp_sniffer_http_request_duration_seconds_bucket{host=\"a\",le=\"0.25\"}"),
            1);
  EXPECT_EQ(of_host("bytes_total"), 4);
  EXPECT_EQ(samples.at("tcp_sniffer_http_response_bytes_total{host=\"a\"}"), 5);
}

TEST(RequestMetrics, LossIsNoErrorAndHasAReason) {
  CaptureMaker maker;
  auto lost = maker.open();
  maker.segment(lost, CaptureMaker::kClient, "GET /lost HTTP/1.1\r\nHost: a\r\n\r\n");
  maker.lose(lost, CaptureMaker::kServer, 40);
  maker.acknowledge(lost, CaptureMaker::kClient);
  for (const char* path : {"/next", "/last"}) {
    maker.wait_us(3'000'000);
    maker.exchange(lost, path, "body");
    maker.acknowledge(lost, CaptureMaker::kClient);
  }
  auto silent = maker.open();
  maker.segment(silent, CaptureMaker::kClient, "GET /silent HTTP/1.1\r\nHost: a\r\n\r\n");
  maker.acknowledge(silent, CaptureMaker::kServer);
  maker.close(silent);
  auto cut = maker.open();
  maker.segment(cut, CaptureMaker::kClient, "GET /cut HTTP/1.1\r\nHost: a\r\n\r\n");
  maker.segment(cut, CaptureMaker::kServer, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nab");
  maker.close(cut);
  MeteredRun metered(maker.bytes());
  const Samples samples = metered.samples_with(5);
  EXPECT_EQ(sum(samples, kRequests, "status_class=\"none\""), 2);
  EXPECT_EQ(sum(samples, kRequests, "status_class=\"2xx\""), 3);
  EXPECT_EQ(sum(samples, kRequests), 5);
  const auto without = [&](const std::string& reason) {
    return samples.at("tcp_sniffer_http_requests_without_response_total{reason=\"" + reason +
                      "\"}");
  };
  EXPECT_EQ(without("noResponse"), 1);
  EXPECT_EQ(without("gap"), 1);
  EXPECT_EQ(sum(samples, "tcp_sniffer_http_requests_without_response_total"), 2);
  EXPECT_EQ(samples.at("tcp_sniffer_http_messages_incomplete_total{reason=\"closed\"}"), 1);
  EXPECT_EQ(sum(samples, "tcp_sniffer_http_messages_incomplete_total"), 1);
  EXPECT_EQ(metered.end().exit.code, 0);
}

TEST(RequestMetrics, RoutesAreThePatternsAndNoPath) {
  Requests requests;
  for (const char* path : {"/users/1", "/users/2?x=3", "/static/js/a.js", "/secret"}) {
    requests.add("GET " + std::string(path) + " HTTP/1.1", "Host: a");
  }
  MeteredRun metered(requests.bytes(), {"--metrics-routes", "/users/{id},/static/**"});
  const std::string page = metered.page_with(4);
  const Samples samples = scrape::samples_of(page);
  for (const auto& [route, count] :
       std::map<std::string, int>{{"/users/{id}", 2}, {"/static/**", 1}, {"other", 1}}) {
    EXPECT_EQ(sum(samples, kRequests, "route=\"" + route + "\""), count) << route;
    EXPECT_EQ(
        sum(samples, "tcp_sniffer_http_request_duration_seconds_count", "route=\"" + route + "\""),
        count);
  }
  EXPECT_EQ(page.find("secret"), std::string::npos);
  expect_valid(page);
}

TEST(RequestMetrics, AHundredThousandHostsStayWithinTheBoundAndAddUp) {
  const int hosts = kSanitized ? 10'000 : 100'000;
  Requests requests;
  for (int i = 0; i < hosts; i++) requests.add_host("host-" + std::to_string(i) + ".example");
  uint64_t resident[2] = {};
  for (const char* series : {"0", "1000"}) {
    const bool is_on = series[1] != '\0';
    MeteredRun metered(requests.bytes(), {"--metrics-series-max", series, "--shards", "2"});
    if (is_on) {
      const Samples samples = metered.samples_with(requests.count());
      EXPECT_EQ(sum(samples, kRequests), hosts);
      EXPECT_LE(scrape::bounded_series(samples), 1000u);
      EXPECT_GT(sum(samples, kRequests, "host=\"other\""), hosts / 2);
      EXPECT_EQ(sum(samples, kRequests, "host=\"host-0.example\""), 1);
      EXPECT_EQ(sum(samples, "tcp_sniffer_http_request_duration_seconds_count"), hosts);
      EXPECT_EQ(sum(samples, "tcp_sniffer_http_response_bytes_total"), 2 * hosts);
    }
    const Finished finished = metered.end();
    EXPECT_EQ(lines_of(finished.out).size(), 2 * requests.count());
    expect_ledger_closes(event_named(finished.err, "stopped"));
    resident[is_on ? 1 : 0] = finished.exit.resident_max;
  }
  if (!kSanitized) {
    EXPECT_LT(resident[1], resident[0] + (uint64_t{8} << 20));
  }
}

TEST(RequestMetrics, HostsAndMethodsThatMeanHarmAreValidLabels) {
  using namespace std::string_view_literals;
  Requests requests;
  const int many = kSanitized ? 2'000 : 20'000;
  for (const std::string_view host : {"a\"b"sv, "a\\"sv, "a\",method=\"x"sv, "a} 1"sv,
                                      "b\xc3\xbc"
                                      "cher.example"sv,
                                      "\xff\xfe"sv, "a\0b"sv, "a\tb"sv, "a\r\n b"sv,
                                      "\x01\x1b[31m"sv, ""sv, "[::1]:80"sv, "other"sv}) {
    requests.add_host(host);
  }
  for (int i = 0; i < 100; i++) {
    requests.add_host(std::to_string(i) + std::string(8192, 'h'));
    requests.add_host(std::string(8192, i % 2 == 0 ? '"' : '\\') + std::to_string(i));
  }
  for (int i = 0; i < many; i++) {
    requests.add("METHOD" + std::to_string(i) + " / HTTP/1.1", "Host: methods");
  }
  MeteredRun metered(requests.bytes(), {"--metrics-series-max", "2000"});
  const std::string page = metered.page_with(requests.count());
  expect_valid(page);
  const Samples samples = scrape::samples_of(page);
  EXPECT_LE(scrape::bounded_series(samples), 2000u);
  EXPECT_EQ(sum(samples, kRequests, "method=\"other\""), many);
  EXPECT_EQ(samples.at(std::string(kRequests) + R"({host="a\"b",method="GET",status_class="2xx"})"),
            1);
  EXPECT_EQ(samples.at(std::string(kRequests) + R"({host="a\\",method="GET",status_class="2xx"})"),
            1);
  const Finished finished = metered.end();
  uint64_t lines = 0;
  for (const std::string& line : lines_of(finished.out)) {
    lines += line.find("\"direction\":\"request\"") != std::string::npos;
  }
  EXPECT_EQ(sum(samples, kRequests), static_cast<double>(lines));
  EXPECT_EQ(lines, requests.count());
  if (has_program("promtool")) {
    EXPECT_EQ(promtool_check(page), "");
  }
}

// A scraper that does not read its page, and more of them than there are threads for.
TEST(RequestMetrics, SlowScrapersHoldUpNothing) {
  Requests requests;
  for (int i = 0; i < 20'000; i++) requests.add_host("h" + std::to_string(i));
  MeteredRun metered("", {"--metrics-series-max", "100000"});
  ASSERT_TRUE(until([&] { return !scrape::get(metered.port(), "/metrics").empty(); }));
  std::vector<Descriptor> sleepers;
  for (int i = 0; i < 6; i++) sleepers.push_back(scrape::ask(metered.port(), "/metrics"));
  metered.write(requests.bytes());
  for (int i = 0; i < 6; i++) sleepers.push_back(scrape::ask(metered.port(), "/metrics"));
  const double before = now_seconds();
  const Finished finished = metered.end();
  EXPECT_LT(now_seconds() - before, kSanitized ? 60 : 20);
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_EQ(lines_of(finished.out).size(), 2 * requests.count());
}

TEST(RequestMetrics, AScraperThatDoesNotReadDoesNotHoldUpTheEnd) {
  Requests requests;
  for (int i = 0; i < 20'000; i++) requests.add_host("h" + std::to_string(i));
  MeteredRun metered(requests.bytes(), {"--metrics-series-max", "100000", "--log-format", "json"});
  metered.page_with(20'000);
  // The page is too large for the buffers of its connection.
  const Descriptor sleeper = scrape::ask(metered.port(), "/metrics");
  ASSERT_TRUE(until([&] { return waiting_in(sleeper.get()) > 0; }));
  const Finished finished = metered.end();
  const auto ended_at = std::chrono::system_clock::now().time_since_epoch();
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  std::tm then{};
  const std::string stopped = event_named(finished.err, "stopped")["timestamp"];
  ASSERT_NE(::strptime(stopped.c_str(), "%Y-%m-%dT%H:%M:%S", &then), nullptr) << stopped;
  const double stopped_at =
      static_cast<double>(::timegm(&then)) + std::stod("0" + stopped.substr(19, 7));
  EXPECT_LT(std::chrono::duration<double>(ended_at).count() - stopped_at, 1.5);
}

TEST(RequestMetrics, ScrapesMayComeDuringASighupAndTheEnd) {
  Requests requests;
  for (int i = 0; i < 1000; i++) requests.add_host("h" + std::to_string(i));
  const TemporaryFolder folder;
  const auto output = folder / "messages.ndjson";
  MeteredRun metered(requests.bytes(), {"--output", output.string()});
  metered.page_with(1000);
  std::atomic<bool> ended{false};
  std::atomic<int> pages{0};
  std::thread scraper([&] {
    while (!ended) {
      const std::string page = scrape::body_of(scrape::get(metered.port(), "/metrics"));
      if (page.find("tcp_sniffer_output_messages_total") == std::string::npos) continue;
      EXPECT_EQ(sum(scrape::samples_of(page), kRequests), 1000);
      pages++;
    }
  });
  for (int i = 0; i < 20; i++) {
    metered.child().signal(SIGHUP);
    const int seen = pages;
    EXPECT_TRUE(until([&] { return pages > seen; }));
  }
  metered.child().signal(SIGTERM);
  const Finished finished = metered.finish();
  ended = true;
  scraper.join();
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  EXPECT_EQ(lines_of(content_of(output)).size(), 2000u);
}

TEST(RequestMetrics, AreOffWithoutSeries) {
  MeteredRun metered(content_of(std::filesystem::path(kShop)), {"--metrics-series-max", "0"});
  std::string page;
  ASSERT_TRUE(until([&] {
    page = scrape::body_of(scrape::get(metered.port(), "/metrics"));
    return sum(scrape::samples_of(page), "tcp_sniffer_messages_requests_total") >=
           kShopMessages / 2;
  }));
  EXPECT_EQ(scrape::bounded_series(scrape::samples_of(page)), 0u);
  EXPECT_EQ(page.find("tcp_sniffer_http_requests_without_response"), std::string::npos);
  EXPECT_NE(page.find("tcp_sniffer_http_messages_incomplete_total{"), std::string::npos);
  EXPECT_EQ(metered.end().exit.code, 0);
}

TEST(RequestMetrics, WhatIsRedactedIsInNoLabel) {
  Requests requests;
  requests.add_host("customer-4711.example");
  requests.add_host("shop.example");
  for (const std::vector<std::string>& redaction :
       {std::vector<std::string>{"--redact-headers", "host"}, {"--redact-pattern", "4[0-9]{3}"}}) {
    MeteredRun metered(requests.bytes(), redaction);
    const std::string page = metered.page_with(2);
    EXPECT_EQ(page.find("4711"), std::string::npos);
    EXPECT_GT(sum(scrape::samples_of(page), kRequests, "host=\"[redacted]\""), 0);
    EXPECT_EQ(page.find("shop.example") == std::string::npos, redaction[1] == "host");
  }
}

// ---------------------------------------------------------------- rules and dashboard

class Promtool : public testing::Test {
 protected:
  void SetUp() override {
    if (!has_program("promtool")) GTEST_SKIP() << "promtool is not installed";
  }
};

TEST_F(Promtool, FindsNoFaultInAScrape) {
  MeteredRun metered(content_of(std::filesystem::path(kShop)), {"--metrics-routes", "/api/**"});
  EXPECT_EQ(promtool_check(metered.page_with(kShopMessages / 2)), "");
}

TEST_F(Promtool, FindsNoFaultInTheRulesAndTheyRaiseTheirAlerts) {
  const Finished checked = run(
      {"promtool", "check", "rules", (source_dir() / "tools" / "prometheus-rules.yml").string()});
  EXPECT_EQ(checked.exit.code, 0) << checked.out << checked.err;
  EXPECT_NE(checked.out.find("3 rules found"), std::string::npos) << checked.out;
  const Finished tested = run({"promtool", "test", "rules",
                               (source_dir() / "tests" / "promtool" / "rules_test.yml").string()});
  EXPECT_EQ(tested.exit.code, 0) << tested.out << tested.err;
}

TEST(RequestMetrics, RulesAndDashboardNameOnlyWhatIsServed) {
  MeteredRun metered(content_of(std::filesystem::path(kShop)));
  std::set<std::string> names = scrape::named_in_rules_and_dashboard();
  EXPECT_GT(names.size(), 40u);
  // The kernel's figures exist live only: LiveMetrics has them.
  std::erase_if(names, [](const auto& name) { return name.starts_with("tcp_sniffer_kernel_"); });
  scrape::expect_served(metered.samples_with(kShopMessages / 2), names);
}

}  // namespace
}  // namespace tcp_sniffer::request_metrics_test
