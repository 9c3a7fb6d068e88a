#include "io/output/output_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/line/json_string.h"
#include "support/run_program.h"
#include "support/small_disk.h"

namespace tcp_sniffer::output_writer_test {
namespace {

using namespace std::chrono_literals;
using End = OutputWriter::End;

bool wait_until(const std::function<bool()>& done) {
  for (int i = 0; i < 60000 && !done(); i++) std::this_thread::sleep_for(1ms);
  return done();
}

// How often the threads that were started here have given up the processor to wait.
uint64_t waits_of_other_threads() {
  uint64_t waits = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    if (task.path().filename() == std::to_string(::gettid())) continue;
    std::ifstream status(task.path() / "status");
    const std::string name = "voluntary_ctxt_switches:";
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with(name)) waits += std::stoull(line.substr(name.size()));
    }
  }
  return waits;
}

std::string line_of(uint64_t number, size_t size) {
  std::string line = std::to_string(number) + " ";
  line.resize(std::max(line.size(), size - 1), static_cast<char>('a' + number % 26));
  return line + "\n";
}

// Sizes that fit nothing: short ones mostly, some longer than a page, a block or a pipe.
size_t size_of(uint64_t number) {
  if (number % 997 == 500) return 1'300'000 + number;
  if (number % 211 == 100) return 270'000 + number;
  if (number % 23 == 11) return 4000 + number % 200;
  return 20 + number * 7919 % 700;
}

std::string le32(size_t value) {
  std::string bytes;
  for (size_t i = 0; i < 4; i++) bytes += static_cast<char>(value >> (8 * i) & 0xff);
  return bytes;
}

std::string frame_of(std::string_view json, std::string_view body) {
  return le32(json.size()) + le32(body.size()) + std::string(json) + std::string(body);
}

constexpr MessageFraming framing_of(bool framed) {
  return framed ? MessageFraming::kFrames : MessageFraming::kLines;
}

// A writer with one shard's end in front of it.
class Output {
 public:
  explicit Output(const OutputWriter::Settings& settings)
      : writer_(std::make_unique<OutputWriter>(settings, queue_)) {}
  explicit Output(int fd, bool framed = false)
      : Output(OutputWriter::Settings{.path = {}, .framing = framing_of(framed), .fd = fd}) {}
  explicit Output(const std::filesystem::path& path, bool framed = false)
      : Output(OutputWriter::Settings{.path = path.string(), .framing = framing_of(framed)}) {}

  void start() {
    ASSERT_FALSE(writer_->open());
    start_opened();
  }
  void start_opened() {
    OutputWriter::Listener listener;
    listener.on_end = [this] { told_.fetch_add(1); };
    listener.on_reopen_failed = [this](const std::string& file, const std::string& error) {
      reopen_error_ = file + ": " + error;
      reopen_failures_.fetch_add(1);
    };
    listener.on_full = [this](const std::string&, const std::string&) { fulls_.fetch_add(1); };
    listener.on_room = [this](const std::string&, uint64_t) { rooms_.fetch_add(1); };
    writer_->start(std::move(listener));
  }
  // False: nobody takes lines any more.
  bool put(std::string_view line) {
    if (!lines_.begin_line(line.size())) return false;
    std::memcpy(lines_.reserve(line.size()), line.data(), line.size());
    lines_.commit(lines_.reserve(0) + line.size());
    lines_.end_line(1, 1, 0);
    put_++;
    return true;
  }
  void put_now(std::string_view line) {
    ASSERT_TRUE(put(line));
    lines_.flush();
  }
  void finish() {
    lines_.flush();
    writer_->end_of_input();
    ASSERT_TRUE(wait_until([&] { return writer_->done(); }));
  }
  void expect_every_message_counted() {
    EXPECT_EQ(writer_->written() + writer_->discarded(), put_);
  }

  OutputWriter& writer() { return *writer_; }
  LineOutput& lines() { return lines_; }
  int told() const { return told_.load(); }
  int fulls() const { return fulls_.load(); }
  int rooms() const { return rooms_.load(); }
  int reopen_failures() const { return reopen_failures_.load(); }
  const std::string& reopen_error() const { return reopen_error_; }  // after one was counted

