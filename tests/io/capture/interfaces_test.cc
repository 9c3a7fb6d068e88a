#include "io/capture/interfaces.h"

#include <gtest/gtest.h>

#include <string>

#include "io/capture/interfaces_text.h"
#include "support/source_lab.h"

namespace tcp_sniffer::interfaces_test {
namespace {

using namespace source_lab;

TEST_F(LiveSourceTest, AnUnknownInterfaceIsAnsweredWithThoseThereAre) {
  LiveOptions options = left();
  options.interface = "wrong0";
  const Problem problem = refused(options, filter_of({8080}));
  EXPECT_EQ(problem.code, ErrorCode::kInvalidInterface);
  EXPECT_EQ(problem.message().find("interface: there is no \"wrong0\"; there are: "), 0U);
  for (const char* name : {"left", "right", "any", "lo"}) {
    EXPECT_NE(problem.message().find(name), std::string::npos) << problem.message();
  }
}

TEST_F(LiveSourceTest, AFilterThatDoesNotFitTheInterfaceIsAConfigurationError) {
  const Problem problem = refused(left(), filter_of({8080}, "type mgt"));
  EXPECT_EQ(problem.code, ErrorCode::kInvalidConfig);
  EXPECT_NE(problem.message().find("802.11"), std::string::npos) << problem.message();
}

TEST_F(LiveSourceTest, WithoutRightsTheMissingCapabilityAndItsCommandAreNamed) {
  const CaptureFilter filter = filter_of({8080});
  ASSERT_EQ(seteuid(65534), 0);
  const Problem problem = refused(left(), filter);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(problem.code, ErrorCode::kPermissionDenied);
  EXPECT_NE(problem.message().find("CAP_NET_RAW"), std::string::npos) << problem.message();
  EXPECT_NE(problem.message().find("sudo setcap cap_net_raw+ep /"), std::string::npos);
}

TEST_F(LiveSourceTest, AnInterfaceThatIsDownCanNotBeOpened) {
  ASSERT_TRUE(run("ip link set left down"));
  const Problem problem = refused(left(), filter_of({8080}));
  EXPECT_EQ(problem.code, ErrorCode::kCaptureOpenFailed);
  EXPECT_NE(problem.message().find("ip link set left up"), std::string::npos) << problem.message();
  EXPECT_NE(problem.message().find("\"left\": That device is not up; bring"), std::string::npos)
      << "said once: " << problem.message();
}

TEST_F(LiveSourceTest, TheListHasWhatOpensAndTheReasonAgainstTheRest) {
  ASSERT_TRUE(run("ip link set left down"));
  const InterfacesText text = interfaces_text(list_interfaces());
  const auto line_of = [](const std::string& in, const std::string& name) {
    const size_t begin = ("\n" + in).find("\n" + name + " ");
    return begin == std::string::npos ? "" : in.substr(begin, in.find('\n', begin) - begin);
  };
  EXPECT_EQ(line_of(text.opens, "left"), "") << text.opens;
  EXPECT_NE(line_of(text.refused, "left")
                .find("left cannot be opened: That device is not up; bring it up"),
            std::string::npos)
      << text.refused;
  EXPECT_NE(line_of(text.opens, "lo"), "");
  EXPECT_NE(line_of(text.opens, "any"), "");
  // What carries no IP, or needs the number of a group, is no interface.
  for (const char* name :
       {"nflog", "nfqueue", "dbus-system", "dbus-session", "bluetooth-monitor"}) {
    EXPECT_EQ(line_of(text.opens + text.refused, name), "") << name;
  }
  size_t lines = 0;
  for (const InterfaceInfo& interface : list_interfaces().interfaces) {
    const bool is_listed = !line_of(text.opens, interface.name).empty();
    if (!is_listed && line_of(text.refused, interface.name).empty()) continue;
    ++lines;
    LiveOptions options = left();
    options.interface = interface.name;
    EXPECT_EQ(refused(options, filter_of({8080})).code == ErrorCode::kNone, is_listed)
        << interface.name;
  }
  EXPECT_GE(lines, 3U);
}

TEST_F(LiveSourceTest, AUserWithoutRightsIsListedNothing) {
  const InterfaceList list = list_interfaces();
  ASSERT_EQ(seteuid(65534), 0);
  const InterfacesText text = interfaces_text(list);
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(text.opens, "");
  EXPECT_NE(text.refused.find("right cannot be opened: "), std::string::npos) << text.refused;
}

TEST_F(LiveSourceTest, TheDefaultInterfaceIsTheFirstThatIsUpAndNotLoopback) {
  const InterfaceList list = list_interfaces();
  EXPECT_EQ(list.error, "");
  const InterfaceInfo* chosen = default_interface(list);
  ASSERT_NE(chosen, nullptr);
  EXPECT_TRUE(chosen->name == "left" || chosen->name == "right") << chosen->name;
  ASSERT_TRUE(run("ip link set left down && ip link set right down"));
  EXPECT_EQ(default_interface(list_interfaces()), nullptr);
}

}  // namespace
}  // namespace tcp_sniffer::interfaces_test
