#include "core/line/exchange_notes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <vector>

namespace tcp_sniffer::exchange_notes_test {
namespace {

Message answer(std::string_view host, int64_t latency_ns, uint16_t status = 200) {
  Message response;
  response.direction = MessageDirection::kResponse;
  response.status = status;
  response.has_latency = true;
  response.latency_ns = latency_ns;
  response.request_method = "GET";
  response.request_host = host;
  response.request_target = "/";
  return response;
}

// Several of them added up are the same as one for all, and as a model that keeps everything.
TEST(ExchangeNotes, KnowsTheSlowestAndEveryHost) {
  std::mt19937 random(3);
  ExchangeNotes parts[3];
  ExchangeNotes all;
  std::vector<int64_t> latencies;
  std::map<std::string, uint64_t> hosts;
  uint64_t errors = 0;
  for (int i = 0; i < 5000; i++) {
    const std::string host = "h" + std::to_string(random() % 900);
    const auto latency = static_cast<int64_t>(random());
    const uint16_t status = random() % 7 == 0 ? 503 : 200;
    parts[random() % 3].add(answer(host, latency, status));
    latencies.push_back(latency);
    hosts[host]++;
    errors += status == 503 ? 1 : 0;
  }
  for (const ExchangeNotes& part : parts) all.add(part);
  std::sort(latencies.rbegin(), latencies.rend());
  ASSERT_EQ(all.slowest().size(), ExchangeNotes::kSlowestMax);
  for (size_t i = 0; i < ExchangeNotes::kSlowestMax; i++) {
    EXPECT_EQ(all.slowest()[i].latency_ns, latencies[i]);
  }
  const auto found = all.busiest(ExchangeNotes::kHostsMax);
  ASSERT_EQ(found.size(), hosts.size());
  for (size_t i = 0; i < found.size(); i++) {
    EXPECT_EQ(found[i].exchanges, hosts[std::string(found[i].name.view())]);
    if (i > 0) {
      EXPECT_GE(found[i - 1].exchanges, found[i].exchanges);
    }
  }
  EXPECT_EQ(all.errors(), errors);
  EXPECT_EQ(all.others().exchanges, 0u);
}

TEST(ExchangeNotes, HostsBeyondTheMostCountTogether) {
  ExchangeNotes notes;
  for (size_t i = 0; i < ExchangeNotes::kHostsMax + 7; i++) {
    notes.add(answer("h" + std::to_string(i), 1, 500));
  }
  EXPECT_EQ(notes.busiest(SIZE_MAX).size(), ExchangeNotes::kHostsMax);
  EXPECT_EQ(notes.others().exchanges, 7u);
  EXPECT_EQ(notes.errors(), ExchangeNotes::kHostsMax + 7);
}

TEST(ExchangeNotes, LongTextsAreCutAndAResponseWithoutItsRequestHasNoHost) {
  ExchangeNotes notes;
  notes.add(answer(std::string(500, 'h'), 5));
  notes.add(answer("", 4));
  const auto hosts = notes.busiest(10);
  ASSERT_EQ(hosts.size(), 2u);
  EXPECT_EQ(hosts[0].name.view(), "-");
  EXPECT_EQ(hosts[1].name.view(), std::string(64, 'h'));
}

}  // namespace
}  // namespace tcp_sniffer::exchange_notes_test
