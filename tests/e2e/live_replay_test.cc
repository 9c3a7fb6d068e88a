// Generated captures, replayed over a cable: every message is found, as in the file.

#include <pcap/pcap.h>

#include <map>

#include "support/live_lab.h"

namespace tcp_sniffer::live_replay_test {
namespace {

using namespace std::chrono_literals;

class LiveReplay : public LiveLab {
 protected:
  // Makes a capture with the generator, replays it over the cable and compares what came out.
  void replay(const std::vector<std::string>& generator_options,
              std::vector<std::string> sniffer_options) {
    make(generator_options);
    if (IsSkipped() || HasFatalFailure()) return;
    send_and_compare(std::move(sniffer_options));
  }

  void make(const std::vector<std::string>& generator_options) {
    if (!has_program("tcpreplay")) GTEST_SKIP() << "tcpreplay is not installed";
    const std::filesystem::path generator =
        std::filesystem::path(TCP_SNIFFER_BINARY).parent_path() / "tools/pcapgen/pcapgen";
    if (!std::filesystem::exists(generator)) GTEST_SKIP() << "pcapgen is not built";
    file_ = (folder_ / "replay.pcap").string();
    std::vector<std::string> words = {generator, "-o", file_, "--size", kSanitized ? "1M" : "20M"};
    words.insert(words.end(), generator_options.begin(), generator_options.end());
    ASSERT_EQ(run(words).exit.code, 0);
    expected_ = Json::parse(content_of(file_ + ".expected.json"));
  }

  // `copies`: how often the generated traffic must be found.
  void send_and_compare(std::vector<std::string> sniffer_options, uint64_t copies = 1,
                        LiveSniffer::Options reading = {}) {
    // No segment may come twice or be answered: the server's host has no part in it.
    ASSERT_TRUE(server_.ip("addr flush dev right") && client_.ip("addr flush dev left"));
    ASSERT_TRUE(client_.ip("link set left mtu 9000") && server_.ip("link set right mtu 9000"));

    sniffer_options.insert(sniffer_options.begin(), {"-i", "right"});
    if (std::count(sniffer_options.begin(), sniffer_options.end(), "-p") == 0) {
      sniffer_options.insert(sniffer_options.end(), {"-p", "80"});
    }
    LiveSniffer sniffer(server_, sniffer_options, std::move(reading));
    ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    const Finished sent = run(client_.command(
        {"tcpreplay", "-i", "left", "--mbps", kSanitized ? "30" : "500", "-K", file_}));
    EXPECT_EQ(sent.exit.code, 0) << sent.err;
    const uint64_t messages = expected("messages") * copies;
    EXPECT_TRUE(until([&] { return sniffer.lines() >= messages; })) << sniffer.lines();
    EXPECT_EQ(sniffer.stop().code, 0);
    stopped_ = sniffer.stopped();
    expect_ledger_closes(stopped_);
    expect_no_drops(stopped_);
    EXPECT_EQ(stopped_["messages"]["requests"], expected("requests") * copies);
    EXPECT_EQ(stopped_["messages"]["responses"], expected("responses") * copies);
    EXPECT_EQ(stopped_["bytes"]["parsed"], expected("streamBytes") * copies);
    EXPECT_EQ(sniffer.lines(), messages);
  }
  uint64_t expected(const char* what) const { return expected_[what].get<uint64_t>(); }

