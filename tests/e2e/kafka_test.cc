// The program with an output to Kafka, beside a cluster within the test.

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "support/ledger_check.h"
#include "support/mock_kafka.h"
#include "support/run_program.h"
#include "support/scrape.h"

namespace tcp_sniffer::kafka_test {
namespace {

using Arguments = std::vector<std::string>;

constexpr const char* kTopic = "http";
constexpr int kPartitions = 3;

Arguments with(Arguments arguments, const Arguments& more) {
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

Arguments read_capture(const std::string& output) {
  return {"-r", capture("site_and_api.pcap").string(), "--log-format", "json", "--output", output};
}

// Lines of a file, by connection, each in its order. Without connectionId in the line: all.
std::map<std::string, std::vector<std::string>> by_connection(const std::string& lines) {
  std::map<std::string, std::vector<std::string>> sorted;
  for (const std::string& line : lines_of(lines)) {
    sorted[Json::parse(line)["connectionId"].get<std::string>()].push_back(line);
  }
  return sorted;
}

// The program under way, with its standard error.
class Running {
 public:
  explicit Running(const Arguments& arguments)
      : err_(memory_file()), child_(sniffer(arguments), {-1, -1, err_.get()}) {}

  bool has_event(std::string_view name) const {
    return until([&] {
      return content_of(err_).find("\"event\":\"" + std::string(name) + "\"") != std::string::npos;
    });
  }
  Child& child() { return child_; }
  std::string err() const { return content_of(err_); }

 private:
  Descriptor err_;
  Child child_;
};

TEST(Kafka, GetsWhatAFileGetsInTheOrderOfEachConnection) {
  const std::vector<Arguments> forms = {{},
                                        {"--records", "exchange"},
                                        {"--shards", "4", "--fields", "extended"},
                                        {"--select", "connectionId,path,status"},
                                        {"--where", "status = 200"},
                                        {"--shards", "0", "--overload", "drop"}};
  for (const Arguments& form : forms) {
    const MockKafka kafka;
    kafka.make_topic(kTopic, kPartitions);
    const Finished in_file = run_sniffer(with({"-r", capture("site_and_api.pcap").string()}, form));
    const Finished sent =
        run_sniffer(with(with(read_capture(kafka.url(kTopic)), {"--sensor-name", "gate-3"}), form));
    EXPECT_EQ(sent.exit.code, 0) << sent.err;
    EXPECT_EQ(sent.out, "");
    const Json stopped = event_named(sent.err, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_GT(stopped["kafka"]["acknowledged"], 0);
    std::map<std::string, std::vector<std::string>> came;
    for (const KafkaRecord& record : kafka.read(kTopic, kPartitions)) {
      came[record.key].push_back(record.value);
      EXPECT_EQ(record.headers.at("sensor"), "gate-3");
      EXPECT_EQ(record.headers.at("schemaVersion"), "1");
    }
    EXPECT_EQ(came, by_connection(in_file.out)) << (form.empty() ? "" : form[1]);
  }
}

TEST(Kafka, GetsPackedRecordsAndRowsOfTables) {
  const MockKafka kafka;
  kafka.make_topic("packed", 1);
  kafka.make_topic("rows", 1);
  const Arguments packed = {"--format", "packed", "--shards", "0"};
  const Finished in_file = run_sniffer(with({"-r", capture("site_and_api.pcap").string()}, packed));
  EXPECT_EQ(run_sniffer(with(read_capture(kafka.url("packed")), packed)).exit.code, 0);
  std::string all;
  for (const KafkaRecord& record : kafka.read("packed", 1)) all += record.value;
  EXPECT_EQ(all, in_file.out);

  const Arguments rows = {"--format", "csv", "--shards", "0"};
  const Finished table = run_sniffer(with({"-r", capture("site_and_api.pcap").string()}, rows));
  EXPECT_EQ(run_sniffer(with(read_capture(kafka.url("rows")), rows)).exit.code, 0);
  std::string text;
  for (const KafkaRecord& record : kafka.read("rows", 1)) text += record.value + "\n";
  EXPECT_EQ(text, table.out.substr(table.out.find('\n') + 1));
}

TEST(Kafka, AStopWaitsForBrokersAsLongAsDrainTimeoutMsAndCountsTheRest) {
  Running run(with(read_capture("kafka://127.0.0.1:1/http"), {"--drain-timeout-ms", "300"}));
  ASSERT_TRUE(run.has_event("kafka_error"));
  const auto before = std::chrono::steady_clock::now();
  run.child().signal(SIGTERM);
  const Exit exit = run.child().wait(std::chrono::seconds(20));
  EXPECT_EQ(exit.code, 0);
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(5));
  const Json stopped = event_named(run.err(), "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["messages"]["discarded"], stopped["messages"]["parsed"]);
  EXPECT_EQ(event_named(run.err(), "drain_incomplete")["discarded"], stopped["messages"]["parsed"]);
  const Json error = events_named(run.err(), "kafka_error").front();
  EXPECT_EQ(error["topic"], "http");
  EXPECT_EQ(error["code"], "_TRANSPORT");
  EXPECT_NE(error["error"].get<std::string>().find("refused"), std::string::npos);
}

TEST(Kafka, ASecondSignalEndsAtOnceAndSighupEndsNothing) {
  Running run(with(read_capture("kafka://127.0.0.1:1/http"), {"--drain-timeout-ms", "1h"}));
  ASSERT_TRUE(run.has_event("kafka_error"));
  run.child().signal(SIGHUP);
  ASSERT_TRUE(until([&] { return run.child().has_taken(SIGHUP); }));
  run.child().signal(SIGTERM);
  ASSERT_TRUE(until([&] { return run.child().has_taken(SIGTERM); }));
  run.child().signal(SIGTERM);
  EXPECT_EQ(run.child().wait(std::chrono::seconds(20)).code, 0);
  expect_ledger_closes(event_named(run.err(), "stopped"));
  EXPECT_TRUE(events_named(run.err(), "output_reopen_failed").empty());
}

TEST(Kafka, ACaptureFileEndsWithAnErrorWhenNoBrokerAnswers) {
  for (const char* shards : {"0", "2"}) {
    const Finished run = run_sniffer(
        with(read_capture("kafka://127.0.0.1:1/http"),
             {"--shards", shards, "--memory-limit", "16M", "--kafka-connect-timeout-ms", "300"}));
    EXPECT_EQ(run.exit.code, 7) << run.err;
    const Json fatal = event_named(run.err, "fatal");
    EXPECT_EQ(fatal["code"], "OUTPUT_FAILED");
    for (const char* word : {"127.0.0.1:1", "kafkaConnectTimeoutMs", "refused"}) {
      EXPECT_NE(fatal["message"].get<std::string>().find(word), std::string::npos) << fatal;
    }
    EXPECT_FALSE(events_named(run.err, "kafka_error").empty());
    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], 0);
    EXPECT_EQ(stopped["messages"]["discarded"], stopped["messages"]["parsed"]);
  }
}

TEST(Kafka, ItsCountersAreMetrics) {
  const MockKafka kafka;
  kafka.make_topic(kTopic, 1);
  kafka.answer(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  scrape::MeteredRun run(content_of(capture("site_and_api.pcap")),
                         {"--output", kafka.url(kTopic), "--shards", "0", "--log-format", "json"});
  std::string page;
  scrape::Samples samples;
  const auto value = [&](const char* name) {
    return scrape::sum(samples, std::string("tcp_sniffer_kafka_") + name);
  };
  // Part of the first batch may not be written, and what follows may.
  ASSERT_TRUE(until([&] {
    page = scrape::body_of(scrape::get(run.port(), "/metrics"));
    samples = scrape::samples_of(page);
    return value("failed_total") > 0 && value("queued") == 0 &&
           value("failed_total") + value("acknowledged_total") ==
               scrape::sum(samples, "tcp_sniffer_messages_written_total");
  })) << page;
  std::map<std::string, int> described = scrape::descriptions_of(page);
  for (const char* name :
       {"queued", "acknowledged_total", "failed_total", "retried_total", "errors_total"}) {
    const std::string metric = std::string("tcp_sniffer_kafka_") + name;
    EXPECT_TRUE(samples.contains(metric)) << metric;
    EXPECT_EQ(described[metric], 2) << metric;
  }
  EXPECT_EQ(value("failed_total"), scrape::sum(samples, "tcp_sniffer_output_discarded_total"));
  const double failed = value("failed_total");
  const Json stopped = event_named(run.end().err, "stopped");
  EXPECT_EQ(stopped["kafka"]["failed"], failed);
}

// What is followed has no end, so it waits.
TEST(Kafka, AFollowedCaptureWaitsForBrokersAsALiveOneDoes) {
  Running run(with(read_capture("kafka://127.0.0.1:1/http"),
                   {"--follow", "--kafka-connect-timeout-ms", "1", "--drain-timeout-ms", "0"}));
  ASSERT_TRUE(run.has_event("kafka_error"));
  run.child().signal(SIGTERM);
  EXPECT_EQ(run.child().wait(std::chrono::seconds(20)).code, 0) << run.err();
  EXPECT_TRUE(events_named(run.err(), "fatal").empty());
}

// The program in an environment where librdkafka is what stands in this file.
Finished run_with_library(const std::string& content, const Arguments& arguments) {
  const TemporaryFolder folder;
  write_file(folder / "librdkafka.so.1", content);
  return run(with({"env", "LD_LIBRARY_PATH=" + folder.path().string()}, sniffer(arguments)));
}

TEST(Kafka, WithoutItsLibraryOnlyAnOutputToKafkaIsRejectedAndThePackageNamed) {
  // No library, and one that lacks its functions.
  Dl_info zlib{};
  ASSERT_NE(::dladdr(::dlsym(RTLD_DEFAULT, "zlibVersion"), &zlib), 0);
  const std::string another = content_of(std::filesystem::path(zlib.dli_fname));
  for (const std::string& library : {std::string(), another}) {
    const Finished file =
        run_with_library(library, {"-r", capture("site_and_api.pcap").string(), "-q"});
    EXPECT_EQ(file.exit.code, 0) << file.err;
    EXPECT_NE(file.out, "");
    const Arguments to_kafka = read_capture("kafka://a/t");
    for (const Arguments& more :
         {Arguments{}, Arguments{"--check"}, Arguments{"--kafka-properties", "acks=all"}}) {
      const Finished run = run_with_library(library, with(to_kafka, more));
      EXPECT_EQ(run.exit.code, 2) << run.err;
      for (const char* word : {"librdkafka.so.1", "librdkafka1", "INVALID_CONFIG"}) {
        EXPECT_NE((run.out + run.err).find(word), std::string::npos) << run.out << run.err;
      }
    }
  }
}

TEST(Kafka, CheckConnectsAndWritesNothing) {
  const MockKafka kafka;
  kafka.make_topic(kTopic, kPartitions);
  const Arguments question = with(read_capture(kafka.url(kTopic)), {"--check"});
  const Finished good = run_sniffer(question);
  EXPECT_EQ(good.exit.code, 0) << good.out;
  EXPECT_NE(good.out.find("partitions: 3\n"), std::string::npos) << good.out;
  EXPECT_NE(good.out.find(std::string("librdkafka ") + rd_kafka_version_str() + "\n"),
            std::string::npos)
      << good.out;
  EXPECT_TRUE(kafka.read(kTopic, kPartitions).empty());

  rd_kafka_mock_topic_set_error(kafka.cluster(), kTopic,
                                RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
  const Finished denied = run_sniffer(question);
  EXPECT_EQ(denied.exit.code, 7);
  EXPECT_NE(denied.out.find("OUTPUT_FAILED"), std::string::npos) << denied.out;
  EXPECT_NE(denied.out.find("uthorization failed"), std::string::npos) << denied.out;

  const Finished away = run_sniffer(with(read_capture("kafka://127.0.0.1:1/http"), {"--check"}));
  EXPECT_EQ(away.exit.code, 7);
  EXPECT_NE(away.out.find("refused"), std::string::npos) << away.out;
}

TEST(Kafka, WhatIsRejectedIsReportedWithoutAPieceOfAMessageAndIsNotCalledLate) {
  const MockKafka kafka;
  kafka.make_topic(kTopic, 1);
  kafka.answer(MockKafka::kProduce, {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED});
  const Finished run = run_sniffer(read_capture(kafka.url(kTopic)));
  EXPECT_EQ(run.exit.code, 0);
  const Json failed = event_named(run.err, "kafka_failed");
  EXPECT_EQ(failed["code"], "TOPIC_AUTHORIZATION_FAILED");
  EXPECT_EQ(failed["error"], "Broker: Topic authorization failed");
  EXPECT_GT(failed["messages"], 0);
  EXPECT_EQ(run.err.find("connectionId"), std::string::npos) << run.err;
  EXPECT_TRUE(events_named(run.err, "drain_incomplete").empty());
  const Json stopped = event_named(run.err, "stopped");
  expect_ledger_closes(stopped);
  EXPECT_EQ(stopped["kafka"]["failed"], failed["messages"]);
  EXPECT_EQ(stopped["messages"]["discarded"], failed["messages"]);
}

TEST(Kafka, SecretsAreInNothingThatIsSaid) {
  const TemporaryFolder folder;
  const std::string file = (folder / "kafka.properties").string();
  write_file(file,
             "security.protocol=sasl_plaintext\nsasl.mechanism=PLAIN\nsasl.username=alice-sensor\n"
             "sasl.password=hunter2hunter2\ndebug=security,broker,conf\n");
  ASSERT_EQ(::chmod(file.c_str(), 0600), 0);
  const MockKafka kafka;
  const Arguments arguments =
      with(read_capture(kafka.url(kTopic)),
           {"--kafka-properties-file", file, "--log-level", "debug", "--drain-timeout-ms", "0"});
  Running run(arguments);
  ASSERT_TRUE(run.has_event("kafka_log"));
  run.child().signal(SIGTERM);
  EXPECT_EQ(run.child().wait(std::chrono::seconds(30)).code, 0);
  const Finished check = run_sniffer(with(arguments, {"--check"}));
  for (const std::string& text : {run.err(), check.out, check.err}) {
    EXPECT_EQ(text.find("hunter2"), std::string::npos) << text;
    EXPECT_EQ(text.find("alice-sensor"), std::string::npos) << text;
  }

  ASSERT_EQ(::chmod(file.c_str(), 0640), 0);
  const Finished shared = run_sniffer(arguments);
  EXPECT_EQ(shared.exit.code, 2);
  EXPECT_NE(shared.err.find("others than its owner"), std::string::npos) << shared.err;
  EXPECT_EQ(shared.err.find("hunter2"), std::string::npos) << shared.err;
}

// As Kubernetes gives it to a pod.
TEST(Kafka, AFileOfRootsMayBeForTheGroupOfAnotherUser) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file away";
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const auto secrets = folder / "kafka.properties";
  write_file(secrets, "client.id=gateway\n");
  const auto run_as_nobody = [&](mode_t mode) {
    EXPECT_EQ(::chmod(secrets.c_str(), mode), 0);
    return run(
        with({"setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"},
             sniffer({"-r", "-", "--log-format", "json", "--output", "kafka://127.0.0.1:1/http",
                      "--kafka-properties-file", secrets.string()})));
  };
  ASSERT_EQ(::chown(secrets.c_str(), 0, 65534), 0);
  // Nothing comes, so nothing is sent.
  const Finished good = run_as_nobody(0440);
  EXPECT_EQ(good.exit.code, 6) << good.err;
  EXPECT_EQ(event_named(good.err, "fatal")["code"], "INPUT_FILE");
  for (const mode_t mode : {0444, 0460, 0441}) {
    const Finished wrong = run_as_nobody(mode);
    EXPECT_EQ(wrong.exit.code, 2) << wrong.err;
    EXPECT_NE(wrong.err.find("others than its owner"), std::string::npos) << wrong.err;
  }
  // A file of the user's own is for nobody else.
  ASSERT_EQ(::chown(secrets.c_str(), 65534, 65534), 0);
  EXPECT_EQ(run_as_nobody(0440).exit.code, 2);
  EXPECT_EQ(run_as_nobody(0400).exit.code, 6);
}

TEST(Kafka, AReloadDoesNotNeedTheSecretsAgain) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can become another user";
  const TemporaryFolder folder;
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  const auto secrets = folder / "kafka.properties";
  write_file(secrets, "client.id=gateway-secret\n");
  ASSERT_EQ(::chmod(secrets.c_str(), 0600), 0);
  const auto config = folder / "config.json";
  const auto write_config = [&](const std::string& more) {
    write_file(config, R"({"files":["-"],"user":"nobody","output":"kafka://127.0.0.1:1/http",)"
                       R"("logFormat":"json","kafkaPropertiesFile":")" +
                           secrets.string() + "\"" + more + "}");
    ASSERT_EQ(::chmod(config.c_str(), 0644), 0);
  };
  write_config("");
  const Pipe in = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"--config", config.string()}), {in.read_end.get(), -1, err.get()});
  const auto has = [&](const std::string& event) {
    return until([&] { return content_of(err).find(event) != std::string::npos; });
  };
  ASSERT_TRUE(has("\"started\"")) << content_of(err);
  write_config(R"(,"where":"status >= 500")");
  child.signal(SIGHUP);
  ASSERT_TRUE(has("\"event\":\"reload")) << content_of(err);
  EXPECT_NE(content_of(err).find(R"("changed":["where"])"), std::string::npos) << content_of(err);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(std::chrono::seconds(20)).code, 0);
}

