// libnids + llhttp: TCP streams reassembled by libnids, a line a message. IPv4 only, as libnids is.

#include <arpa/inet.h>
#include <nids.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "message_printer.h"

namespace {

peers::Output* output;

std::string endpoint(unsigned address, unsigned short port) {
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &address, text, sizeof text);
  return std::string(text) + ":" + std::to_string(port);
}

void on_stream(tcp_stream* stream, void** state) {
  if (stream->nids_state == NIDS_JUST_EST) {
    stream->client.collect = 1;
    stream->server.collect = 1;
    *state = new peers::ConnectionPrinter(endpoint(stream->addr.saddr, stream->addr.source),
                                          endpoint(stream->addr.daddr, stream->addr.dest), *output);
    return;
  }
  auto* const connection = static_cast<peers::ConnectionPrinter*>(*state);
  if (stream->nids_state == NIDS_DATA) {
    // What the server received came from the client.
    const half_stream& server = stream->server;
    const half_stream& client = stream->client;
    if (server.count_new != 0) {
      connection->client_data(server.data, static_cast<std::size_t>(server.count_new));
    }
    if (client.count_new != 0) {
      connection->server_data(client.data, static_cast<std::size_t>(client.count_new));
    }
    return;
  }
  connection->finish();
  delete connection;
  *state = nullptr;
}

void ignore_warning(int, int, void*, void*) {}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2 || argc > 3) {
    std::fputs("Usage: peer_libnids FILE [CONNECTIONS]\n", stderr);
    return 2;
  }
  peers::Output lines;
  output = &lines;
  // libnids keeps at most three quarters of this number of connections.
  nids_params.n_tcp_streams = argc == 3 ? std::atoi(argv[2]) / 3 * 4 + 16 : 65536;
  nids_params.filename = argv[1];
  nids_params.scan_num_hosts = 0;
  nids_params.syslog = reinterpret_cast<void (*)()>(ignore_warning);
  if (nids_init() == 0) {
    std::fprintf(stderr, "peer_libnids: %s\n", nids_errbuf);
    return 1;
  }
  nids_chksum_ctl no_checksums{};
  no_checksums.action = NIDS_DONT_CHKSUM;
  nids_register_chksum_ctl(&no_checksums, 1);
  nids_register_tcp(reinterpret_cast<void*>(on_stream));
  nids_run();
  return 0;
}
