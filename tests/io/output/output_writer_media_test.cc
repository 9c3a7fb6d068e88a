// The writer in front of what may take a part of what it is given: pipes and sockets.

#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <string>
#include <thread>
#include <utility>

#include "support/output_lab.h"
#include "support/run_program.h"

namespace tcp_sniffer::output_writer_media_test {
namespace {

using namespace output_lab;
using End = OutputWriter::End;

enum class Medium { kPipe, kNonBlockingPipe, kSocket, kTcp };

struct Ends {
  Descriptor write_end;
  Descriptor read_end;
};

Ends make_tcp() {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  auto* place = reinterpret_cast<sockaddr*>(&address);
  const Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Descriptor ours(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(listener.get(), place, size), 0);
  EXPECT_EQ(::getsockname(listener.get(), place, &size), 0);
  EXPECT_EQ(::listen(listener.get(), 1), 0);
  EXPECT_EQ(::connect(ours.get(), place, size), 0);
  Descriptor theirs(::accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC));
  // What the reader's end takes without being read would otherwise grow to many MiB.
  const int small = 1 << 16;
  ::setsockopt(theirs.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  return {std::move(ours), std::move(theirs)};
}

Ends make_ends(Medium medium) {
  if (medium == Medium::kTcp) return make_tcp();
  if (medium == Medium::kSocket) {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
    return {Descriptor(ends[0]), Descriptor(ends[1])};
  }
  Pipe pipe = make_pipe();
  if (medium == Medium::kNonBlockingPipe) ::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK);
  return {std::move(pipe.write_end), std::move(pipe.read_end)};
}

// Where the system may take a part of what it is given.
class EveryMedium : public testing::TestWithParam<Medium> {
 protected:
  void lines_arrive(bool slow_reader) {
    Ends ends = make_ends(GetParam());
    Reader reader(std::move(ends.read_end), slow_reader);
    Output output(ends.write_end.get());
    output.start();
    std::string all;
    for (uint64_t number = 0; number < 2000; number++) {
      const std::string line = line_of(number, size_of(number));
      all += line;
      ASSERT_TRUE(output.put(line));
      // Blocks of every filling.
      if (number % 7 == 0) output.lines().flush();
    }
    output.finish();
    EXPECT_EQ(output.writer().written(), 2000u);
    EXPECT_EQ(output.writer().discarded(), 0u);
    EXPECT_EQ(output.writer().bytes(), all.size());
    ends.write_end.reset();
    EXPECT_TRUE(reader.text() == all)
        << "of " << all.size() << " bytes came " << reader.text().size();
  }
};

// Of 1,000 bytes each: more than a pipe (1 MiB) or a socket (2 MiB) takes without a reader, and
// less than would stop the shard (2.2 MiB more).
constexpr uint64_t kStallingLines = 2600;

INSTANTIATE_TEST_SUITE_P(Output, EveryMedium,
                         testing::Values(Medium::kPipe, Medium::kNonBlockingPipe, Medium::kSocket,
                                         Medium::kTcp));

TEST_P(EveryMedium, LinesOfEverySizeArriveWholeAndInOrder) {
  lines_arrive(false);
}

TEST_P(EveryMedium, ASlowReaderGetsTheSame) {
  lines_arrive(true);
}

TEST_P(EveryMedium, AnAbortAtAnyMomentCutsNoLineAndCountsWhatWasNotTaken) {
  for (uint64_t round = 0; round < 20; round++) {
    SCOPED_TRACE("round " + std::to_string(round));
    Ends ends = make_ends(GetParam());
    Reader reader(std::move(ends.read_end), true);
    Output output(ends.write_end.get());
    output.start();
    std::thread stop([&] {
      EXPECT_TRUE(until([&] { return output.writer().written() >= round * 100; }));
      output.lines().abandon();
      output.writer().abort();
    });
    for (uint64_t number = 0; number < 5000; number++) {
      if (!output.put(line_of(number, 100 + number % 3000))) break;
    }
    stop.join();
    output.finish();
    output.expect_every_message_counted();
    ends.write_end.reset();
    const std::string& text = reader.text();
    EXPECT_EQ(output.writer().written(), lines_in(text));
    EXPECT_TRUE(text.empty() || text.back() == '\n') << "a cut line";
  }
}

TEST_P(EveryMedium, AReaderThatStoppedReadingIsGivenUpByAnAbort) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get());
  output.start();
  for (uint64_t number = 0; number < kStallingLines; number++) {
    ASSERT_TRUE(output.put(line_of(number, 1000)));
  }
  output.lines().flush();
  output.writer().end_of_input();
  ASSERT_TRUE(until([&] { return output.writer().written() > 0; }));
  EXPECT_FALSE(output.writer().done()) << "nobody has read the rest";
  output.writer().abort();
  ASSERT_TRUE(until([&] { return output.writer().done(); }));
  EXPECT_EQ(output.writer().end(), End::kNone) << "no error of the output's";
  EXPECT_GT(output.writer().discarded(), 0u);
  output.expect_every_message_counted();
  ends.write_end.reset();
  Reader reader(std::move(ends.read_end));
  EXPECT_EQ(lines_in(reader.text()), output.writer().written());
  EXPECT_EQ(reader.text().back(), '\n');
}

