#include "io/capture/offloads.h"

#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>

namespace tcp_sniffer {

namespace {

struct Question {
  uint32_t command;
  uint32_t flag;  // within the answer; 0: the answer itself
  const char* name;
  const char* meaning;
};

constexpr const char* kMerged =
    "received segments are captured merged, in frames of up to 64 KiB and more: messages are not "
    "affected, frame counts and checkTcpOptions are";
constexpr const char* kUncut =
    "segments that this machine sends are captured before they are cut, with checksums not yet "
    "filled in: messages are not affected, frame counts, verifyChecksums and checkTcpOptions are";

constexpr Question kQuestions[] = {
    {ETHTOOL_GGRO, 0, "generic-receive-offload", kMerged},
    {ETHTOOL_GFLAGS, ETH_FLAG_LRO, "large-receive-offload", kMerged},
    {ETHTOOL_GTSO, 0, "tcp-segmentation-offload", kUncut},
    {ETHTOOL_GGSO, 0, "generic-segmentation-offload", kUncut},
};

}  // namespace

std::vector<Offload> active_offloads(const std::string& interface) {
  std::vector<Offload> active;
  if (interface.empty() || interface.size() >= IFNAMSIZ) return active;
  const int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return active;
  for (const Question& question : kQuestions) {
    ethtool_value value{question.command, 0};
    ifreq request{};
    std::memcpy(request.ifr_name, interface.data(), interface.size());
    request.ifr_data = reinterpret_cast<char*>(&value);
    if (ioctl(fd, SIOCETHTOOL, &request) != 0) continue;
    const uint32_t on = question.flag == 0 ? value.data : value.data & question.flag;
    if (on != 0) active.push_back({question.name, question.meaning});
  }
  close(fd);
  return active;
}

}  // namespace tcp_sniffer