 private:
  LineQueue queue_;
  BufferPool memory_{size_t{1} << 30};
  LineOutput lines_{queue_, memory_, {true, LineOutput::kBlocksForWaiting}};
  std::atomic<int> told_{0};
  std::atomic<int> fulls_{0};
  std::atomic<int> rooms_{0};
  std::atomic<int> reopen_failures_{0};
  std::string reopen_error_;
  uint64_t put_ = 0;
  std::unique_ptr<OutputWriter> writer_;
};

// Reads to the end on a thread of its own.
class Reader {
 public:
  // `slow`: a nap between small reads.
  explicit Reader(Descriptor from, bool slow = false)
      : from_(std::move(from)), thread_([this, slow] { run(slow); }) {}
  ~Reader() { text(); }
  const std::string& text() {
    if (thread_.joinable()) thread_.join();
    return text_;
  }

 private:
  void run(bool slow) {
    std::vector<char> bytes(slow ? 50'000 : 1 << 20);
    for (;;) {
      const ssize_t size = ::read(from_.get(), bytes.data(), bytes.size());
      if (size <= 0) return;
      text_.append(bytes.data(), static_cast<size_t>(size));
      if (slow) std::this_thread::sleep_for(200us);
    }
  }

  Descriptor from_;
  std::string text_;
  std::thread thread_;
};

size_t output_files(const TemporaryFolder& folder) {
  using Entries = std::filesystem::directory_iterator;
  return static_cast<size_t>(std::distance(Entries(folder.path()), Entries()));
}

uint64_t lines_in(std::string_view text) {
  return static_cast<uint64_t>(std::count(text.begin(), text.end(), '\n'));
}

// ---------------------------------------------------------------- where a message ends

TEST(WholeMessages, OfLinesEndBehindTheLastLineFeedThatFits) {
  EXPECT_EQ(whole_messages("ab\ncd\n", 6, MessageFraming::kLines), 6u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 5, MessageFraming::kLines), 3u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 3, MessageFraming::kLines), 3u);
  EXPECT_EQ(whole_messages("ab\ncd\n", 2, MessageFraming::kLines), 0u);
  EXPECT_EQ(whole_messages("", 0, MessageFraming::kLines), 0u);
}

TEST(WholeMessages, OfFramesEndBehindTheLastFrameThatFits) {
  // A body may hold anything, line feeds and what looks like lengths included.
  const std::string one = frame_of("{}", "\n\n");
  const std::string two = frame_of("{\"a\":1}", "");
  const std::string both = one + two;
  EXPECT_EQ(whole_messages(both, both.size(), MessageFraming::kFrames), both.size());
  EXPECT_EQ(whole_messages(both, both.size() - 1, MessageFraming::kFrames), one.size());
  EXPECT_EQ(whole_messages(both, one.size(), MessageFraming::kFrames), one.size());
  EXPECT_EQ(whole_messages(both, one.size() - 1, MessageFraming::kFrames), 0u);
}

// As many bytes, of which the first say so.
std::string record_of(size_t size) {
  return (le32(size) + "TP\1\1").append(size - 8, 'x');
}

TEST(WholeMessages, OfRecordsEndBehindTheLastRecordThatFits) {
  const std::string both = record_of(24) + record_of(160);
  EXPECT_EQ(whole_messages(both, both.size(), MessageFraming::kRecords), both.size());
  EXPECT_EQ(whole_messages(both, both.size() - 1, MessageFraming::kRecords), 24u);
  EXPECT_EQ(whole_messages(both, 24, MessageFraming::kRecords), 24u);
  EXPECT_EQ(whole_messages(both, 23, MessageFraming::kRecords), 0u);
  EXPECT_EQ(first_message(both, MessageFraming::kRecords), 24u);
  for (size_t size = 0; size <= both.size(); size++) {
    EXPECT_EQ(count_messages(std::string_view(both).substr(0, size), MessageFraming::kRecords),
              size < 24            ? 0u
              : size < both.size() ? 1u
                                   : 2u);
  }
  // Bytes that are none have no end.
  const std::string none(40, '\0');
  EXPECT_EQ(first_message(none, MessageFraming::kRecords), none.size());
  EXPECT_EQ(whole_messages(none, 30, MessageFraming::kRecords), 0u);
  EXPECT_EQ(count_messages(none, MessageFraming::kRecords), 0u);
}

