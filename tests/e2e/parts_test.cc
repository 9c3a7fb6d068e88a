// Messages in parts (partialAfterMs) over all captures, and live.

#include <gtest/gtest.h>

#include <arpa/inet.h>

#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "support/ledger_check.h"
#include "support/live_lab.h"
#include "support/message_parts.h"
#include "support/run_program.h"

namespace tcp_sniffer::parts_e2e_test {
namespace {

std::vector<std::string> reading_all(std::vector<std::string> more) {
  std::vector<std::string> arguments = {"--format", "ndjson", "--binary-body", "base64", "--fields",
                                        "extended", "-r"};
  for (const auto& path : captures_in(source_dir() / "pcaps")) arguments.push_back(path.string());
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

// The lines that come only with parts are those of parts that another follows.
TEST(PartsOfCaptures, JoinedAreTheMessages) {
  const Finished whole = run_sniffer(reading_all({"--shards", "0"}));
  for (const char* after_ms : {"1", "20", "1000"}) {
    SCOPED_TRACE(after_ms);
    const Finished inline_run =
        run_sniffer(reading_all({"--shards", "0", "--partial-after-ms", after_ms}));
    EXPECT_EQ(joined_messages(json_lines(inline_run.out)), joined_messages(json_lines(whole.out)));
    const Json stopped = event_named(inline_run.err, "stopped");
    expect_ledger_closes(stopped);
    const uint64_t parts = stopped["messages"]["parts"];
    EXPECT_EQ(lines_of(inline_run.out).size(), lines_of(whole.out).size() + parts);
    EXPECT_TRUE(parts > 10 || std::string_view(after_ms) != "1") << parts;
    for (const char* shards : {"1", "4"}) {
      const Finished run =
          run_sniffer(reading_all({"--shards", shards, "--partial-after-ms", after_ms}));
      EXPECT_EQ(sorted_lines(run.out), sorted_lines(inline_run.out)) << shards;
    }
  }
}

TEST(PartsOfCaptures, OfChosenExchangesJoinedAreTheirMessages) {
  const std::vector<std::string> choices[] = {
      {"--where", "response.contentType ~ 'text/event-stream*'"},
      {"--where", "method = 'POST' and path ~ '/v1/*'"},
      {"--where", "totalMs > 1 or incomplete"},
      {"--sample-exchanges", "0.5", "--always-keep", "status >= 400 or latencyMs > 10"},
  };
  uint64_t parts = 0;
  for (const std::vector<std::string>& choice : choices) {
    SCOPED_TRACE(choice[1]);
    const auto run = [&](const char* shards, const char* after_ms) {
      std::vector<std::string> more = choice;
      more.insert(more.end(), {"--shards", shards, "--partial-after-ms", after_ms});
      Finished finished = run_sniffer(reading_all(more));
      EXPECT_EQ(finished.exit.code, 0) << finished.err;
      return finished;
    };
    const Finished whole = run("0", "0");
    const Finished in_parts = run("0", "20");
    EXPECT_EQ(joined_messages(json_lines(in_parts.out)), joined_messages(json_lines(whole.out)));
    EXPECT_EQ(sorted_lines(run("2", "20").out), sorted_lines(in_parts.out));
    const Json stopped = event_named(in_parts.err, "stopped");
    expect_ledger_closes(stopped);
    parts += stopped["messages"]["parts"].get<uint64_t>();
    Json messages = event_named(whole.err, "stopped")["messages"];
    messages["parts"] = stopped["messages"]["parts"];
    EXPECT_EQ(stopped["messages"], messages);
  }
  EXPECT_GT(parts, 20u);
}

// An exchange that was begun in parts is one of the N, and has all its parts.
TEST(PartsOfCaptures, ACountedExchangeIsWrittenToItsEnd) {
  uint64_t parts = 0;
  for (const int count : {1, 20, 100, 150}) {
    const Finished run =
        run_sniffer(reading_all({"--partial-after-ms", "1", "--count", std::to_string(count)}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    int responses = 0;
    for (const Json& line : json_lines(run.out)) {
      const int status = line.value("statusCode", 200);
      const bool is_interim = status >= 100 && status < 200 && status != 101;
      const bool ends = !line.contains("part") || line.contains("lastPart");
      if (line["direction"] == "response" && ends && !is_interim) ++responses;
    }
    EXPECT_EQ(responses, count);
    joined_messages(json_lines(run.out));
    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    parts += stopped["messages"]["parts"].get<uint64_t>();
  }
  EXPECT_GT(parts, 10u);
}

// What cannot be decoded or searched in parts is whole; nothing of it leaks before.
TEST(PartsOfCaptures, BodiesThatAreNeededWholeAreWhole) {
  for (const std::vector<std::string>& flags :
       {std::vector<std::string>{"--redact-body", "password"},
        std::vector<std::string>{"--redact-pattern", "[a-z]+@[a-z.]+"}}) {
    std::vector<std::string> whole = reading_all({"--shards", "0"});
    whole.insert(whole.end(), flags.begin(), flags.end());
    std::vector<std::string> parts = whole;
    parts.insert(parts.end(), {"--partial-after-ms", "1"});
    EXPECT_EQ(run_sniffer(parts).out, run_sniffer(whole).out);
  }
  const Finished decoded = run_sniffer(reading_all({"--decode-bodies", "--partial-after-ms", "1"}));
  for (const Json& line : json_lines(decoded.out)) {
    const bool is_coded = line.contains("contentDecoded") ||
                          line.value("headers", Json::object()).contains("content-encoding");
    EXPECT_FALSE(is_coded && line.contains("part")) << line;
  }
}

// A row for each part, with the fields of the head, which its line has only once.
TEST(PartsOfCaptures, AreRowsOfATable) {
  const Finished run = run_sniffer({"-r", capture("event_streams.pcap").string(), "--format", "csv",
                                    "--partial-after-ms", "400", "--max-body-size", "0", "--select",
                                    "exchange,direction,path,status,part,lastPart,bodySize"});
  EXPECT_EQ(lines_of(run.out), (std::vector<std::string>{
                                   "exchange,direction,path,status,part,lastPart,bodySize\r",
                                   "0,request,/v1/chat/completions,,,,91\r",
                                   "0,response,/v1/chat/completions,200,1,,0\r",
                                   "0,response,/v1/chat/completions,200,2,true,1752\r",
                                   "1,request,/stream,,,,0\r", "1,response,/stream,200,,,120\r"}));
}

TEST(PartsOfCaptures, FilesHaveTheWholeBodies) {
  std::map<std::string, std::string> of_whole;
  for (const char* after_ms : {"0", "1"}) {
    const TemporaryFolder bodies;
    const Finished run =
        run_sniffer(reading_all({"--extract-dir", bodies.path().string(), "--write-incomplete",
                                 "--partial-after-ms", after_ms}));
    EXPECT_EQ(run.exit.code, 0) << run.err;
    std::map<std::string, std::string> files;
    for (const auto& entry : std::filesystem::directory_iterator(bodies.path())) {
      files[entry.path().filename()] = content_of(entry.path());
    }
    EXPECT_GT(files.size(), 50u);
    if (std::string_view(after_ms) == "0") {
      of_whole = files;
    } else {
      EXPECT_EQ(files, of_whole);
    }
  }
}

// An open connection of the client to port 80 of the server, and the server's end of it.
class LiveParts : public LiveLab {
 protected:
  static Descriptor listen_there(const Host& host) {
    Descriptor listener;
    host.run([&] {
      listener = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in at = address();
      EXPECT_EQ(::bind(listener.get(), reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0);
      EXPECT_EQ(::listen(listener.get(), 1), 0);
    });
    return listener;
  }
  static sockaddr_in address() {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(80);
    inet_pton(AF_INET, kServer4, &at.sin_addr);
    return at;
  }
  static void say(const Descriptor& socket, std::string_view text) {
    EXPECT_EQ(::send(socket.get(), text.data(), text.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(text.size()));
  }
};

TEST_F(LiveParts, ComeWhileTheStreamIsOpen) {
  for (const char* shards : {"0", "2"}) {
    SCOPED_TRACE(shards);
    std::mutex mutex;
    std::string text;
    LiveSniffer::Options options;
    options.on_output = [&](std::string_view piece) {
      const std::lock_guard lock(mutex);
      text += piece;
    };
    LiveSniffer sniffer(server_,
                        {"-i", "right", "-p", "80", "--format", "ndjson", "--partial-after-ms",
                         "50", "--shards", shards},
                        options);
    ASSERT_TRUE(sniffer.wait_for("started")) << sniffer.said();
    const auto wait_for_lines = [&](uint64_t count) {
      return until([&] { return sniffer.lines() >= count; });
    };
    const Descriptor listener = listen_there(server_);
    Descriptor client;
    client_.run([&] {
      client = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
      const sockaddr_in to = address();
      EXPECT_EQ(::connect(client.get(), reinterpret_cast<const sockaddr*>(&to), sizeof(to)), 0);
    });
    Descriptor server(::accept(listener.get(), nullptr, nullptr));
    say(client, "GET /events HTTP/1.1\r\nHost: a\r\n\r\n");
    ASSERT_TRUE(wait_for_lines(1)) << sniffer.said();
    say(server, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\ndata");
    ASSERT_TRUE(wait_for_lines(2)) << sniffer.said();
    say(server, ": 2\n\n");
    ASSERT_TRUE(wait_for_lines(3)) << sniffer.said();
    server.reset();
    client.reset();
    ASSERT_TRUE(wait_for_lines(4)) << sniffer.said();
    EXPECT_EQ(sniffer.stop().code, 0) << sniffer.said();
    expect_ledger_closes(sniffer.stopped());
    EXPECT_EQ(sniffer.stopped()["messages"]["parts"], 2);
    const std::vector<Json> lines = json_lines(text);
    ASSERT_EQ(lines.size(), 4u);
    EXPECT_EQ(lines[1]["body"], "data: 1\n\n");
    EXPECT_EQ(lines[1]["part"], 1);
    EXPECT_EQ(lines[2]["body"], "data: 2\n\n");
    EXPECT_EQ(lines[3]["bodySize"], 18);
    EXPECT_EQ(lines[3]["lastPart"], true);
    joined_messages(lines);
  }
}

}  // namespace
}  // namespace tcp_sniffer::parts_e2e_test
