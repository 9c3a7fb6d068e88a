// Keys, each with its effect on a capture, with 0, 2 and 4 shards.

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <regex>
#include <string>
#include <vector>

#include "packets/packet_builder.h"
#include "support/capture_maker.h"
#include "support/content_coders.h"
#include "support/ledger_check.h"
#include "support/run_engine.h"
#include "support/run_program.h"

namespace tcp_sniffer::key_effects_test {
namespace {

namespace fs = std::filesystem;
using Arguments = std::vector<std::string>;

struct Outcome {
  std::vector<std::string> lines;  // in their order with `shards: 0`
  std::vector<Json> messages;
  Json stopped;

  uint64_t count(const char* group, const char* name) const { return stopped[group][name]; }
  size_t incomplete() const {
    return static_cast<size_t>(std::count_if(
        messages.begin(), messages.end(), [](const Json& m) { return m.contains("incomplete"); }));
  }
  Json response(size_t index = 0) const {
    for (const Json& message : messages) {
      if (message["direction"] == "response" && index-- == 0) return message;
    }
    ADD_FAILURE() << "no such response";
    return {};
  }
};

Outcome read_once(const fs::path& file, Arguments arguments, int shards) {
  arguments.insert(arguments.begin(),
                   {"-r", file.string(), "--format", "ndjson", "--shards", std::to_string(shards)});
  const Finished finished = run_engine(arguments);
  EXPECT_EQ(finished.exit.code, 0) << finished.err;
  Outcome outcome;
  outcome.lines = lines_of(finished.out);
  outcome.messages = json_lines(finished.out);
  outcome.stopped = event_named(finished.err, "stopped");
  expect_ledger_closes(outcome.stopped);
  return outcome;
}

// The same lines and counters with 0, 2 and 4 shards; returns those of 0. `before` each run.
Outcome read_capture(
    const fs::path& file, const Arguments& arguments, const std::function<void()>& before = [] {}) {
  before();
  Outcome inline_run = read_once(file, arguments, 0);
  std::vector<std::string> expected = inline_run.lines;
  std::sort(expected.begin(), expected.end());
  for (const int shards : {2, 4}) {
    before();
    Outcome other = read_once(file, arguments, shards);
    std::sort(other.lines.begin(), other.lines.end());
    EXPECT_EQ(other.lines, expected) << shards << " shards";
    EXPECT_EQ(other.stopped.value("extracted", Json()),
              inline_run.stopped.value("extracted", Json()));
    for (const char* group : {"frames", "bytes", "messages", "tcp", "incomplete", "bodies"}) {
      Json theirs = other.stopped[group];
      Json ours = inline_run.stopped[group];
      EXPECT_EQ(theirs, ours) << group << " with " << shards << " shards";
    }
  }
  return inline_run;
}

class KeyEffects : public testing::Test {
 protected:
  fs::path file_of(const CaptureMaker& maker) {
    const fs::path path = folder / "capture.pcap";
    write_file(path, maker.bytes());
    return path;
  }