TEST(WholeMessages, TheFirstOfThemEndsWithItsLineFeedOrItsFrame) {
  EXPECT_EQ(first_message("ab\ncd\n", MessageFraming::kLines), 3u);
  EXPECT_EQ(first_message("\n", MessageFraming::kLines), 1u);
  EXPECT_EQ(first_message("ab", MessageFraming::kLines), 2u);
  const std::string one = frame_of("{}", "\n\n");
  EXPECT_EQ(first_message(one + frame_of("{\"a\":1}", ""), MessageFraming::kFrames), one.size());
  // The bytes in front of the frames do not belong to one.
  EXPECT_EQ(first_message("TCPSNIF1", MessageFraming::kFrames), 8u);
}

TEST(WholeMessages, AreCounted) {
  EXPECT_EQ(count_messages("ab\ncd\nef", MessageFraming::kLines), 2u);
  EXPECT_EQ(count_messages(frame_of("{}", "\n\n") + frame_of("{}", ""), MessageFraming::kFrames),
            2u);
  EXPECT_EQ(count_messages("", MessageFraming::kFrames), 0u);
  const std::string two = frame_of("{}", "one") + frame_of("{}", "two");
  for (size_t size = 0; size < two.size(); size++) {
    EXPECT_EQ(count_messages(std::string_view(two).substr(0, size), MessageFraming::kFrames),
              size < 13 ? 0u : 1u)
        << "a cut frame is none: " << size;
  }
}

// Records of two lines for one message, of one for three, and of one for none.
TEST(WholeMessages, AreCountedWhereALineStandsForAnotherNumberOfThem) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput lines(queue, memory, {.may_wait = true, .blocks_max = 2, .notes_records = true});
  const auto put = [&](std::string_view record, uint64_t messages) {
    ASSERT_TRUE(lines.begin_line(record.size()));
    append_verbatim(record, lines);
    lines.end_line(messages, 1, 0);
  };
  put("a\nb\n", 1);
  put("c\nd\n", 1);
  put("", 2);
  put("e\n", 1);
  put("f\n", 0);
  put("", 5);
  lines.flush();
  LineBlock* block = nullptr;
  ASSERT_TRUE(queue.try_dequeue(block));
  EXPECT_EQ(block->messages, 10u);
  const uint64_t expected[] = {0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 5, 5, 5};
  for (size_t size = 0; size < std::size(expected); size++) {
    EXPECT_EQ(messages_in(*block, size, MessageFraming::kLines), expected[size]) << size;
  }
  lines.give_back(block);
}

TEST(WholeMessages, ABlockWhoseRecordsDifferTooOftenLeaves) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput lines(queue, memory, {.may_wait = true, .blocks_max = 2, .notes_records = true});
  for (size_t i = 0; i < LineOutput::kRunsMax; i++) {
    ASSERT_TRUE(lines.begin_line(2));
    append_verbatim("a\n", lines);
    lines.end_line(1 + i % 2, 1, 0);
  }
  LineBlock* block = nullptr;
  ASSERT_TRUE(queue.try_dequeue(block));
  EXPECT_EQ(messages_in(*block, block->used, MessageFraming::kLines), block->messages);
  lines.give_back(block);
}

// ---------------------------------------------------------------- every kind of output

