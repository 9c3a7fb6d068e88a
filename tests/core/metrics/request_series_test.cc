#include "core/metrics/request_series.h"

#include <gtest/gtest.h>

#include <array>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "core/metrics/request_meter.h"

namespace tcp_sniffer::request_series_test {
namespace {

constexpr int64_t kMs = 1'000'000;

// The labels host, method, route and status class of the counts that are not zero, with the sum of
// all meters.
std::map<std::string, uint64_t> counts_of(const RequestSeries& series,
                                          const std::vector<const RequestMeter*>& meters) {
  std::map<std::string, uint64_t> counts;
  series.for_each_count([&](const LabelSet& set, size_t number, size_t status_class) {
    uint64_t total = 0;
    for (const RequestMeter* meter : meters) total += meter->count(number);
    if (total == 0) return;
    std::string labels(set.host.text());
    labels += " " + std::string(kMethodLabels.at(set.method));
    if (series.has_routes()) labels += " " + std::string(series.route_text(set));
    labels += " " + std::string(kStatusClassLabels.at(status_class));
    EXPECT_TRUE(counts.emplace(labels, total).second) << "twice: " << labels;
  });
  return counts;
}

size_t details_of(const RequestSeries& series) {
  size_t details = 0;
  series.for_each_detail([&](const LabelSet&, uint32_t) { details++; });
  return details;
}

uint64_t total(const std::map<std::string, uint64_t>& counts) {
  uint64_t sum = 0;
  for (const auto& [labels, count] : counts) sum += count;
  return sum;
}

struct Counted {
  explicit Counted(RequestSeries::Settings settings)
      : series(settings), meter(series), series_max(settings.series_max) {}

  void exchange(std::string_view host, std::string_view method = "GET", uint16_t status = 200,
                std::string_view target = "/") {
    const uint32_t row = meter.row_of(method, target, host);
    meter.add_request(row, 10);
    meter.add_response(row, status, 3 * kMs, 100);
    exchanges++;
  }
  std::map<std::string, uint64_t> counts() const { return counts_of(series, {&meter}); }
  void check_bound() const {
    const auto now = counts();
    EXPECT_EQ(total(now), exchanges);
    EXPECT_LE(now.size() + details_of(series) * RequestSeries::kDetailSeries, series_max);
  }

