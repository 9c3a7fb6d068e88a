#include "io/base/kafka_target.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace tcp_sniffer::kafka_target_test {
namespace {

TEST(KafkaTarget, IsBrokersAndATopic) {
  const struct {
    const char* output;
    const char* brokers;
    const char* topic;
  } cases[] = {
      {"kafka://a:1/t", "a:1", "t"},
      {"kafka://a/t", "a:9092", "t"},
      {"kafka://a.example:9092,b.example,10.0.0.1:65535/http.messages_1-x",
       "a.example:9092,b.example:9092,10.0.0.1:65535", "http.messages_1-x"},
      {"kafka://[::1]:9092,[2001:db8::1]/t", "[::1]:9092,[2001:db8::1]:9092", "t"},
  };
  for (const auto& each : cases) {
    KafkaTarget target;
    EXPECT_EQ(read_kafka_target(each.output, target), "") << each.output;
    EXPECT_EQ(target.brokers, each.brokers);
    EXPECT_EQ(target.topic, each.topic);
  }
  EXPECT_TRUE(is_kafka("kafka://"));
  EXPECT_FALSE(is_kafka("kafka"));
  EXPECT_FALSE(is_kafka("./kafka://a/t"));
}

TEST(KafkaTarget, WhatIsNoneIsRefused) {
  const std::string longest(249, 'x');
  KafkaTarget target;
  EXPECT_EQ(read_kafka_target("kafka://a/" + longest, target), "");
  const std::vector<std::string> wrong = {"kafka://",         "kafka:///t",
                                          "kafka://a",        "kafka://a/",
                                          "kafka://a:0/t",    "kafka://a:65536/t",
                                          "kafka://a:/t",     "kafka://a:x/t",
                                          "kafka://a,/t",     "kafka://,a/t",
                                          "kafka://a:1:2/t",  "kafka://u:p@a/t",
                                          "kafka://a b/t",    "kafka://a/t/u",
                                          "kafka://a/t?x=1",  "kafka://a/..",
                                          "kafka://a/.",      "kafka://a/t%20",
                                          "kafka://[::1/t",   "kafka://[]/t",
                                          "kafka://[::1]x/t", "kafka://a/" + longest + "x"};
  for (const std::string& output : wrong) {
    KafkaTarget unchanged{"before", "before"};
    EXPECT_NE(read_kafka_target(output, unchanged), "") << output;
    EXPECT_EQ(unchanged.brokers, "before");
  }
}

TEST(KafkaProperties, AreTakenAsLibrdkafkaTakesThem) {
  KafkaProperty property;
  EXPECT_EQ(read_kafka_property(" compression.codec = lz4 ", false, property), "");
  EXPECT_EQ(property.name, "compression.codec");
  EXPECT_EQ(property.value, "lz4");
  EXPECT_FALSE(property.from_file);
  // Of the topic, too.
  EXPECT_EQ(read_kafka_property("request.timeout.ms=1000", false, property), "");
  const auto fault_of = [&](const char* text) {
    return read_kafka_property(text, false, property);
  };
  EXPECT_NE(fault_of("compression.codec").find("NAME=VALUE"), std::string::npos);
  EXPECT_NE(fault_of("=x").find("NAME=VALUE"), std::string::npos);
  EXPECT_NE(fault_of("no.such=x").find("\"no.such\" is no property"), std::string::npos);
  EXPECT_NE(fault_of("compression.codec=zip").find("zip"), std::string::npos);
  EXPECT_NE(fault_of("bootstrap.servers=a:1").find("output"), std::string::npos);
  EXPECT_NE(fault_of("queue.buffering.max.messages=1").find("memoryLimit"), std::string::npos);
  EXPECT_NE(fault_of("plugin.library.paths=x.so").find("no code"), std::string::npos);
}

TEST(KafkaProperties, SecretsStandInTheFileAloneAndNoErrorShowsThem) {
  KafkaProperty property;
  for (const char* name : {"sasl.password", "ssl.key.password", "ssl.key.pem",
                           "ssl.keystore.password", "sasl.oauthbearer.config"}) {
    const std::string fault = read_kafka_property(std::string(name) + "=hunter2", false, property);
    EXPECT_NE(fault.find("kafkaPropertiesFile"), std::string::npos) << name;
    EXPECT_EQ(fault.find("hunter2"), std::string::npos) << fault;
    EXPECT_EQ(read_kafka_property(std::string(name) + "=hunter2", true, property), "") << name;
  }
  for (const char* line :
       {"hunter2", "security.protocol=hunter2", "sasl.hunter2=x", "acks=hunter2"}) {
    const std::string fault = read_kafka_property(line, true, property);
    EXPECT_NE(fault, "") << line;
    EXPECT_EQ(fault.find("hunter2"), std::string::npos) << fault;
  }
}

TEST(KafkaProperties, OfAFileAreItsLines) {
  std::vector<KafkaProperty> properties;
  EXPECT_EQ(read_kafka_properties("# a comment\n\n"
                                  "sasl.username=alice\r\n"
                                  "  sasl.password = a=b # c\n"
                                  "acks=all",
                                  properties),
            "");
  ASSERT_EQ(properties.size(), 3u);
  EXPECT_EQ(properties[0].value, "alice");
  EXPECT_EQ(properties[1].value, "a=b # c");
  EXPECT_TRUE(properties[1].from_file);
  EXPECT_EQ(properties[2].name, "acks");
  const std::string fault = read_kafka_properties("acks=all\nhunter2\n", properties);
  EXPECT_NE(fault.find("line 2"), std::string::npos);
  EXPECT_EQ(fault.find("hunter2"), std::string::npos);
}

TEST(KafkaProperties, OfTheFileAreHiddenInEachText) {
  const std::vector<KafkaProperty> properties = {{"sasl.password", "hunter2", true},
                                                 {"sasl.username", "alice", false},
                                                 {"enable.idempotence", "1", true}};
  EXPECT_EQ(without_secrets("alice: hunter2, hunter2hunter2 1", properties),
            "alice: [hidden], [hidden][hidden] 1");
}

}  // namespace
}  // namespace tcp_sniffer::kafka_target_test