TEST(OutputWriter, AppendsToAFile) {
  const TemporaryFolder folder;
  write_file(folder / "lines", "old\n");
  Output output(folder / "lines");
  output.start();
  output.put("one\n");
  output.put("two\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "lines"), "old\none\ntwo\n");
  EXPECT_EQ(output.writer().written(), 2u);
  EXPECT_EQ(output.writer().bytes(), 8u);
  EXPECT_EQ(output.writer().end(), End::kNone);
}

TEST(OutputWriter, BeginsFramesWithTheirMagic) {
  const Descriptor file = memory_file();
  Output output(file.get(), true);
  output.start();
  output.put(frame_of("{}", "body"));
  output.finish();
  EXPECT_EQ(content_of(file), "TCPSNIF1" + frame_of("{}", "body"));
}

TEST(OutputWriter, FramesBeginInAPipeToo) {
  Pipe pipe = make_pipe();
  ASSERT_EQ(::write(pipe.write_end.get(), "x", 1), 1) << "that somebody has written before";
  Output output(pipe.write_end.get(), true);
  output.start();
  output.put(frame_of("{}", "body"));
  output.finish();
  pipe.write_end.reset();
  Reader reader(std::move(pipe.read_end));
  EXPECT_EQ(reader.text(), "xTCPSNIF1" + frame_of("{}", "body"));
}

TEST(OutputWriter, FramesThatAreAppendedToAFileHaveNoMagicInItsMiddle) {
  const TemporaryFolder folder;
  for (const char* body : {"one", "two"}) {
    Output output(folder / "frames", true);
    output.start();
    output.put(frame_of("{}", body));
    output.finish();
  }
  const std::string both = "TCPSNIF1" + frame_of("{}", "one") + frame_of("{}", "two");
  EXPECT_EQ(content_of(folder / "frames"), both);
  // Standard output may be such a file, too: `>> frames`.
  const Descriptor file(::open((folder / "frames").c_str(), O_WRONLY | O_APPEND | O_CLOEXEC));
  Output output(file.get(), true);
  output.start();
  output.put(frame_of("{}", "three"));
  output.finish();
  EXPECT_EQ(content_of(folder / "frames"), both + frame_of("{}", "three"));
}

TEST(OutputWriter, WhatStandsBehindTheEndMarkerIsWrittenToo) {
  LineQueue queue;
  BufferPool memory(size_t{1} << 30);
  LineOutput first(queue, memory, {}), second(queue, memory, {});
  const Descriptor file = memory_file();
  OutputWriter writer(
      OutputWriter::Settings{.path = {}, .framing = MessageFraming::kLines, .fd = file.get()},
      queue);
  const auto put = [](LineOutput& to, std::string_view line) {
    ASSERT_TRUE(to.begin_line(line.size()));
    char* at = to.reserve(line.size());
    std::memcpy(at, line.data(), line.size());
    to.commit(at + line.size());
    to.end_line(1, 1, 0);
    to.flush();
  };
  // Queues keep the order of one producer, not of all.
  put(first, "first\n");
  writer.end_of_input();
  put(second, "second\n");
  ASSERT_FALSE(writer.open());
  writer.start({});
  ASSERT_TRUE(wait_until([&] { return writer.done(); }));
  EXPECT_EQ(writer.written(), 2u);
  EXPECT_EQ(content_of(file).size(), std::string("first\nsecond\n").size());
}

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
      EXPECT_TRUE(wait_until([&] { return output.writer().written() >= round * 100; }));
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
  ASSERT_TRUE(wait_until([&] { return output.writer().written() > 0; }));
  EXPECT_FALSE(output.writer().done()) << "nobody has read the rest";
  output.writer().abort();
  ASSERT_TRUE(wait_until([&] { return output.writer().done(); }));
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
  ASSERT_TRUE(wait_until([&] {
    output.put_now("line\n");
    return output.writer().end() != End::kNone;
  }));
  EXPECT_EQ(output.writer().end(), End::kReaderLeft);
  EXPECT_TRUE(wait_until([&] { return output.told() > 0; }));
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
  ASSERT_TRUE(wait_until([&] { return output.writer().written() > 0; }));
  EXPECT_EQ(output.writer().end(), End::kNone);
  ends.read_end.reset();
  output.finish();
  EXPECT_EQ(output.writer().end(), End::kReaderLeft);
  EXPECT_GT(output.writer().discarded(), 0u);
  output.expect_every_message_counted();
}

