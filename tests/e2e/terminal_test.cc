// What the program shows to people: how far it is on a terminal, and messages in colours.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <array>

#include <algorithm>
#include <chrono>
#include <regex>
#include <sstream>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/line/text_columns.h"
#include "support/capture_maker.h"
#include "support/ledger_check.h"
#include "support/run_program.h"

namespace tcp_sniffer::terminal_test {
namespace {

using namespace std::chrono_literals;

// A pseudo terminal: what the program writes to `program` is read from `person`.
struct Terminal {
  Descriptor person;
  Descriptor program;

  Terminal() : person(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    char name[128] = "";
    EXPECT_EQ(::grantpt(person.get()), 0);
    EXPECT_EQ(::unlockpt(person.get()), 0);
    EXPECT_EQ(::ptsname_r(person.get(), name, sizeof(name)), 0);
    program = Descriptor(::open(name, O_RDWR | O_NOCTTY | O_CLOEXEC));
    EXPECT_GE(program.get(), 0) << name;
  }

  // What is shown until `wanted` is in it, or nobody can write any more.
  std::string read(const std::regex* wanted = nullptr) const {
    std::string shown;
    const auto deadline = std::chrono::steady_clock::now() + 5min;
    while (std::chrono::steady_clock::now() < deadline) {
      if (wanted != nullptr && std::regex_search(shown, *wanted)) break;
      pollfd ready{person.get(), POLLIN, 0};
      if (::poll(&ready, 1, 100) == 0) continue;
      char bytes[4096];
      const ssize_t size = ::read(person.get(), bytes, sizeof(bytes));
      if (size <= 0) break;
      shown.append(bytes, static_cast<size_t>(size));
    }
    return shown;
  }
};

std::string many_exchanges(int exchanges) {
  CaptureMaker maker;
  CaptureMaker::Connection connection = maker.open();
  const std::string body(1000, 'b');
  for (int i = 0; i < exchanges; i++) maker.exchange(connection, "/" + std::to_string(i), body);
  maker.close(connection);
  return maker.bytes();
}

const std::regex kProgress("\r\033\\[K *([0-9]+) %  ([0-9]+) MB/s  ([0-9]+) s left\r");

TEST(OnATerminal, AReaderOfALongCaptureSeesHowFarItIsAndHowLongItWillTake) {
  const TemporaryFolder folder;
  write_file(folder / "long.pcap", many_exchanges(20000));
  Terminal terminal;
  Pipe pipe = make_pipe();
  Child child(sniffer({"-r", (folder / "long.pcap").string(), "--format", "pretty",
                       "--stats-interval-ms", "0"}),
              {-1, pipe.write_end.get(), terminal.program.get()});
  pipe.write_end.reset();
  terminal.program.reset();

  // Nobody reads the messages yet, so the run lasts as long as this test likes.
  const std::string shown = terminal.read(&kProgress);
  std::smatch found;
  ASSERT_TRUE(std::regex_search(shown, found, kProgress)) << shown;
  EXPECT_LE(std::stoi(found[1]), 100);

  std::thread reader([&] {
    char bytes[65536];
    while (::read(pipe.read_end.get(), bytes, sizeof(bytes)) > 0) {
    }
  });
  const std::string all = shown + terminal.read();
  reader.join();
  EXPECT_EQ(child.wait().code, 0);

  // At the end the line is cleared, and what comes then stands alone.
  const std::string_view behind = std::string_view(all).substr(all.rfind("s left\r") + 7);
  EXPECT_TRUE(behind.starts_with("\r\033[K")) << behind;
  EXPECT_NE(behind.find("stopped"), std::string_view::npos) << behind;
}

TEST(ForPeople, WithVHeadersComeBelowTheLine) {
  const Finished run =
      run_sniffer({"-r", capture("posts.pcap").string(), "--format", "pretty", "--utc", "-v"});
  EXPECT_EQ(run.exit.code, 0) << run.err;
  EXPECT_TRUE(run.out.starts_with(
      "2026-11-20, UTC\n"
      "18:58:23.295523  10.77.0.1        POST     201    1.305 ms      75 B      85 B  "
      "10.77.0.2/api/cart\n"
      "  > POST /api/cart HTTP/1.1\n"
      "  > Host: 10.77.0.2\n"))
      << run.out;
  EXPECT_NE(run.out.find("  < HTTP/1.1 201 Created\n"), std::string::npos) << run.out;
  EXPECT_EQ(run.out.find("product"), std::string::npos) << run.out;
  // The lines are the same ones.
  std::string lines;
  for (const std::string& line : lines_of(run.out)) {
    if (!line.starts_with("  ")) lines += line + "\n";
  }
  EXPECT_EQ(lines,
            run_sniffer({"-r", capture("posts.pcap").string(), "--format", "pretty", "--utc"}).out);
}

TEST(ForPeople, WithVvBodiesComeAsWellDecodedAndWithoutSecrets) {
  const Finished posts = run_sniffer({"-r", capture("posts.pcap").string(), "--format", "pretty",
                                      "--utc", "-vv", "--redact-body", "password"});
  EXPECT_NE(posts.out.find("  > {\n  >   \"product\": 1,\n"), std::string::npos) << posts.out;
  EXPECT_NE(posts.out.find("  > password: [redacted]\n"), std::string::npos) << posts.out;
  const Finished coded =
      run_sniffer({"-r", capture("chunked.pcap").string(), "--format", "pretty", "--utc", "-vv"});
  const Finished decoded = run_sniffer(
      {"-r", capture("chunked.pcap").string(), "--format", "ndjson", "--decode-bodies"});
  for (const Json& message : json_lines(decoded.out)) {
    if (!message.contains("contentDecoded")) continue;
    const std::string body = message["body"];
    EXPECT_NE(coded.out.find(body.substr(0, std::min<size_t>(body.find('\n'), 40))),
              std::string::npos)
        << body.substr(0, 100);
  }
}

// The first ones, and then the run ends in order.
TEST(ForPeople, ACountEndsTheRunAfterSoManyExchanges) {
  const TemporaryFolder folder;
  write_file(folder / "long.pcap", many_exchanges(3000));
  const std::string file = (folder / "long.pcap").string();
  for (const std::vector<std::string>& form :
       {std::vector<std::string>{"--format", "pretty", "--utc"},
        {"--format", "pretty", "--utc", "-v"},
        {"--format", "ndjson", "--records", "exchange"},
        {"--format", "ndjson"},
        {"--format", "csv", "--records", "exchange"}}) {
    std::vector<std::string> arguments = {"-r", file, "-c", "7"};
    arguments.insert(arguments.end(), form.begin(), form.end());
    const Finished run = run_sniffer(arguments);
    EXPECT_EQ(run.exit.code, 0) << run.err;
    const Json stopped = event_named(run.err, "stopped");
    expect_ledger_closes(stopped);
    EXPECT_EQ(stopped["messages"]["written"], 14u) << form.back();
    EXPECT_GT(stopped["messages"]["beyond_count"], 0u);
    const std::vector<std::string> lines = lines_of(run.out);
    EXPECT_NE(run.out.find("/6"), std::string::npos) << run.out;
    EXPECT_EQ(run.out.find("/7"), std::string::npos) << run.out;
    if (form.back() == "exchange" && form[1] == "ndjson") {
      EXPECT_EQ(lines.size(), 7u);
    }
  }
  for (const char* shards : {"1", "4"}) {
    const Finished run = run_sniffer(
        {"-r", file, "-c", "7", "--format", "ndjson", "--records", "exchange", "--shards", shards});
    EXPECT_EQ(run.exit.code, 0) << run.err;
    EXPECT_EQ(lines_of(run.out).size(), 7u);
    expect_ledger_closes(event_named(run.err, "stopped"));
  }
}

TEST(OnATerminal, NoProgressIsWrittenWhereStandardErrorIsNone) {
  const TemporaryFolder folder;
  write_file(folder / "long.pcap", many_exchanges(20000));
  Pipe pipe = make_pipe();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", (folder / "long.pcap").string(), "--format", "pretty"}),
              {-1, pipe.write_end.get(), err.get()});
  pipe.write_end.reset();
  // One that began later and shows its progress: so the first would, too.
  {
    Terminal terminal;
    Pipe unread = make_pipe();
    Child shows(sniffer({"-r", (folder / "long.pcap").string(), "--format", "pretty"}),
                {-1, unread.write_end.get(), terminal.program.get()});
    EXPECT_TRUE(std::regex_search(terminal.read(&kProgress), kProgress));
  }
  char bytes[65536];
  while (::read(pipe.read_end.get(), bytes, sizeof(bytes)) > 0) {
  }
  EXPECT_EQ(child.wait().code, 0);
  EXPECT_EQ(content_of(err).find(" left"), std::string::npos);
  EXPECT_EQ(content_of(err).find('\033'), std::string::npos);
}

// As with Ctrl-S: what the program writes is taken until the terminal is full.
TEST(OnATerminal, OneThatIsStoppedDoesNotKeepSignalsFromEndingTheRun) {
  const TemporaryFolder folder;
  write_file(folder / "long.pcap", many_exchanges(20000));
  Terminal terminal;
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", (folder / "long.pcap").string()}),
              {-1, terminal.program.get(), err.get()});
  const std::regex first("GET");
  const std::string shown = terminal.read(&first);
  EXPECT_FALSE(shown.empty());
  child.signal(SIGINT);
  child.signal(SIGTERM);
  EXPECT_EQ(child.wait(30s).code, 0) << content_of(err);
  const Json stopped = event_named(content_of(err), "stopped");
  EXPECT_FALSE(stopped.contains("unfinished")) << "it ended in order: " << stopped.dump();
  EXPECT_GT(stopped["messages"]["discarded"], 0);
}