  TemporaryFolder folder;
};

// Several connections with an exchange each, so that every shard has some.
CaptureMaker several_exchanges(int connections = 12) {
  CaptureMaker maker;
  for (int i = 0; i < connections; i++) {
    auto connection = maker.open();
    maker.exchange(connection, "/" + std::to_string(i), content_coders::some_text(3000));
    maker.close(connection);
  }
  return maker;
}

TEST_F(KeyEffects, DefragPutsFragmentsTogether) {
  const Outcome with = read_capture(capture("fragments_ipv4.pcap"), {});
  const Outcome without = read_capture(capture("fragments_ipv4.pcap"), {"--no-defrag"});
  EXPECT_GT(with.count("frames", "fragment_merged"), 0u);
  EXPECT_EQ(with.count("bytes", "missing"), 0u);
  EXPECT_EQ(with.incomplete(), 0u);
  EXPECT_EQ(without.count("frames", "fragment_merged"), 0u);
  EXPECT_GT(without.count("frames", "fragment_dropped"), 0u);
  EXPECT_LT(without.messages.size() - without.incomplete(), with.messages.size());
}

// A frame of packets, whose checksums are right.
std::string frame_of(packets::TcpFields fields, std::string_view payload, bool from_server,
                     bool good_checksum = true) {
  using namespace packets;
  static uint16_t next_id = 1;
  Ipv4Fields ip;
  ip.id = next_id++;
  if (from_server) {
    std::swap(ip.source, ip.destination);
    std::swap(fields.source_port, fields.destination_port);
  }
  Packet packet = ipv4_tcp(ip, tcp(fields, text(payload)));
  if (!good_checksum) packet[20 + 16] ^= 0x55;
  return {packet.begin(), packet.end()};
}

constexpr std::string_view kRequest = "GET /sum HTTP/1.1\r\nHost: a\r\n\r\n";
constexpr std::string_view kResponse = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

// Handshake, request, response, with the response's checksum as said.
CaptureMaker checksummed_exchange(bool good_response) {
  CaptureMaker maker;
  maker.frame(frame_of({.sequence = 999, .acknowledgment = 0, .flags = 2}, "", false));
  maker.frame(frame_of({.sequence = 1999, .acknowledgment = 1000, .flags = 18}, "", true));
  maker.frame(frame_of({.sequence = 1000, .acknowledgment = 2000}, kRequest, false));
  const auto behind = static_cast<uint32_t>(1000 + kRequest.size());
  maker.frame(
      frame_of({.sequence = 2000, .acknowledgment = behind}, kResponse, true, good_response));
  return maker;
}

TEST_F(KeyEffects, VerifyChecksumsDropsWhatIsDamaged) {
  const fs::path damaged = file_of(checksummed_exchange(false));
  EXPECT_EQ(read_capture(damaged, {}).messages.size(), 2u);
  const Outcome checked = read_capture(damaged, {"--verify-checksums"});
  EXPECT_EQ(checked.messages.size(), 1u);
  EXPECT_EQ(checked.count("frames", "bad_checksum"), 1u);
  const Outcome sound = read_capture(file_of(checksummed_exchange(true)), {"--verify-checksums"});
  EXPECT_EQ(sound.messages.size(), 2u);
  EXPECT_EQ(sound.count("frames", "bad_checksum"), 0u);
}

TEST_F(KeyEffects, OffloadedChecksumsAreNoDamageUnlessVerified) {
  const Outcome usual = read_capture(capture("offloads_on.pcap"), {});
  EXPECT_GT(usual.messages.size(), 0u);
  EXPECT_EQ(usual.incomplete(), 0u);
  EXPECT_EQ(usual.count("frames", "bad_checksum"), 0u);
  const Outcome checked = read_capture(capture("offloads_on.pcap"), {"--verify-checksums"});
  EXPECT_GT(checked.count("frames", "bad_checksum"), 0u);
  EXPECT_LT(checked.messages.size() - checked.incomplete(),
            usual.messages.size() - usual.incomplete());
}

TEST_F(KeyEffects, CheckTcpOptionsRefusesWhatTheMssForbids) {
  CaptureMaker maker;
  using packets::bytes;
  const auto mss_30 = bytes({2, 4, 0, 30});
  maker.frame(
      frame_of({.sequence = 999, .acknowledgment = 0, .flags = 2, .options = mss_30}, "", false));
  maker.frame(frame_of({.sequence = 1999, .acknowledgment = 1000, .flags = 18}, "", true));
  maker.frame(frame_of({.sequence = 1000, .acknowledgment = 2000}, kRequest, false));
  const auto behind = static_cast<uint32_t>(1000 + kRequest.size());
  maker.frame(frame_of({.sequence = 2000, .acknowledgment = behind}, kResponse, true));
  const fs::path file = file_of(maker);
  EXPECT_EQ(read_capture(file, {}).messages.size(), 2u);
  const Outcome checked = read_capture(file, {"--check-tcp-options"});
  EXPECT_EQ(checked.messages.size(), 1u);
  EXPECT_EQ(checked.count("tcp", "options_refused"), 1u);
  EXPECT_EQ(checked.count("bytes", "refused"), kResponse.size());
}

TEST_F(KeyEffects, IgnoreFsmErrorsFalseRefusesDataWithoutAnAcknowledgment) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient, kRequest, CaptureMaker::kPush);
  maker.segment(connection, CaptureMaker::kServer, kResponse);
  const fs::path file = file_of(maker);
  EXPECT_EQ(read_capture(file, {}).messages.size(), 2u);
  const Outcome strict = read_capture(file, {"--no-ignore-fsm-errors"});
  EXPECT_EQ(strict.count("tcp", "fsm_refused"), 1u);
  EXPECT_EQ(strict.count("bytes", "refused"), kRequest.size());
  EXPECT_EQ(strict.messages.size(), 1u);
}