TEST(OutputWriter, WaitingForAReaderWhoStandsStillCostsNextToNothing) {
  const auto processor_time = [] {
    rusage used{};
    ::getrusage(RUSAGE_SELF, &used);
    return std::chrono::seconds(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
           std::chrono::microseconds(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
  };
  Pipe pipe = make_pipe();
  Output output(pipe.write_end.get());
  output.start();
  // The second one does not fit, although half of the pipe is free.
  output.put_now(line_of(1, 540'000));
  output.put_now(line_of(2, 540'000));
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 1; }));
  const auto before = processor_time();
  const uint64_t waits_before = waits_of_other_threads();
  EXPECT_TRUE(wait_until([&] { return waits_of_other_threads() >= waits_before + 100; }));
  EXPECT_LT(processor_time() - before, 60ms);
  Reader reader(std::move(pipe.read_end));
  output.finish();
  pipe.write_end.reset();
  EXPECT_EQ(reader.text(), line_of(1, 540'000) + line_of(2, 540'000));
}

// How often this process has asked the system to write.
uint64_t writes_of_this_process() {
  std::ifstream counters("/proc/self/io");
  for (std::string name; counters >> name;) {
    uint64_t value = 0;
    counters >> value;
    if (name == "syscw:") return value;
  }
  return 0;
}

TEST(OutputWriter, BlocksThatWaitGoIntoAPipeTogether) {
  Pipe pipe = make_pipe();
  Output output(pipe.write_end.get());
  std::string all;
  for (uint64_t number = 0; number < 8; number++) {
    all += line_of(number, 100'000);
    output.put_now(line_of(number, 100'000));
  }
  const uint64_t before = writes_of_this_process();
  if (before == 0) GTEST_SKIP() << "the kernel does not count calls in /proc/self/io";
  output.start();
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 8; }));
  EXPECT_LT(writes_of_this_process(), before + 4) << "naming the thread is a write as well";
  Reader reader(std::move(pipe.read_end));
  output.finish();
  pipe.write_end.reset();
  EXPECT_TRUE(reader.text() == all);
  EXPECT_EQ(output.writer().bytes(), all.size());
}

TEST(OutputWriter, AnotherOneInTheSamePipeTakesNoByteAway) {
  Pipe pipe = make_pipe();
  ::fcntl(pipe.write_end.get(), F_SETFL, O_NONBLOCK);
  Reader reader(std::move(pipe.read_end));
  Output first(pipe.write_end.get());
  Output second(pipe.write_end.get());
  first.start();
  second.start();
  // Both find room for the same bytes now and then, and one of them is taken in part.
  size_t bytes = 0;
  for (uint64_t number = 0; number < 3000; number++) {
    const std::string line = line_of(number, 3001);
    ASSERT_TRUE(first.put(line) && second.put(line));
    bytes += 2 * line.size();
  }
  first.finish();
  second.finish();
  first.expect_every_message_counted();
  second.expect_every_message_counted();
  EXPECT_EQ(first.writer().discarded() + second.writer().discarded(), 0u);
  EXPECT_EQ(first.writer().bytes() + second.writer().bytes(), bytes);
  pipe.write_end.reset();
  EXPECT_EQ(reader.text().size(), bytes);
}

// ---------------------------------------------------------------- errors

TEST(OutputWriterErrors, AnOutputThatCanNotBeOpenedIsNamed) {
  const TemporaryFolder folder;
  const std::string path = (folder / "no such folder/lines").string();
  LineQueue queue;
  OutputWriter writer(OutputWriter::Settings{.path = path}, queue);
  const auto problem = writer.open();
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->message(), "output " + path + " cannot be opened: No such file or directory");
}

TEST(OutputWriterErrors, ADescriptorThatCanNotBeWrittenIsRefusedBeforeTheRun) {
  const Descriptor null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  for (const int fd : {null.get(), 1 << 20}) {
    LineQueue queue;
    OutputWriter writer(
        OutputWriter::Settings{.path = {}, .framing = MessageFraming::kLines, .fd = fd}, queue);
    const auto problem = writer.open();
    ASSERT_TRUE(problem);
    EXPECT_EQ(problem->message(), "standard output is closed, or not open for writing");
  }
}

TEST(OutputWriterErrors, AFullDiskIsAnErrorAndEverythingBehindItIsCounted) {
  Output output(std::filesystem::path("/dev/full"));
  output.start();
  output.put_now("one\n");
  ASSERT_TRUE(wait_until([&] { return output.writer().end() != End::kNone; }));
  output.put_now("two\n");
  output.put_now("three\n");
  output.finish();
  EXPECT_EQ(output.writer().end(), End::kFailed);
  EXPECT_EQ(output.writer().problem().message(),
            "/dev/full cannot be written: No space left on device");
  EXPECT_EQ(output.writer().written(), 0u);
  EXPECT_EQ(output.writer().discarded(), 3u);
  EXPECT_EQ(output.writer().bytes(), 0u);
}

TEST(OutputWriterErrors, OfABlockThatFitsInPartTheWholeLinesCountAsWritten) {
  const TemporaryFolder folder;
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  Output output(folder / "lines");
  output.start();
  for (uint64_t number = 0; number < 100; number++) output.put(line_of(number, 100));
  // The file may grow to 25 lines and a half; the writer's thread has the signal blocked.
  rlimit small = before;
  small.rlim_cur = 2550;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  output.finish();
  ::setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(output.writer().end(), End::kFailed);
  EXPECT_EQ(output.writer().problem().message(),
            (folder / "lines").string() + " cannot be written: File too large");
  EXPECT_EQ(output.writer().written(), 25u);
  EXPECT_EQ(output.writer().discarded(), 75u);
}

TEST(OutputWriterErrors, WhatWasWrittenOfALineThatFailedIsTakenBack) {
  for (const bool framed : {false, true}) {
    const TemporaryFolder folder;
    rlimit before{};
    ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
    Output output(folder / "out", framed);
    output.start();
    std::string whole = framed ? "TCPSNIF1" : "";
    for (uint64_t number = 0; number < 100; number++) {
      const std::string line = framed ? frame_of("{}", std::string(90, 'b')) : line_of(number, 100);
      output.put(line);
      if (number < 25) whole += line;
    }
    rlimit small = before;
    small.rlim_cur = 2550 + (framed ? 8 : 0);
    ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
    output.finish();
    ::setrlimit(RLIMIT_FSIZE, &before);
    EXPECT_EQ(output.writer().written(), 25u);
    EXPECT_EQ(content_of(folder / "out"), whole);
  }
}

// ---------------------------------------------------------------- a file that ends in the middle

// What stands in the file after one more message.
std::string appended_to(const std::string& before, bool framed, const std::string& message,
                        std::string* error = nullptr) {
  const TemporaryFolder folder;
  write_file(folder / "out", before);
  Output output(folder / "out", framed);
  const auto problem = output.writer().open();
  if (error != nullptr) *error = problem ? problem->message() : "";
  if (problem) return content_of(folder / "out");
  output.start_opened();
  output.put(message);
  output.finish();
  return content_of(folder / "out");
}

TEST(OutputFileEnd, ALineWithoutItsEndGetsOneAndStays) {
  EXPECT_EQ(appended_to("whole\ncut", false, "next\n"), "whole\ncut\nnext\n");
  EXPECT_EQ(appended_to("whole\n", false, "next\n"), "whole\nnext\n");
  EXPECT_EQ(appended_to("", false, "next\n"), "next\n");
}

TEST(OutputFileEnd, AFrameThatWasCutAnywhereIsCutOff) {
  const std::string magic = "TCPSNIF1";
  const std::string one = frame_of("{}", "one\n");
  const std::string two = frame_of("{\"a\":1}", std::string(300, 'b'));
  const std::string next = frame_of("{}", "next");
  const std::string all = magic + one + two;
  for (size_t size = 0; size <= all.size(); size++) {
    const std::string whole = size < 8                           ? magic
                              : size < magic.size() + one.size() ? magic
                              : size < all.size()                ? magic + one
                                                                 : all;
    ASSERT_EQ(appended_to(all.substr(0, size), true, next), whole + next) << size;
  }
}

TEST(OutputFileEnd, AFileThatHasNoFramesIsNotTouched) {
  for (const std::string& foreign :
       {std::string("{\"a\":1}\n"), std::string("x"), "TCPSNIF1" + le32(5) + le32(0) + "hello"}) {
    std::string error;
    EXPECT_EQ(appended_to(foreign, true, frame_of("{}", ""), &error), foreign);
    EXPECT_NE(error, "") << foreign;
  }
}

TEST(OutputFileEnd, ATableHasItsHeadOnce) {
  const std::string head = "method,path\r\n";
  const std::string row = "GET,/\r\n";
  const auto appended = [&](const std::string& before, std::string* error = nullptr) {
    const TemporaryFolder folder;
    write_file(folder / "out", before);
    Output output(OutputWriter::Settings{
        .path = (folder / "out").string(), .framing = MessageFraming::kLines, .head = head});
    const auto problem = output.writer().open();
    if (error != nullptr) *error = problem ? problem->message() : "";
    if (problem) return content_of(folder / "out");
    output.start_opened();
    output.put(row);
    output.finish();
    output.expect_every_message_counted();
    return content_of(folder / "out");
  };
  // Cut anywhere in its head, it is begun anew.
  for (size_t size = 0; size < head.size(); size++) {
    EXPECT_EQ(appended(head.substr(0, size)), head + row) << size;
  }
  EXPECT_EQ(appended(head), head + row);
  EXPECT_EQ(appended(head + row), head + row + row);
  EXPECT_EQ(appended(head + "GET,"), head + "GET,\n" + row);
  for (const std::string foreign : {"path,method\r\n", "{}\n", "method,path\n"}) {
    std::string error;
    EXPECT_EQ(appended(foreign, &error), foreign);
    EXPECT_NE(error.find("names other columns"), std::string::npos) << error;
  }
}

// ---------------------------------------------------------------- a disk that fills and empties

// Numbers of the messages in a file, all of which have to be whole.
std::vector<uint64_t> numbers_in(std::string_view text, bool framed) {
  std::vector<uint64_t> numbers;
  if (framed) {
    EXPECT_TRUE(text.starts_with("TCPSNIF1"));
    text.remove_prefix(std::min<size_t>(8, text.size()));
  }
  while (!text.empty()) {
    const size_t size = first_message(text, framing_of(framed));
    const std::string_view message = text.substr(0, size);
    EXPECT_EQ(whole_messages(message, message.size(), framing_of(framed)), message.size());
    if (!framed) {
      EXPECT_EQ(message.back(), '\n');
    }
    const size_t number = message.find_first_of("0123456789", framed ? 8 : 0);
    numbers.push_back(std::stoull(std::string(message.substr(number, 10))));
    text.remove_prefix(size);
  }
  return numbers;
}

TEST(OutputWriterFullDisk, ThatEmptiesIsGoneOnWithAndEachMessageThatIsLostIsCounted) {
  for (const bool framed : {false, true}) {
    SCOPED_TRACE(framed ? "framed" : "lines");
    const SmallDisk disk(3000);
    if (!disk.mounted()) GTEST_SKIP() << "no file system can be mounted here";
    OutputWriter::Settings settings{.path = (disk / "out").string(), .framing = framing_of(framed)};
    settings.when_full = OutputWriter::WhenFull::kDrop;
    Output output(settings);
    output.start();
    std::vector<uint64_t> found;
    uint64_t number = 0;
    for (int times = 0; times < 5; times++) {
      // Twice what the disk and the memory for lines have room for.
      const uint64_t dropped = output.writer().dropped();
      while (output.writer().dropped() == dropped) {
        const std::string text = std::to_string(number) + std::string(number % 5000, ' ');
        ASSERT_TRUE(output.put(framed ? frame_of("{" + text + "}", "b") : text + "\n"));
        number++;
      }
      // As logrotate does it, which takes the old file away. What waited in memory can fill the new
      // one as well, or all of it was dropped: then the next message shows that there is room.
      int emptied = 0;
      ASSERT_TRUE(wait_until([&] {
        if (output.fulls() > emptied) {
          emptied = output.fulls();
          const std::string text = content_of(disk / "out");
          for (const uint64_t one : numbers_in(text, framed)) found.push_back(one);
          std::filesystem::rename(disk / "out", disk / "out.1");
          std::filesystem::remove(disk / "out.1");
          output.writer().reopen();
        }
        const std::string text = std::to_string(number++);
        output.put_now(framed ? frame_of("{" + text + "}", "b") : text + "\n");
        return output.rooms() == output.fulls();
      }));
    }
    output.finish();
    for (const uint64_t one : numbers_in(content_of(disk / "out"), framed)) found.push_back(one);
    EXPECT_GE(output.fulls(), 5);
    EXPECT_EQ(output.fulls(), output.rooms());
    EXPECT_EQ(output.writer().discarded(), 0u);
    EXPECT_EQ(found.size(), output.writer().written()) << "what is counted is there";
    EXPECT_EQ(output.writer().written() + output.writer().dropped(), number);
    EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
  }
}

// ---------------------------------------------------------------- a new file (SIGHUP)

TEST(OutputWriterReopen, TheNextLineGoesIntoTheNewFile) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  output.put_now("one\n");
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 1; }));
  std::filesystem::rename(path, folder / "lines.1");
  output.put_now("two\n");
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 2; }));
  EXPECT_FALSE(std::filesystem::exists(path)) << "until it is told";
  output.writer().reopen();
  output.put_now("three\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "lines.1"), "one\ntwo\n");
  EXPECT_EQ(content_of(path), "three\n");
}

