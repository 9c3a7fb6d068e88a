// The yardstick: libpcap reads the file and each packet's captured length is added up.

#include <pcap/pcap.h>

#include <cstdint>
#include <cstdio>

namespace {

struct Sum {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

void add(u_char* user, const pcap_pkthdr* header, const u_char*) {
  auto* const sum = reinterpret_cast<Sum*>(user);
  ++sum->packets;
  sum->bytes += header->caplen;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("Usage: pcap_loop FILE\n", stderr);
    return 2;
  }
  char error[PCAP_ERRBUF_SIZE];
  pcap_t* const capture = pcap_open_offline(argv[1], error);
  if (capture == nullptr) {
    std::fprintf(stderr, "pcap_loop: %s\n", error);
    return 1;
  }
  Sum sum;
  const int result = pcap_loop(capture, -1, add, reinterpret_cast<u_char*>(&sum));
  if (result != 0) std::fprintf(stderr, "pcap_loop: %s\n", pcap_geterr(capture));
  pcap_close(capture);
  std::printf("%llu packets, %llu bytes\n", static_cast<unsigned long long>(sum.packets),
              static_cast<unsigned long long>(sum.bytes));
  return result == 0 ? 0 : 1;
}