TEST(Kafka, WhatCannotBeIsRejectedBeforeAnythingIsOpened) {
  const struct {
    Arguments arguments;
    std::vector<const char*> words;
  } cases[] = {
      {{"--output", "kafka://a:9092"}, {"output", "topic"}},
      {{"--output", "kafka://a:x/t"}, {"output", "brokers"}},
      {{"--output", "kafka://a/t", "--format", "framed"}, {"format: framed", "packed"}},
      {{"--output", "kafka://a/t", "--format", "pretty"}, {"format: pretty", "ndjson"}},
      {{"--output", "kafka://a/t", "--kafka-properties", "acks"},
       {"kafkaProperties", "NAME=VALUE"}},
      {{"--output", "kafka://a/t", "--kafka-properties", "no.such=1"},
       {"kafkaProperties", "no.such"}},
      {{"--output", "kafka://a/t", "--kafka-properties", "acks=1"}, {"acks"}},
      {{"--output", "kafka://a/t", "--kafka-properties-file", "/nowhere/at/all"},
       {"kafkaPropertiesFile", "No such file"}},
      {{"--output", "kafka://a/t", "--sensor-name", std::string(256, 'x')}, {"sensorName", "255"}},
  };
  for (const auto& each : cases) {
    const Finished run =
        run_sniffer(with({"-r", capture("site_and_api.pcap").string()}, each.arguments));
    EXPECT_EQ(run.exit.code, 2) << each.arguments[1];
    for (const char* word : each.words) {
      EXPECT_NE(run.err.find(word), std::string::npos) << word << " in " << run.err;
    }
  }
}

TEST(Kafka, TakesSensorNamesOfOneByteAndOf255AndItsPropertiesInEachForm) {
  const MockKafka kafka;
  kafka.make_topic(kTopic, 1);
  const std::string longest(255, 'x');
  for (const std::string& name : {std::string("s"), longest}) {
    EXPECT_EQ(run_sniffer(with(read_capture(kafka.url(kTopic)), {"--sensor-name", name})).exit.code,
              0);
    EXPECT_EQ(kafka.read(kTopic, 1).back().headers.at("sensor"), name);
  }
  const TemporaryFolder folder;
  const auto file = folder / "config.json";
  for (const char* properties : {R"(["compression.codec=lz4","debug=msg,topic"])",
                                 R"("compression.codec=lz4,debug=msg,topic")"}) {
    write_file(file, R"({"files":[")" + capture("site_and_api.pcap").string() + R"("],"output":")" +
                         kafka.url(kTopic) + R"(","logLevel":"debug","kafkaProperties":)" +
                         properties + "}");
    const Finished run = run_sniffer({"--config", file.string()});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_FALSE(events_named(run.err, "kafka_log").empty());
  }
}

}  // namespace
}  // namespace tcp_sniffer::kafka_test