TEST(OutputWriterReopen, EachFileOfFramesHasTheirMagic) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "frames";
  Output output(path, true);
  output.start();
  output.put_now(frame_of("{}", "one"));
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 1; }));
  std::filesystem::rename(path, folder / "frames.1");
  output.writer().reopen();
  output.put_now(frame_of("{}", "two"));
  output.finish();
  EXPECT_EQ(content_of(folder / "frames.1"), "TCPSNIF1" + frame_of("{}", "one"));
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "two"));
}

TEST(OutputWriterReopen, FramesHaveTheirMagicAgainInAFileThatWasEmptiedAndNotInOneThatWasNot) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "frames";
  Output output(path, true);
  output.start();
  output.put_now(frame_of("{}", "one"));
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 1; }));
  output.writer().reopen();
  output.put_now(frame_of("{}", "two"));
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 2; }));
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "one") + frame_of("{}", "two"));
  std::filesystem::resize_file(path, 0);
  output.writer().reopen();
  output.put_now(frame_of("{}", "three"));
  output.finish();
  EXPECT_EQ(content_of(path), "TCPSNIF1" + frame_of("{}", "three"));
}

TEST(OutputWriterReopen, TheNewFileIsThereAtOnceAlthoughNoLineComes) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  for (int round = 1; round <= 3; round++) {
    std::filesystem::rename(path, folder / ("lines." + std::to_string(round)));
    output.writer().reopen();
    EXPECT_TRUE(wait_until([&] { return std::filesystem::exists(path); })) << round;
  }
  std::filesystem::remove(path);
  output.writer().reopen();
  output.finish();
  EXPECT_TRUE(std::filesystem::exists(path)) << "at the end, too";
}