TEST_F(KeyEffects, AllowMissingInitFalseTakesOnlyConnectionsWithTheirSyn) {
  CaptureMaker maker;
  auto known = maker.open();
  auto midstream = maker.connection();
  maker.exchange(known, "/known", "yes");
  maker.exchange(midstream, "/midstream", "perhaps");
  const fs::path file = file_of(maker);
  EXPECT_EQ(read_capture(file, {}).messages.size(), 4u);
  const Outcome strict = read_capture(file, {"--no-allow-missing-init"});
  ASSERT_EQ(strict.messages.size(), 2u);
  EXPECT_EQ(strict.messages[0]["path"], "/known");
  EXPECT_EQ(strict.count("tcp", "missing_init_refused"), 2u);
}

TEST_F(KeyEffects, FlushEverySweepsSoonerAndChangesNoLine) {
  CaptureMaker maker;
  auto silent = maker.open();
  maker.segment(silent, CaptureMaker::kClient,
                "POST /silent HTTP/1.1\r\nContent-Length: 9\r\n\r\n");
  maker.wait_us(301'000'000);
  auto later = maker.open();
  maker.exchange(later, "/later", "body");
  const fs::path file = file_of(maker);
  Outcome usual = read_capture(file, {});
  Outcome swept = read_capture(file, {"--flush-every", "1"});
  // The silent connection ends when packet time says so, and not only when the block is full.
  ASSERT_EQ(usual.messages.size(), 3u);
  EXPECT_EQ(usual.messages.back()["path"], "/silent");
  EXPECT_EQ(swept.messages.front()["path"], "/silent");
  EXPECT_EQ(swept.messages.front()["incomplete"], "idle");
  std::sort(usual.lines.begin(), usual.lines.end());
  std::sort(swept.lines.begin(), swept.lines.end());
  EXPECT_EQ(usual.lines, swept.lines);
}

TEST_F(KeyEffects, DecodeBodiesUndoesTheCodingsOfAllMessages) {
  const std::string text = content_coders::some_text(20000);
  const std::map<std::string, std::string> bodies = {
      {"gzip", content_coders::gzip(text)},
      {"deflate", content_coders::deflate_raw(text)},
      {"br", content_coders::brotli(text)},
      {"zstd", content_coders::zstd(text)},
      {"br, gzip", content_coders::gzip(content_coders::brotli(text))},
  };
  CaptureMaker maker;
  for (const auto& [coding, body] : bodies) {
    auto connection = maker.open();
    maker.segment(connection, CaptureMaker::kClient, kRequest);
    maker.send(connection, CaptureMaker::kServer,
               "HTTP/1.1 200 OK\r\nContent-Encoding: " + coding +
                   "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
    maker.close(connection);
  }
  const fs::path file = file_of(maker);
  const Outcome decoded = read_capture(file, {"--decode-bodies"});
  size_t seen = 0;
  for (const Json& message : decoded.messages) {
    if (message["direction"] != "response") continue;
    const std::string coding = message["headers"]["content-encoding"];
    EXPECT_EQ(message["contentDecoded"], coding);
    EXPECT_EQ(message["body"], text) << coding;
    EXPECT_EQ(message["bodySize"], bodies.at(coding).size());
    EXPECT_FALSE(message.contains("contentDecodeError"));
    seen++;
  }
  EXPECT_EQ(seen, bodies.size());
  EXPECT_EQ(decoded.count("bodies", "decoded"), bodies.size());
  const Outcome plain = read_capture(file, {});
  for (const Json& message : plain.messages) EXPECT_FALSE(message.contains("contentDecoded"));
}

TEST_F(KeyEffects, BodyCutAtItsMaximumIsDecodedAsFarAsItGoes) {
  const std::string text = content_coders::some_text(200000);
  const std::string body = content_coders::gzip(text);
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient, kRequest);
  maker.send(connection, CaptureMaker::kServer,
             "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: " +
                 std::to_string(body.size()) + "\r\n\r\n" + body);
  const fs::path file = file_of(maker);
  // Less is kept than was sent: the stream ends early.
  ASSERT_GT(body.size(), 20000u);
  Json message = read_capture(file, {"--decode-bodies", "--max-body-size", "20000"}).response();
  EXPECT_EQ(message["bodyTruncated"], true);
  EXPECT_EQ(message["body"].get<std::string>().size(), 20000u);
  EXPECT_TRUE(text.starts_with(message["body"].get<std::string>()));
  // All of it is kept, and more comes out than may be.
  const std::string all = std::to_string(body.size());
  message = read_capture(file, {"--decode-bodies", "--max-body-size", all}).response();
  EXPECT_EQ(message["bodyTruncated"], true);
  EXPECT_EQ(message["body"], text.substr(0, body.size()));
  EXPECT_FALSE(message.contains("contentDecodeError"));
}