  std::string file_;
  Json expected_;
  Json stopped_;
};

TEST_F(LiveReplay, FragmentsPassTheFilterAndArePutTogether) {
  if (IsSkipped()) return;
  replay({"--fragments", "0.2"}, {});
  if (IsSkipped() || HasFatalFailure()) return;
  const uint64_t fragments = expected("fragments");
  EXPECT_GT(fragments, kSanitized ? 10u : 100u);
  // The last fragment of a datagram is classified as the datagram.
  EXPECT_GT(stopped_["frames"]["fragment_merged"], fragments / 3);
}

TEST_F(LiveReplay, FragmentsOfIpv6PassTheFilterToo) {
  if (IsSkipped()) return;
  replay({"--fragments", "0.2", "--ipv6", "1"}, {});
}

TEST_F(LiveReplay, TaggedFramesPassTheFilter) {
  if (IsSkipped()) return;
  replay({"--vlan", "7"}, {});
}

TEST_F(LiveReplay, FramesWithTwoTagsAndFragmentsPassTheFilter) {
  if (IsSkipped()) return;
  replay({"--vlan", "7,8", "--fragments", "0.1"}, {});
}

TEST_F(LiveReplay, TaggedFramesAreSeenOnAnyInterface) {
  if (IsSkipped()) return;
  replay({"--vlan", "7"}, {"-i", "any"});
}

TEST_F(LiveReplay, FragmentsOfAConnectionMeetBehindAFanoutGroup) {
  if (IsSkipped()) return;
  replay({"--fragments", "0.1"}, {"--capture-threads", "2", "--shards", "1"});
}

TEST_F(LiveReplay, ManyPortsAreFilteredByTheProgram) {
  if (IsSkipped()) return;
  std::string ports = "80";
  for (int port = 1001; port < 5000; port += 2) ports += "," + std::to_string(port);
  replay({}, {"-p", ports});
}

// ---------------------------------------------------------------- VLAN tags

// The kernel takes the outer tag out of a received frame, libpcap puts it back; an inner one stays.
struct Tags {
  std::string name;
  std::vector<uint16_t> first;
  std::vector<uint16_t> second;  // of the other network, with another outermost tag
};

void PrintTo(const Tags& tags, std::ostream* out) {
  *out << tags.name;
}

class TwoTaggedNetworks : public LiveReplay, public testing::WithParamInterface<Tags> {
 protected:
  // Two networks whose hosts have the same addresses and say the same at the same time: behind each
  // other, every frame of `file_` with the tags of the first and with those of the second.
  void tag_frames() {
    char error[PCAP_ERRBUF_SIZE];
    pcap_t* in = pcap_open_offline(file_.c_str(), error);
    ASSERT_NE(in, nullptr) << error;
    const std::string tagged = (folder_ / "tagged.pcap").string();
    pcap_dumper_t* out = pcap_dump_open(in, tagged.c_str());
    ASSERT_NE(out, nullptr) << pcap_geterr(in);
    pcap_pkthdr* header = nullptr;
    const u_char* data = nullptr;
    while (pcap_next_ex(in, &header, &data) == 1) {
      const std::string_view frame(reinterpret_cast<const char*>(data), header->caplen);
      for (const std::vector<uint16_t>& tags : {GetParam().first, GetParam().second}) {
        const std::string with = with_tags(frame, tags);
        pcap_pkthdr longer = *header;
        longer.caplen = longer.len = static_cast<bpf_u_int32>(with.size());
        pcap_dump(reinterpret_cast<u_char*>(out), &longer,
                  reinterpret_cast<const u_char*>(with.data()));
      }
    }
    pcap_dump_close(out);
    pcap_close(in);
    file_ = tagged;
  }

  // IEEE 802.1Q, with 802.1ad's type on the outer of two tags.
  static std::string with_tags(std::string_view frame, const std::vector<uint16_t>& tags) {
    std::string out(frame.substr(0, 12));
    for (size_t i = 0; i < tags.size(); i++) {
      const bool outer_of_two = i + 1 < tags.size();
      out += outer_of_two ? std::string("\x88\xa8", 2) : std::string("\x81\x00", 2);
      out += static_cast<char>(tags[i] >> 8);
      out += static_cast<char>(tags[i] & 0xff);
    }
    return out.append(frame.substr(12));
  }

  // Counts the lines by their field `vlan`.
  LiveSniffer::Options count_vlans() {
    LiveSniffer::Options options;
    options.on_output = [this](std::string_view piece) {
      rest_ += piece;
      size_t begin = 0;
      for (size_t end = 0; (end = rest_.find('\n', begin)) != std::string::npos; begin = end + 1) {
        const size_t field = rest_.find("\"vlan\":", begin);
        if (field < end) vlans_[std::strtoul(rest_.c_str() + field + 7, nullptr, 10)]++;
      }
      rest_.erase(0, begin);
    };
    return options;
  }

  std::string rest_;
  std::map<uint64_t, uint64_t> vlans_;
};

TEST_P(TwoTaggedNetworks, AreTwoSetsOfConnectionsWithKeyVlan) {
  if (IsSkipped()) return;
  make({});
  if (IsSkipped() || HasFatalFailure()) return;
  tag_frames();
  send_and_compare({"--key-vlan", "--fields", "extended"}, 2, count_vlans());
  if (HasFatalFailure()) return;
  const Tags& tags = GetParam();
  EXPECT_EQ(stopped_["encapsulation"]["vlan"], expected("packets") * 2 * tags.first.size());
  EXPECT_EQ(stopped_["bytes"]["duplicate"], 0);
  const std::map<uint64_t, uint64_t> each = {{tags.first[0], expected("messages")},
                                             {tags.second[0], expected("messages")}};
  EXPECT_EQ(vlans_, each);
}

TEST_P(TwoTaggedNetworks, AreOneSetSeenTwiceWithoutKeyVlan) {
  if (IsSkipped()) return;
  make({});
  if (IsSkipped() || HasFatalFailure()) return;
  tag_frames();
  send_and_compare({"--fields", "extended"}, 1, count_vlans());
  if (HasFatalFailure()) return;
  const Tags& tags = GetParam();
  EXPECT_EQ(stopped_["encapsulation"]["vlan"], expected("packets") * 2 * tags.first.size());
  EXPECT_EQ(stopped_["bytes"]["duplicate"], expected("payloadBytes"));
  const std::map<uint64_t, uint64_t> first = {{tags.first[0], expected("messages")}};
  EXPECT_EQ(vlans_, first) << "a connection is said with the tag that it was met with";
}

INSTANTIATE_TEST_SUITE_P(Tags, TwoTaggedNetworks,
                         testing::Values(Tags{"Single", {7}, {4094}},
                                         Tags{"Double", {7, 9}, {8, 9}}),
                         [](const auto& tags) { return tags.param.name; });

}  // namespace
}  // namespace tcp_sniffer::live_replay_test