TEST(OutputWriterReopen, TheOldFileIsKeptAndItIsSaidWhenTheNewOneCanNotBeOpened) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "logs/lines";
  std::filesystem::create_directory(folder / "logs");
  Output output(path);
  output.start();
  std::filesystem::rename(folder / "logs", folder / "logs.1");
  output.writer().reopen();
  ASSERT_TRUE(wait_until([&] { return output.reopen_failures() == 1; })) << "without a line";
  EXPECT_EQ(output.reopen_error(), path.string() + ": No such file or directory");
  output.put_now("one\n");
  ASSERT_TRUE(wait_until([&] { return output.writer().written() == 1; }));
  EXPECT_EQ(content_of(folder / "logs.1/lines"), "one\n");
  // The next time it is tried again.
  std::filesystem::create_directory(folder / "logs");
  output.writer().reopen();
  output.put_now("two\n");
  output.finish();
  EXPECT_EQ(content_of(folder / "logs.1/lines"), "one\n");
  EXPECT_EQ(content_of(path), "two\n");
  EXPECT_EQ(output.reopen_failures(), 1);
  EXPECT_EQ(output.writer().end(), End::kNone);
}

TEST(OutputWriterReopen, StandardOutputStaysWhatItIs) {
  const Descriptor file = memory_file();
  Output output(file.get());
  output.start();
  output.writer().reopen();
  output.put_now("one\n");
  output.finish();
  EXPECT_EQ(content_of(file), "one\n");
}