TEST_P(EveryMedium, ALineLargerThanTheMediumDoesNotKeepAnAbortFromEndingTheWriter) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get());
  output.start();
  output.put_now(line_of(1, 8'000'000));
  output.put_now(line_of(2, 100));
  std::string begin(1000, '\0');
  ASSERT_EQ(::read(ends.read_end.get(), begin.data(), begin.size()), 1000) << "it is under way";
  output.lines().abandon();
  output.writer().abort();
  output.finish();
  EXPECT_EQ(output.writer().end(), End::kNone);
  EXPECT_EQ(output.writer().written(), 0u);
  EXPECT_EQ(output.writer().discarded(), 2u);
}

TEST_P(EveryMedium, AFrameThatAnAbortCutDoesNotCountAsWritten) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get(), true);
  output.start();
  output.put_now(frame_of("{}", "a"));
  output.put_now(frame_of("{" + std::string(8'000'000, ' ') + "}", "b"));
  output.put_now(frame_of("{}", "c"));
  std::string begin(1000, '\0');
  for (size_t got = 0; got < begin.size();) {
    const ssize_t size = ::read(ends.read_end.get(), begin.data() + got, begin.size() - got);
    ASSERT_GT(size, 0);
    got += static_cast<size_t>(size);
  }
  output.lines().abandon();
  output.writer().abort();
  output.finish();
  EXPECT_EQ(output.writer().written(), 1u);
  EXPECT_EQ(output.writer().discarded(), 2u);
}

TEST_P(EveryMedium, ALineThatWasTakenInPartIsFinishedForAReaderThoughTheRunIsAborted) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get());
  output.start();
  const std::string line = line_of(1, 8'000'000);
  output.put_now(line);
  output.put_now(line_of(2, 100));
  char first = 0;
  ASSERT_EQ(::read(ends.read_end.get(), &first, 1), 1) << "it is under way";
  output.lines().abandon();
  output.writer().abort();
  Reader reader(std::move(ends.read_end), true);
  output.finish();
  EXPECT_EQ(output.writer().written(), 1u);
  EXPECT_EQ(output.writer().discarded(), 1u);
  ends.write_end.reset();
  EXPECT_TRUE(first + reader.text() == line);
}

TEST_P(EveryMedium, AReaderThatHasLeftEndsTheOutputQuietly) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get());
  output.start();
  ends.read_end.reset();
  // TCP notices with the second line: its first FIN may be that of a reader who still listens.
  ASSERT_TRUE(until([&] {
    output.put_now("line\n");
    return output.writer().end() != End::kNone;
  }));
  EXPECT_EQ(output.writer().end(), End::kReaderLeft);
  EXPECT_TRUE(until([&] { return output.told() > 0; }));
  output.put_now("late\n");
  output.finish();
  EXPECT_EQ(output.writer().problem().message(), "");
  EXPECT_GE(output.writer().discarded(), 2u);
  EXPECT_LE(output.writer().written(), GetParam() == Medium::kTcp ? 10u : 0u);
  output.expect_every_message_counted();
}

TEST_P(EveryMedium, AReaderThatLeavesWhileTheWriterWaitsForItIsNoticed) {
  Ends ends = make_ends(GetParam());
  Output output(ends.write_end.get());
  output.start();
  for (uint64_t number = 0; number < kStallingLines; number++) {
    ASSERT_TRUE(output.put(line_of(number, 1000)));
  }
  ASSERT_TRUE(until([&] { return output.writer().written() > 0; }));
  EXPECT_EQ(output.writer().end(), End::kNone);
  ends.read_end.reset();
  output.finish();
  EXPECT_EQ(output.writer().end(), End::kReaderLeft);
  EXPECT_GT(output.writer().discarded(), 0u);
  output.expect_every_message_counted();
}

}  // namespace
}  // namespace tcp_sniffer::output_writer_media_test