  RequestSeries series;
  RequestMeter meter;
  const uint32_t series_max;
  uint64_t exchanges = 0;
};

TEST(RequestSeriesTest, ARequestIsCountedByHostMethodAndStatusClass) {
  Counted counted({.series_max = 1000});
  for (const uint16_t status : std::array<uint16_t, 6>{101, 200, 204, 302, 404, 503}) {
    counted.exchange("a.example", "GET", status);
  }
  counted.exchange("B.example:8080", "POST", 201);
  counted.exchange("b.example", "BREW", 418);
  counted.exchange("b.example", "get", 700);
  counted.exchange("b.example", "GET", 0);
  const uint32_t row = counted.meter.row_of("GET", "/", "a.example");
  counted.meter.add_unanswered(row, {Orphan::Kind::kNoResponse, Incomplete::kNo});
  counted.meter.add_unanswered(row, {Orphan::Kind::kResponseNotCaptured, Incomplete::kGap});
  const std::map<std::string, uint64_t> expected = {
      {"a.example GET 1xx", 1},  {"a.example GET 2xx", 2},   {"a.example GET 3xx", 1},
      {"a.example GET 4xx", 1},  {"a.example GET 5xx", 1},   {"a.example GET none", 2},
      {"b.example POST 2xx", 1}, {"b.example other 4xx", 1}, {"b.example other other", 1},
      {"b.example GET other", 1}};
  EXPECT_EQ(counted.counts(), expected);
  EXPECT_EQ(counted.meter.unanswered(Incomplete::kNo), 1u);
  EXPECT_EQ(counted.meter.unanswered(Incomplete::kGap), 1u);
}

TEST(RequestSeriesTest, DurationsAndBytesAreThoseOfTheHost) {
  Counted counted({.series_max = 1000});
  counted.exchange("a.example", "GET");
  counted.exchange("a.example", "POST");
  counted.exchange("b.example", "GET");
  std::map<std::string, uint64_t> durations;
  counted.series.for_each_detail([&](const LabelSet& set, uint32_t number) {
    const RequestMeter::Detail& detail = counted.meter.detail(number);
    uint64_t responses = 0;
    for (const auto& bucket : detail.durations) responses += bucket;
    durations.emplace(set.host.text(), responses);
    EXPECT_EQ(detail.duration_sum_us, 3000 * responses);
    EXPECT_EQ(detail.request_bytes, 10 * responses);
    EXPECT_EQ(detail.response_bytes, 100 * responses);
    EXPECT_EQ(detail.durations.at(Histogram::bucket_of(3000)), responses);
  });
  EXPECT_EQ(durations,
            (std::map<std::string, uint64_t>{{"a.example", 2}, {"b.example", 1}, {"other", 0}}));
}

TEST(RequestSeriesTest, RoutesAreOnlyThePatternsOfTheUser) {
  Counted counted({.series_max = 1000, .routes = {"/users/{id}", "/static/**"}});
  counted.exchange("a", "GET", 200, "/users/1");
  counted.exchange("a", "GET", 200, "/users/2?x=1");
  counted.exchange("a", "GET", 200, "/static/js/a.js");
  counted.exchange("a", "GET", 200, "/secret/path");
  const std::map<std::string, uint64_t> expected = {
      {"a GET /users/{id} 2xx", 2}, {"a GET /static/** 2xx", 1}, {"a GET other 2xx", 1}};
  EXPECT_EQ(counted.counts(), expected);
}

TEST(RequestSeriesTest, TheBoundHoldsForEverySizeAndNothingIsLost) {
  for (const uint32_t series_max : {1u, 2u, 3u, 7u, 10u, 41u, 42u, 43u, 100u, 140u, 1000u, 5000u}) {
    SCOPED_TRACE(series_max);
    Counted counted({.series_max = series_max});
    for (int i = 0; i < 3000; i++) {
      const std::string host = "host" + std::to_string(i % 1500) + ".example";
      const std::string method = i % 3 == 0 ? "GET" : i % 3 == 1 ? "POST" : std::to_string(i);
      counted.exchange(host, method, static_cast<uint16_t>(i * 50 % 700));
    }
    counted.check_bound();
  }
}

TEST(RequestSeriesTest, AFullTableCountsTheRestAsOtherWithItsMethodAndStatus) {
  Counted counted({.series_max = 1000});
  for (int i = 0; i < 1000; i++) counted.exchange("host" + std::to_string(i));
  counted.exchange("one-more", "DELETE", 500);
  counted.exchange("other", "PUT", 404);
  const auto counts = counted.counts();
  EXPECT_EQ(counts.at("host0 GET 2xx"), 1u);
  EXPECT_GT(counts.at("other GET 2xx"), 100u);
  EXPECT_EQ(counts.at("other DELETE 5xx"), 1u);
  EXPECT_EQ(counts.at("other PUT 4xx"), 1u);
  // A host that has its place keeps it, also for other outcomes.
  for (const uint16_t status : std::array<uint16_t, 3>{404, 500, 302}) {
    counted.exchange("host0", "GET", status);
  }
  EXPECT_EQ(counted.counts().at("host0 GET 5xx"), 1u);
  counted.check_bound();
}

TEST(RequestSeriesTest, ACountThatIsThereNeverGoesBack) {
  Counted counted({.series_max = 60});
  std::map<std::string, uint64_t> before;
  for (int i = 0; i < 2000; i++) {
    counted.exchange("h" + std::to_string(i * 7 % 31), i % 2 == 0 ? "GET" : "PUT",
                     static_cast<uint16_t>(100 + i * 13 % 500));
    const auto now = counted.counts();
    for (const auto& [labels, count] : before) ASSERT_GE(now.at(labels), count) << labels;
    before = now;
  }
  counted.check_bound();
}

TEST(RequestSeriesTest, WhatIsRedactedIsNotShown) {
  Counted all({.series_max = 1000, .hides_hosts = true});
  all.exchange("secret.example");
  EXPECT_EQ(all.counts(), (std::map<std::string, uint64_t>{{"[redacted] GET 2xx", 1}}));

  Counted some({.series_max = 1000, .hide_matches = {"CUSTOMER[0-9]+", "key-[a-z]+"}});
  some.exchange("CUSTOMER12.example");
  some.exchange("CUSTOMER13.example");
  some.exchange("KEY-ABC.example");  // as it would be shown
  some.exchange("shop.example");
  EXPECT_EQ(some.counts(), (std::map<std::string, uint64_t>{{"[redacted] GET 2xx", 3},
                                                            {"shop.example GET 2xx", 1}}));
}

// Four shards count the same hosts at once, more than have room, while somebody reads.
TEST(RequestSeriesThreads, ShardsShareTheSeriesAndAReaderSeesThemGrow) {
  constexpr uint32_t kSeriesMax = 300;
  constexpr int kShards = 4;
  constexpr int kRequests = 20'000;
  RequestSeries series({.series_max = kSeriesMax});
  std::vector<std::unique_ptr<RequestMeter>> meters;
  std::vector<const RequestMeter*> all;
  for (int i = 0; i < kShards; i++) {
    all.push_back(meters.emplace_back(std::make_unique<RequestMeter>(series)).get());
  }
  std::vector<std::thread> shards;
  for (int s = 0; s < kShards; s++) {
    shards.emplace_back([&meter = *meters[static_cast<size_t>(s)], s] {
      for (int i = 0; i < kRequests; i++) {
        const std::string host = "h" + std::to_string((i + s) % 97);
        const uint32_t row = meter.row_of(i % 5 == 0 ? "POST" : "GET", "/", host);
        meter.add_request(row, 1);
        if (i % 11 == 0) {
          meter.add_unanswered(row, {Orphan::Kind::kResponseNotCaptured, Incomplete::kGap});
        } else {
          meter.add_response(row, static_cast<uint16_t>(100 + i % 500), kMs, 1);
        }
      }
    });
  }
  uint64_t seen = 0;
  while (seen < uint64_t{kShards} * kRequests) {
    const auto counts = counts_of(series, all);
    ASSERT_GE(total(counts), seen);
    ASSERT_LE(counts.size() + details_of(series) * RequestSeries::kDetailSeries, kSeriesMax);
    seen = total(counts);
  }
  for (std::thread& shard : shards) shard.join();
  EXPECT_EQ(total(counts_of(series, all)), uint64_t{kShards} * kRequests);
  uint64_t bytes = 0;
  series.for_each_detail([&](const LabelSet&, uint32_t number) {
    for (const RequestMeter* meter : all) bytes += meter->detail(number).request_bytes;
  });
  EXPECT_EQ(bytes, uint64_t{kShards} * kRequests);
}

}  // namespace
}  // namespace tcp_sniffer::request_series_test