// The lines of the summary, without the carriage returns of the terminal.
std::string summary_in(std::string shown) {
  std::erase(shown, '\r');
  const size_t stopped = shown.find(" info stopped: after ");
  EXPECT_NE(stopped, std::string::npos) << shown;
  if (stopped == std::string::npos) return {};
  return shown.substr(shown.find('\n', stopped) + 1);
}

TEST(OnATerminal, TheEndIsASummaryForPeople) {
  for (const char* shards : {"0", "1"}) {
    for (const char* format : {"pretty", "ndjson"}) {
      SCOPED_TRACE(std::string(format) + ", shards " + shards);
      Terminal terminal;
      Child child(
          sniffer({"-r", capture("site_and_api.pcap").string(),
                   capture("loss_in_body.pcap").string(), "--format", format, "--shards", shards}),
          {-1, -1, terminal.program.get()});
      terminal.program.reset();
      const std::string shown = terminal.read();
      EXPECT_EQ(child.wait().code, 0);
      // Only pretty lines know the requests of their responses.
      const std::string of_pretty =
          "  slowest      4.078 ms  GET 200 10.77.0.2/api/products\\?limit=3&sort=price\n"
          "(               [0-9.]+ ms  [A-Z]+ 20. 10.77.0.2/\\S+\n){4}"
          "  by host            17  10.77.0.2, slowest 4.078 ms\n";
      const std::regex wanted(
          "  exchanges +17\n"
          "  latency +p50 up to [0-9.]+ ms, p90 up to [0-9.]+ ms, p99 up to [0-9.]+ ms\n" +
          (std::string_view(format) == "pretty" ? of_pretty : std::string()) +
          "  messages +34  written, [0-9.]+ kB\n"
          " +2  incomplete \\(gap 2\\)\n"
          "  connections +3\n"
          "  frames +136  95\\.3 kB\n"
          "  lost +5\\.8 kB  of connections: they were not captured\n");
      EXPECT_TRUE(std::regex_match(summary_in(shown), wanted)) << shown;
      EXPECT_EQ(shown.find("frames.received"), std::string::npos) << "the ledger: " << shown;
    }
  }
}