TEST_F(KeyEffects, ExtractDirGetsEachResponseBody) {
  const fs::path bodies = folder / "bodies";
  const auto empty_folder = [&] {
    fs::remove_all(bodies);
    fs::create_directory(bodies);
  };
  const std::string text = content_coders::some_text(3000);
  const Outcome outcome =
      read_capture(file_of(several_exchanges()), {"--extract-dir", bodies.string()}, empty_folder);
  EXPECT_EQ(outcome.count("extracted", "files"), 12u);
  EXPECT_EQ(outcome.count("extracted", "bytes"), 12u * 3000);
  for (const Json& message : outcome.messages) {
    if (message["direction"] != "response") continue;
    const std::string name = message["connectionId"].get<std::string>() + "-0.txt";
    EXPECT_EQ(content_of(bodies / name), text) << name;
  }
}

TEST_F(KeyEffects, ExtractedBodiesAreDecodedWhenAsked) {
  const fs::path bodies = folder / "bodies";
  const auto empty_folder = [&] {
    fs::remove_all(bodies);
    fs::create_directory(bodies);
  };
  const auto names = [&] {
    std::vector<std::string> found;
    for (const auto& entry : fs::directory_iterator(bodies)) {
      found.push_back(entry.path().extension().string());
    }
    return found;
  };
  const fs::path file = capture("chunked.pcap");
  read_capture(file, {"--extract-dir", bodies.string()}, empty_folder);
  std::vector<std::string> coded = names();
  EXPECT_GT(std::count(coded.begin(), coded.end(), ".gz"), 0);
  read_capture(file, {"--extract-dir", bodies.string(), "--decode-bodies"}, empty_folder);
  std::vector<std::string> decoded = names();
  EXPECT_EQ(std::count(decoded.begin(), decoded.end(), ".gz"), 0);
  EXPECT_EQ(decoded.size(), coded.size());
}

TEST_F(KeyEffects, WriteIncompleteKeepsWhatIsLeftOfABody) {
  CaptureMaker maker;
  auto connection = maker.open();
  maker.segment(connection, CaptureMaker::kClient, kRequest);
  maker.segment(connection, CaptureMaker::kServer,
                "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly a part");
  const fs::path file = file_of(maker);
  const fs::path bodies = folder / "bodies";
  const auto empty_folder = [&] {
    fs::remove_all(bodies);
    fs::create_directory(bodies);
  };
  const Outcome without = read_capture(file, {"--extract-dir", bodies.string()}, empty_folder);
  EXPECT_TRUE(fs::is_empty(bodies));
  EXPECT_EQ(without.count("extracted", "incomplete"), 1u);
  const Outcome with =
      read_capture(file, {"--extract-dir", bodies.string(), "--write-incomplete"}, empty_folder);
  const std::string id = with.messages.front()["connectionId"];
  EXPECT_EQ(content_of(bodies / (id + "-0-incomplete.bin")), "only a part");
}

