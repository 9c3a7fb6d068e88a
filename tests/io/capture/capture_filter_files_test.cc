// The user's filter: which are taken, and how they choose frames of files.

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "support/filter_lab.h"

namespace tcp_sniffer::capture_filter_files_test {
namespace {

using namespace filter_lab;

TEST(UserFilterTest, WordsThatMoveOffsetsAreRefused) {
  for (const char* word : {"vlan", "mpls", "pppoes", "geneve"}) {
    for (const std::string& user : {std::string(word), "tcp and (" + std::string(word) + " 5)"}) {
      EXPECT_EQ(refusal(user), "filter: \"" + user + "\" has the word " + word +
                                   ", which moves the offsets of all that follows it; allowed: a "
                                   "filter without it (tagged frames are captured anyway, and the "
                                   "filter is applied after their tags)");
    }
  }
}

TEST(UserFilterTest, LibpcapsWordsExplainABadFilter) {
  EXPECT_EQ(refusal("tcp prot 80"),
            "filter: \"tcp prot 80\" is refused by libpcap: can't parse filter expression: syntax "
            "error; allowed: a filter as in the manual page pcap-filter");
  EXPECT_NE(refusal("tcp) or (udp"), "") << "must not close a parenthesis that is not its own";
  EXPECT_NE(refusal("port 70000").find("illegal port number 70000"), std::string::npos);
  EXPECT_NE(refusal(std::string("tcp\0udp", 7)), "");
}

TEST(UserFilterTest, GoodFiltersAndBlankOnesAreTaken) {
  for (const char* user : {"", "  \n", "tcp", "host 10.0.0.1 and not port 22",
                           "tcp[tcpflags] & tcp-syn != 0", "ether host 02:02:02:02:02:02"}) {
    for (const Use use : {Use::kLive, Use::kFiles}) EXPECT_EQ(refusal(user, use), "");
  }
  EXPECT_EQ(refusal("type mgt", Use::kFiles), "") << "makes sense on 802.11 alone";
}

TEST(FileFilterTest, WithoutAFilterEverythingPassesWhateverThePorts) {
  CaptureFilter filter = make({{8080}, " ", false, Use::kFiles});
  EXPECT_TRUE(filter.passes_everything());
  EXPECT_TRUE(file_matches(filter, ethernet(kSsh4)));
  EXPECT_TRUE(file_matches(filter, {}));
}

TEST(FileFilterTest, TheFilterCountsBehindTagsAndPortsDoNotCount) {
  CaptureFilter host = make({{8080}, "host 10.0.0.1", true, Use::kFiles});
  CaptureFilter no_ssh = make({{8080}, "not port 22", true, Use::kFiles});
  for (const auto& tags : std::vector<std::vector<uint16_t>>{{}, {kTag}, {kServiceTag, kTag}}) {
    SCOPED_TRACE(std::to_string(tags.size()) + " tags");
    EXPECT_TRUE(file_matches(host, ethernet(kSsh4, kIpv4, tags)));
    EXPECT_TRUE(file_matches(host, ethernet(kDns4, kIpv4, tags)));
    EXPECT_FALSE(file_matches(host, ethernet(kHttp6, kIpv6, tags)));
    EXPECT_TRUE(file_matches(no_ssh, ethernet(kHttp4, kIpv4, tags)));
    EXPECT_FALSE(file_matches(no_ssh, ethernet(kSsh4, kIpv4, tags)));
  }
  EXPECT_TRUE(file_matches(no_ssh, ethernet(Bytes(60, 0), 0x8864)));
  EXPECT_FALSE(file_matches(host, {}));
}

TEST(FileFilterTest, TheFilterCountsBehindEveryEncapsulation) {
  CaptureFilter host = make({{}, "host 10.0.0.1", true, Use::kFiles});
  CaptureFilter no_ssh = make({{}, "not port 22", true, Use::kFiles});
  for (const Encapsulated& kind : encapsulations(kSsh4)) {
    SCOPED_TRACE(kind.name);
    EXPECT_TRUE(host.matches(frame_of(ethernet(kind.payload, kind.type))));
    EXPECT_FALSE(no_ssh.matches(frame_of(ethernet(kind.payload, kind.type))));
  }
  for (const Encapsulated& kind : encapsulations(kHttp6)) {
    SCOPED_TRACE(kind.name);
    EXPECT_FALSE(host.matches(frame_of(ethernet(kind.payload, kind.type))));
    EXPECT_TRUE(no_ssh.matches(frame_of(ethernet(kind.payload, kind.type))));
  }
}

TEST(FileFilterTest, EveryLinkTypeGetsAProgramOfItsOwn) {
  CaptureFilter filter = make({{}, "tcp port 8080", true, Use::kFiles});
  filter.set_on_problem([](LinkType, const std::string& why) { ADD_FAILURE() << why; });
  for (int round = 0; round < 2; ++round) {
    EXPECT_TRUE(file_matches(filter, ethernet(kHttp4)));
    EXPECT_TRUE(file_matches(filter, kHttp4, LinkType::kRaw));
    EXPECT_FALSE(file_matches(filter, kSsh4, LinkType::kRaw));
    EXPECT_TRUE(file_matches(filter, kHttp6, LinkType::kIpv6));
    EXPECT_TRUE(file_matches(filter, Bytes(14, 0) + be16(kIpv4) + kHttp4, LinkType::kLinuxSll));
    // AF_INET6 of FreeBSD and of macOS.
    EXPECT_TRUE(file_matches(filter, Bytes{28, 0, 0, 0} + kHttp6, LinkType::kNull));
    EXPECT_TRUE(file_matches(filter, Bytes{30, 0, 0, 0} + kHttp6, LinkType::kNull));
  }
}

TEST(FileFilterTest, AFilterThatDoesNotFitALinkTypeSaysSoOnce) {
  std::vector<std::pair<LinkType, std::string>> said;
  const auto on_problem = [&](LinkType link_type, const std::string& why) {
    said.emplace_back(link_type, why);
  };
  CaptureFilter ether = make({{}, "ether host 02:02:02:02:02:02", true, Use::kFiles});
  ether.set_on_problem(on_problem);
  EXPECT_TRUE(file_matches(ether, ethernet(kHttp4)));
  EXPECT_TRUE(said.empty());
  for (int round = 0; round < 2; ++round) {
    EXPECT_FALSE(file_matches(ether, kHttp4, LinkType::kRaw));
  }
  ASSERT_EQ(said.size(), 1u);
  EXPECT_EQ(said[0].first, LinkType::kRaw);
  EXPECT_NE(said[0].second.find("cannot be applied"), std::string::npos) << said[0].second;

  CaptureFilter ip6 = make({{}, "ip6", true, Use::kFiles});
  ip6.set_on_problem(on_problem);
  EXPECT_FALSE(file_matches(ip6, kHttp4, LinkType::kIpv4));
  EXPECT_EQ(said.size(), 1u) << "no frame of this link type can be IPv6, which is no mistake";
}

}  // namespace
}  // namespace tcp_sniffer::capture_filter_files_test