TEST(OutputWriterReopen, InFullFlowNoLineIsLostOrCut) {
  const TemporaryFolder folder;
  const std::filesystem::path path = folder / "lines";
  Output output(path);
  output.start();
  std::atomic<bool> ended{false};
  int rotations = 0;
  std::thread rotate([&] {
    while (!ended.load(std::memory_order_relaxed)) {
      std::error_code error;
      std::filesystem::rename(path, folder / ("lines." + std::to_string(rotations)), error);
      if (!error) {
        rotations++;
        output.writer().reopen();
      }
      std::this_thread::sleep_for(1ms);
    }
  });
  std::string all;
  // At least 10,000 lines, and as many as it takes until files have been exchanged.
  for (uint64_t number = 0; number < 10000 || (number < 1'000'000 && output_files(folder) < 5);
       number++) {
    const std::string line = line_of(number, 20 + number * 7919 % 700);
    all += line;
    ASSERT_TRUE(output.put(line));
    if (number % 50 == 0) output.lines().flush();
  }
  output.finish();
  ended.store(true, std::memory_order_relaxed);
  rotate.join();
  EXPECT_GE(rotations, 4);
  std::string found;
  for (int i = 0; i <= rotations; i++) {
    const std::string name = i < rotations ? "lines." + std::to_string(i) : "lines";
    const std::string text = content_of(folder / name);
    EXPECT_TRUE(text.empty() || text.back() == '\n') << name;
    found += text;
  }
  EXPECT_TRUE(found == all) << "of " << all.size() << " bytes came " << found.size();
}

}  // namespace
}  // namespace tcp_sniffer::output_writer_test
