#include "io/base/version.h"

#include <llhttp.h>
#include <mimalloc.h>
#include <pcap/pcap.h>
#include <xxhash.h>

#include "io/base/revision.h"

namespace tcp_sniffer {

namespace {

std::string dotted(unsigned number, unsigned base) {
  return std::to_string(number / (base * base)) + "." + std::to_string(number / base % base) + "." +
         std::to_string(number % base);
}

}  // namespace

std::string_view version() {
  return TCP_SNIFFER_VERSION;
}
std::string_view git_revision() {
  return TCP_SNIFFER_REVISION;
}

std::string version_text() {
  std::string text =
      "tcp-sniffer " + std::string(version()) + " (" + std::string(git_revision()) + ")\n";
  text += std::string(pcap_lib_version()) + "\n";
  text += "llhttp " + std::to_string(LLHTTP_VERSION_MAJOR) + "." +
          std::to_string(LLHTTP_VERSION_MINOR) + "." + std::to_string(LLHTTP_VERSION_PATCH) + "\n";
  text += "xxHash " + dotted(XXH_versionNumber(), 100) + "\n";
  // MI_MALLOC_VERSION: major, then two digits, as 209 for 2.0.9
#ifdef TCP_SNIFFER_WITH_MIMALLOC
  text += "mimalloc " + dotted(static_cast<unsigned>(MI_MALLOC_VERSION), 10) + "\n";
#else
  text += "mimalloc not used\n";
#endif
  return text;
}

}  // namespace tcp_sniffer
