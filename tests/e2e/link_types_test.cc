// The link type of a capture: that it is said, and what is said of one that cannot be read.

#include <gtest/gtest.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>

#include <cstring>
#include <string>
#include <vector>

#include "support/capture_files.h"
#include "support/live_lab.h"

namespace tcp_sniffer::link_types_test {
namespace {

constexpr uint16_t kUser0 = 147;  // LINKTYPE_USER0: a meaning of everybody's own
constexpr uint32_t kMicroseconds = 0xa1b2c3d4;

Bytes pcap_of(uint32_t link_type, size_t frames) {
  Bytes bytes = pcap_header(kMicroseconds, false, link_type);
  for (size_t i = 0; i < frames; i++) bytes = bytes + pcap_packet(pattern(60, 1), 1700000000, 0);
  return bytes;
}

class LinkTypes : public CaptureFileTest {};

TEST_F(LinkTypes, AFileThatCanNotBeReadIsSaidOnceAndItsFramesAreCounted) {
  for (const char* shards : {"0", "1"}) {
    for (const uint16_t link_type : {uint16_t{999}, kUser0}) {
      SCOPED_TRACE(link_type);
      const std::string path = write("strange.pcap", pcap_of(link_type, 20));
      const Finished run = run_sniffer({"-r", path, "--shards", shards});
      EXPECT_EQ(run.exit.code, 0);
      const Json said = event_named(run.err, "unsupported_link_type");
      EXPECT_EQ(said["level"], "warn");
      EXPECT_EQ(said["linkType"], link_type);
      EXPECT_EQ(said["file"], path);
      EXPECT_EQ(event_named(run.err, "stopped")["frames"]["not_ip"], 20);
    }
  }
}

TEST_F(LinkTypes, AFilterThatCanNotBeAppliedToThemIsSaidOnce) {
  const std::string path = write("raw.pcap", pcap_of(101, 20));
  const Finished run = run_sniffer({"-r", path, "--filter", "ether host 01:02:03:04:05:06"});
  EXPECT_EQ(run.exit.code, 0);
  const Json said = event_named(run.err, "unsupported_link_type");
  EXPECT_EQ(said["linkType"], 101);
  EXPECT_NE(said["error"].get<std::string>().find("ether host"), std::string::npos) << said;
  EXPECT_EQ(event_named(run.err, "stopped")["frames"]["filtered"], 20);
}

TEST_F(LinkTypes, FramesThatAFilterLeavesOutAreSaidTooAndTypesWithoutFramesAreNot) {
  const std::string path =
      write("mixed.pcapng", section() + interface_block(1) + interface_block(148) +
                                interface_block(kUser0) + interface_block(999) +
                                enhanced(pattern(60, 1), 1, 0) + enhanced(pattern(60, 1), 1, 2) +
                                enhanced(pattern(60, 1), 1, 3) + enhanced(pattern(60, 1), 1, 2));
  for (const bool filtered : {false, true}) {
    std::vector<std::string> arguments = {"-r", path};
    if (filtered) arguments.insert(arguments.end(), {"--filter", "tcp"});
    const Finished run = run_sniffer(arguments);
    const std::vector<Json> said = events_named(run.err, "unsupported_link_type");
    ASSERT_EQ(said.size(), 2u) << run.err;
    EXPECT_EQ(said[0]["linkType"], kUser0);
    EXPECT_EQ(said[1]["linkType"], 999);
  }
}

TEST_F(LinkTypes, StartedAndTheCheckNameTheOneOfTheFirstFile) {
  const std::string pcap = write("a.pcap", pcap_of(113, 1));
  const std::string pcapng =
      write("b.pcapng", section() + block(0x0bad, pattern(300, 1)) + interface_block(276));
  const auto started = [](const std::string& path, std::string_view standard_input = {}) {
    return event_named(run_sniffer({"-r", path}, standard_input).err, "started");
  };
  EXPECT_EQ(started(pcap)["linkType"], 113);
  EXPECT_EQ(started(pcapng)["linkType"], 276);
  ASSERT_TRUE(shell("gzip -k " + pcap));
  EXPECT_EQ(started(pcap + ".gz")["linkType"], 113);
  const Bytes bytes = pcap_of(113, 1);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  EXPECT_FALSE(started("-", text).contains("linkType")) << "its bytes are not to be used up";

  const std::string strange = write("strange.pcap", pcap_of(kUser0, 1));
  const Finished check = run_sniffer({"--check", "-r", pcap, strange});
  EXPECT_EQ(check.exit.code, 0);
  EXPECT_NE(check.out.find("link type:  113\n"), std::string::npos) << check.out;
  EXPECT_NE(check.out.find("link type:  147, whose frames cannot be read"), std::string::npos)
      << check.out;
}

TEST_F(LinkTypes, AFileThatEndsBeforeItsLinkTypeHasNone) {
  const Bytes whole = section() + interface_block(1);
  for (const size_t size : {size_t{4}, size_t{30}, whole.size() - 1}) {
    SCOPED_TRACE(size);
    const std::string path =
        write("cut.pcapng", Bytes(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)));
    const Finished run = run_sniffer({"-r", path});
    EXPECT_EQ(run.exit.code, 6);
    EXPECT_FALSE(event_named(run.err, "started").contains("linkType"));
  }
}

using LiveLinkTypes = LiveLab;

TEST_F(LiveLinkTypes, AnInterfaceThatCanNotBeReadIsSaidAtTheStart) {
  if (IsSkipped()) return;
  Descriptor tun;
  bool made = false;
  server_.run([&] {
    ifreq request{};
    tun = Descriptor(::open("/dev/net/tun", O_RDWR | O_CLOEXEC));
    std::strcpy(request.ifr_name, "ring");
    request.ifr_flags = IFF_TUN | IFF_NO_PI;
    made = ::ioctl(tun.get(), TUNSETIFF, &request) == 0 &&
           ::ioctl(tun.get(), TUNSETLINK, ARPHRD_IEEE802_TR) == 0;
  });
  if (!made) GTEST_SKIP() << "an interface of another kind cannot be made here";
  ASSERT_TRUE(server_.ip("link set ring up"));
  LiveSniffer sniffer(server_, {"-i", "ring", "-p", "80"});
  ASSERT_TRUE(sniffer.wait_for("unsupported_link_type")) << sniffer.said();
  const Json said = sniffer.events("unsupported_link_type")[0];
  EXPECT_EQ(said["interface"], "ring");
  EXPECT_EQ(said["linkType"], sniffer.events("started")[0]["linkType"]);
  EXPECT_EQ(sniffer.stop().code, 0);
}

}  // namespace
}  // namespace tcp_sniffer::link_types_test
