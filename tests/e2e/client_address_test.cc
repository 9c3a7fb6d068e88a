// `client` in the lines of whole connections.

#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "support/capture_maker.h"
#include "support/program_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::client_address_e2e_test {
namespace {

constexpr const char* kPeer = "10.0.0.0";

// The `client` of each line; "" where there is none.
std::vector<std::string> clients_of(const CaptureMaker& maker, std::vector<std::string> arguments) {
  const TemporaryFolder folder;
  const std::string path = folder / "a.pcap";
  std::ofstream(path, std::ios::binary) << maker.bytes();
  arguments.insert(arguments.begin(), {"-r", path, "--format", "ndjson"});
  std::vector<std::string> clients;
  for (const Json& line : json_lines(run_sniffer(arguments).out)) {
    clients.push_back(line.value("client", ""));
  }
  return clients;
}

std::string request(const std::string& fields) {
  return "GET / HTTP/1.1\r\nHost: a\r\n" + fields + "\r\n";
}

const std::string kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// Two clients behind one proxy, pipelined, with an interim response.
CaptureMaker two_clients(size_t segment_size) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.send(connection, CaptureMaker::kClient,
             request("X-Forwarded-For: 6.6.6.6, 203.0.113.1\r\n") +
                 request("Forwarded: for=\"[2001:db8::2]\"\r\n") + request(""),
             segment_size);
  maker.send(connection, CaptureMaker::kServer,
             "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + kResponse + kResponse + kResponse,
             segment_size);
  maker.close(connection);
  return maker;
}

TEST(ClientAddress, AResponseHasItsRequestsAndOtherwiseItIsThePeer) {
  for (const size_t segment_size : {size_t{1}, size_t{7}, size_t{1400}}) {
    for (const char* shards : {"0", "1"}) {
      std::vector<std::string> clients =
          clients_of(two_clients(segment_size), {"--trusted-proxies", "1", "--shards", shards});
      std::sort(clients.begin(), clients.end());
      EXPECT_EQ(clients, (std::vector<std::string>{kPeer, kPeer, "2001:db8::2", "2001:db8::2",
                                                   "203.0.113.1", "203.0.113.1", "203.0.113.1"}))
          << segment_size;
    }
  }
}

TEST(ClientAddress, NothingIsTrustedUnlessItIsSaidAndNothingIsWrittenUnlessItIsAskedFor) {
  for (const std::string& client : clients_of(two_clients(1400), {"--trusted-proxies", "0"})) {
    EXPECT_EQ(client, kPeer);
  }
  for (const std::string& client : clients_of(two_clients(1400), {})) EXPECT_EQ(client, "");
}

TEST(ClientAddress, IsThePeerWhereItIsSelectedAndNothingIsTrusted) {
  const std::vector<std::string> table[] = {{"--select", "client,path"},
                                            {"--select", "client", "--records", "exchange"},
                                            {"--where", "client = 10.0.0.0"}};
  for (const std::vector<std::string>& arguments : table) {
    const std::vector<std::string> clients = clients_of(two_clients(1400), arguments);
    EXPECT_GE(clients.size(), 3u);
    for (const std::string& client : clients) EXPECT_EQ(client, kPeer) << arguments[1];
  }
}

TEST(ClientAddress, AnExchangeHasItsRequests) {
  std::vector<std::string> clients =
      clients_of(two_clients(7), {"--trusted-proxies", "1", "--records", "exchange"});
  std::sort(clients.begin(), clients.end());
  EXPECT_EQ(clients, (std::vector<std::string>{kPeer, "2001:db8::2", "203.0.113.1"}));
  CaptureMaker alone;
  auto connection = alone.open();
  alone.segment(connection, CaptureMaker::kClient, request("X-Forwarded-For: 203.0.113.1\r\n"));
  alone.close(connection);
  EXPECT_EQ(clients_of(alone, {"--trusted-proxies", "1", "--records", "exchange"}),
            std::vector<std::string>{"203.0.113.1"});
}

TEST(ClientAddress, AHeaderThatIsRedactedIsNotRead) {
  for (const std::string& client :
       clients_of(two_clients(1400),
                  {"--trusted-proxies", "1", "--redact-headers", "forwarded,x-forwarded-for"})) {
    EXPECT_EQ(client, kPeer);
  }
  for (const std::string& client : clients_of(
           two_clients(1400), {"--trusted-proxies", "1", "--redact-pattern", "203\\.[0-9.]+"})) {
    EXPECT_NE(client, "203.0.113.1");
  }
}

TEST(ClientAddress, AProxyHeaderGoesFirst) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient,
                "PROXY TCP4 198.51.100.9 192.0.2.1 4711 80\r\n" +
                    request("X-Forwarded-For: 203.0.113.1\r\n"));
  maker.segment(connection, CaptureMaker::kServer, kResponse);
  maker.close(connection);
  for (const char* proxies : {"0", "1"}) {
    EXPECT_EQ(clients_of(maker, {"--trusted-proxies", proxies}),
              (std::vector<std::string>{"198.51.100.9", "198.51.100.9"}));
  }
}

TEST(ClientAddress, AResponseToAnUnknownRequestHasNone) {
  CaptureMaker maker;
  auto connection = maker.connection();
  maker.segment(connection, CaptureMaker::kServer, kResponse);
  EXPECT_EQ(clients_of(maker, {"--trusted-proxies", "1"}), std::vector<std::string>{""});
}

}  // namespace
}  // namespace tcp_sniffer::client_address_e2e_test
