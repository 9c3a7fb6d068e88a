// libtins + llhttp: TCP streams reassembled by Tins::TCPIP::StreamFollower, a line a message.

#include <tins/tcp_ip/stream_follower.h>
#include <tins/tins.h>

#include <cstdio>
#include <exception>
#include <memory>
#include <string>

#include "message_printer.h"

namespace {

std::string client_of(const Tins::TCPIP::Stream& stream) {
  const std::string address =
      stream.is_v6() ? stream.client_addr_v6().to_string() : stream.client_addr_v4().to_string();
  return address + ":" + std::to_string(stream.client_port());
}

std::string server_of(const Tins::TCPIP::Stream& stream) {
  const std::string address =
      stream.is_v6() ? stream.server_addr_v6().to_string() : stream.server_addr_v4().to_string();
  return address + ":" + std::to_string(stream.server_port());
}

void follow(Tins::TCPIP::Stream& stream, peers::Output& output) {
  using Tins::TCPIP::Stream;
  auto connection =
      std::make_shared<peers::ConnectionPrinter>(client_of(stream), server_of(stream), output);
  stream.client_data_callback([connection](Stream& from) {
    const auto& data = from.client_payload();
    connection->client_data(reinterpret_cast<const char*>(data.data()), data.size());
  });
  stream.server_data_callback([connection](Stream& from) {
    const auto& data = from.server_payload();
    connection->server_data(reinterpret_cast<const char*>(data.data()), data.size());
  });
  stream.stream_closed_callback([connection](Stream&) { connection->finish(); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("Usage: peer_libtins FILE\n", stderr);
    return 2;
  }
  try {
    peers::Output output;
    Tins::TCPIP::StreamFollower follower;
    follower.new_stream_callback([&](Tins::TCPIP::Stream& stream) { follow(stream, output); });
    Tins::FileSniffer sniffer(argv[1]);
    sniffer.sniff_loop([&](Tins::Packet& packet) {
      follower.process_packet(packet);
      return true;
    });
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "peer_libtins: %s\n", error.what());
    return 1;
  }
}
