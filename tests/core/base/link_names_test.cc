#include "core/base/link_names.h"

#include <gtest/gtest.h>

#include <string>

namespace tcp_sniffer::link_names_test {
namespace {

TEST(LinkNames, TheSameNameHasTheSameIdAndNoneHasTheIdOfNone) {
  LinkNames names;
  EXPECT_EQ(names.add("eth0"), 1);
  EXPECT_EQ(names.add("eth1"), 2);
  EXPECT_EQ(names.add("eth0"), 1);
  EXPECT_EQ(names.add(""), 0);
  EXPECT_EQ(names.of(1), "eth0");
  EXPECT_EQ(names.of(2), "eth1");
  for (const uint16_t unknown : {uint16_t{0}, uint16_t{3}, uint16_t{65535}}) {
    EXPECT_EQ(names.of(unknown), "") << unknown;
  }
}

TEST(LinkNames, ZerosAtTheEndAreNoPartOfIt) {
  LinkNames names;
  EXPECT_EQ(names.of(names.add(std::string("eth0\0\0", 6))), "eth0");
  EXPECT_EQ(names.add(std::string("\0", 1)), 0);
}

TEST(LinkNames, ALongOneIsCutBetweenCharacters) {
  LinkNames names;
  const std::string long_one(LinkNames::kNameBytesMax - 1, 'n');
  EXPECT_EQ(names.of(names.add(long_one + "abc")), long_one + "a");
  EXPECT_EQ(names.of(names.add(long_one + "\u00fc")), long_one);
}

TEST(LinkNames, WhenThereAreTooManyTheFurtherOnesHaveNone) {
  LinkNames names;
  for (size_t i = 1; i < LinkNames::kNamesMax; i++) {
    ASSERT_EQ(names.add("e" + std::to_string(i)), i);
  }
  EXPECT_EQ(names.add("one more"), 0);
  EXPECT_EQ(names.add("e7"), 7);
  EXPECT_EQ(names.of(LinkNames::kNamesMax - 1), "e4095");
}

}  // namespace
}  // namespace tcp_sniffer::link_names_test