TEST_F(KeyEffects, ExtractionThatCannotStartEndsTheRunAtOnce) {
  const Finished finished = run_sniffer({"-r", file_of(several_exchanges()).string(),
                                         "--extract-dir", (folder / "nowhere").string()});
  EXPECT_EQ(finished.exit.code, 7);
  EXPECT_NE(event_named(finished.err, "fatal")["message"].get<std::string>().find("extractDir"),
            std::string::npos);
  EXPECT_EQ(finished.out, "");
}

// The lines of the log that tell of segments; each must be whole.
std::vector<std::string> segment_lines(const fs::path& log) {
  static const std::regex kLine(
      R"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \d+ [0-9.]+:\d+ > [0-9.]+:\d+ \[[FSRPAUEC]*\] )"
      R"(seq -?\d+\*?( ack -?\d+\*?)? len \d+ (-|[a-z_]+( \d+)?)( [0-9a-f]{16})?)");
  static const std::regex kDump(R"(    [0-9a-f]{5}  ( ?[0-9a-f ]{2} ){16} \|.{1,16}\|)");
  std::vector<std::string> found;
  for (const std::string& line : lines_of(content_of(log))) {
    if (line.starts_with("    ")) {
      EXPECT_TRUE(std::regex_match(line, kDump)) << line;
    } else {
      EXPECT_TRUE(std::regex_match(line, kLine)) << line;
      found.push_back(line);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

TEST_F(KeyEffects, DebugWritesOneWholeLineASegment) {
  const fs::path log = folder / "debug.log";
  const fs::path file = file_of(several_exchanges(40));
  const Arguments arguments = {"--debug", "--debug-log", log.string()};
  std::vector<std::string> expected;
  for (const int shards : {0, 2, 4}) {
    const Outcome outcome = read_once(file, arguments, shards);
    std::vector<std::string> lines = segment_lines(log);
    EXPECT_EQ(lines.size(), outcome.count("frames", "dispatched"));
    if (expected.empty()) expected = lines;
    EXPECT_EQ(lines, expected) << shards << " shards";
  }
  EXPECT_EQ(read_capture(file, arguments).lines, read_capture(file, {}).lines);
}

TEST_F(KeyEffects, HexDumpShowsTheBytes) {
  const fs::path log = folder / "debug.log";
  const fs::path file = file_of(several_exchanges());
  for (const int shards : {0, 2, 4}) {
    const Outcome outcome = read_once(file, {"--hex-dump", "--debug-log", log.string()}, shards);
    EXPECT_EQ(segment_lines(log).size(), outcome.count("frames", "dispatched"));
    EXPECT_NE(content_of(log).find("    00000  47 45 54 20 2f"), std::string::npos);
    EXPECT_NE(content_of(log).find("|HTTP/1.1 200 OK.|"), std::string::npos);
  }
}

TEST_F(KeyEffects, DebugLogThatCannotBeWrittenEndsTheRunAtOnce) {
  const Finished finished = run_sniffer({"-r", file_of(several_exchanges()).string(), "--debug",
                                         "--debug-log", (folder / "nowhere" / "x.log").string()});
  EXPECT_EQ(finished.exit.code, 7);
}

TEST_F(KeyEffects, AllOfThemTogetherGiveTheSameWithAnyNumberOfShards) {
  const fs::path bodies = folder / "bodies";
  const auto empty_folder = [&] {
    fs::remove_all(bodies);
    fs::create_directory(bodies);
  };
  for (const char* name : {"chunked.pcap", "site_and_api.pcap", "loss_in_body.pcap",
                           "fragments_ipv4.pcap", "duplicated.pcap", "midstream.pcap"}) {
    const Outcome outcome = read_capture(
        capture(name),
        {"--no-defrag", "--check-tcp-options", "--no-ignore-fsm-errors", "--no-allow-missing-init",
         "--flush-every", "3", "--decode-bodies", "--extract-dir", bodies.string(),
         "--write-incomplete", "--hex-dump", "--debug-log", (folder / "debug.log").string()},
        empty_folder);
    EXPECT_EQ(outcome.stopped["deterministic"], true) << name;
  }
}

}  // namespace
}  // namespace tcp_sniffer::key_effects_test