TEST(OnATerminal, TheEndIsTheLedgerWhereItIsAskedFor) {
  Terminal terminal;
  Child child(sniffer({"-r", capture("site_and_api.pcap").string(), "--log-format", "json"}),
              {-1, -1, terminal.program.get()});
  terminal.program.reset();
  std::string shown = terminal.read();
  std::erase(shown, '\r');
  EXPECT_EQ(child.wait().code, 0);
  EXPECT_EQ(event_named(shown, "stopped")["frames"]["received"], 40);
}

// What a terminal shows of a short capture, with these variables and arguments.
std::string shown_with(const std::vector<std::string>& variables,
                       const std::vector<std::string>& arguments) {
  std::vector<std::string> command = {"env", "-u", "NO_COLOR", "TERM=xterm"};
  command.insert(command.end(), variables.begin(), variables.end());
  std::vector<std::string> words = {"-r", capture("site_and_api.pcap").string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  const std::vector<std::string> program = sniffer(words);
  command.insert(command.end(), program.begin(), program.end());
  Terminal terminal;
  const Descriptor err = memory_file();
  Child child(command, {-1, terminal.program.get(), err.get()});
  terminal.program.reset();
  const std::string shown = terminal.read();
  EXPECT_EQ(child.wait().code, 0) << content_of(err);
  EXPECT_NE(shown.find("/api/login"), std::string::npos) << shown;
  EXPECT_EQ(shown.find("{\"receiver\""), std::string::npos) << shown;
  return shown;
}

TEST(OnATerminal, MessagesAreForPeopleAndInColours) {
  EXPECT_NE(shown_with({}, {}).find('\033'), std::string::npos);
  EXPECT_NE(shown_with({"NO_COLOR="}, {}).find('\033'), std::string::npos) << "it is empty";
}

TEST(OnATerminal, NoColoursAreShownToThoseWhoWantNone) {
  EXPECT_EQ(shown_with({"NO_COLOR=1"}, {}).find('\033'), std::string::npos);
  EXPECT_EQ(shown_with({"TERM=dumb"}, {}).find('\033'), std::string::npos);
  EXPECT_EQ(shown_with({}, {"--color", "never"}).find('\033'), std::string::npos);
  EXPECT_NE(shown_with({"NO_COLOR=1"}, {"--color=always"}).find('\033'), std::string::npos);
  EXPECT_NE(shown_with({"TERM=dumb"}, {"--color=always"}).find('\033'), std::string::npos);
}

TEST(OnATerminal, NoLineIsWiderThanTheTerminal) {
  for (const auto columns : std::array<unsigned short, 4>{80, 100, 119, 120}) {
    SCOPED_TRACE(columns);
    Terminal terminal;
    winsize size{};
    size.ws_col = columns;
    ASSERT_EQ(::ioctl(terminal.person.get(), TIOCSWINSZ, &size), 0);
    const Descriptor err = memory_file();
    Child child(sniffer({"-r", capture("site_and_api.pcap").string(), "--color", "never"}),
                {-1, terminal.program.get(), err.get()});
    terminal.program.reset();
    std::istringstream shown(terminal.read());
    EXPECT_EQ(child.wait().code, 0) << content_of(err);
    size_t widest = 0;
    for (std::string line; std::getline(shown, line);) {
      while (line.ends_with('\r')) line.pop_back();
      widest = std::max(widest, columns_of(line));
    }
    EXPECT_LE(widest, columns);
    EXPECT_GE(widest, 60u);
  }
}

TEST(OnATerminal, TimesAreLocalUnlessUtcIsAskedFor) {
  const std::string local = shown_with({"TZ=XYZ-05:30"}, {});
  EXPECT_TRUE(local.starts_with("2026-11-21, local time (UTC+05:30)\r\n00:28:")) << local;
  const std::string utc = shown_with({"TZ=XYZ-05:30"}, {"--utc"});
  EXPECT_TRUE(utc.starts_with("2026-11-20, UTC\r\n18:58:")) << utc;
}

TEST(ForPeople, TheStartNamesWhatWasAskedForAndNotTheInstalledFilter) {
  const std::string file = capture("posts.pcap").string();
  const Finished run = run_sniffer({"-r", file, "--log-format", "text", "port 80"});
  const std::string line = run.err.substr(0, run.err.find('\n'));
  EXPECT_NE(line.find("info started: capturing version="), std::string::npos) << line;
  EXPECT_NE(line.find("filter=\"port 80\""), std::string::npos) << line;
  for (const char* word : {"linkType", "schemaVersion", "revision", "ports"}) {
    EXPECT_EQ(line.find(word), std::string::npos) << line;
  }
}

TEST(QuietRun, SaysNothingButWarnings) {
  const std::string file = capture("site_and_api.pcap").string();
  const Finished quiet = run_sniffer({"-q", "-r", file});
  EXPECT_EQ(quiet.exit.code, 0);
  EXPECT_EQ(quiet.err, "");
  EXPECT_EQ(sorted_lines(quiet.out), sorted_lines(run_sniffer({"-r", file}).out));
  const Finished warned = run_sniffer({"-q", "-r", capture("loss_in_body.pcap").string()});
  EXPECT_NE(warned.err.find("reassembly_gap"), std::string::npos) << warned.err;
  EXPECT_EQ(warned.err.find("stopped"), std::string::npos) << warned.err;
}

TEST(FailIfNone, MakesTheExitCodeOneWhenNoMessageWasWritten) {
  const std::string file = capture("site_and_api.pcap").string();
  EXPECT_EQ(run_sniffer({"-r", file, "--fail-if-none"}).exit.code, 0);
  EXPECT_EQ(run_sniffer({"-r", file, "--fail-if-none", "port 9"}).exit.code, 1);
  EXPECT_EQ(run_sniffer({"-r", file, "port 9"}).exit.code, 0);
  EXPECT_EQ(run_sniffer({"-r", file + ".none", "--fail-if-none"}).exit.code, 6);
}

TEST(Duration, EndsTheRunInOrderAlthoughItsInputGoesOn) {
  Pipe pipe = make_pipe();
  const Descriptor out = memory_file();
  const Descriptor err = memory_file();
  Child child(sniffer({"-r", "-", "--duration", "300ms"}),
              {pipe.read_end.get(), out.get(), err.get()});
  pipe.read_end.reset();
  const std::string bytes = many_exchanges(1);
  ASSERT_EQ(::write(pipe.write_end.get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  EXPECT_EQ(child.wait().code, 0) << content_of(err);
  EXPECT_NE(content_of(out).find("\"direction\":\"response\""), std::string::npos);
  EXPECT_NE(content_of(err).find("\"stopped\""), std::string::npos);
}

// What `--help` or `-h` shows on a terminal with these variables.
std::string help_with(const std::vector<std::string>& variables, const std::string& flag) {
  std::vector<std::string> command = {"env", "-u", "PAGER", "TERM=xterm"};
  command.insert(command.end(), variables.begin(), variables.end());
  for (const std::string& word : sniffer({flag})) command.push_back(word);
  Terminal terminal;
  const Descriptor err = memory_file();
  Child child(command, {-1, terminal.program.get(), err.get()});
  terminal.program.reset();
  const std::string shown = terminal.read();
  EXPECT_EQ(child.wait().code, 0) << content_of(err);
  return shown;
}

TEST(OnATerminal, TheLongHelpGoesThroughThePagerAndTheShortOneDoesNot) {
  const std::string counted = help_with({"PAGER=sed -n '$='"}, "--help");
  EXPECT_TRUE(std::regex_match(counted, std::regex("[0-9]{3}\r\n"))) << counted;
  for (const char* none : {"PAGER=", "PAGER=/no/such/pager", "TERM=dumb"}) {
    const std::string shown = help_with({none}, "--help");
    EXPECT_NE(shown.find("--max-outstanding-requests"), std::string::npos) << none << shown;
  }
  EXPECT_EQ(help_with({"PAGER=true"}, "--help"), "") << "it ends before it has read everything";
  const std::string brief = help_with({"PAGER=true"}, "-h");
  EXPECT_NE(brief.find("--sample-rate"), std::string::npos) << brief;
}

}  // namespace
}  // namespace tcp_sniffer::terminal_test
