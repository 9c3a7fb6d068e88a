// Files that come, go and change their names, without the program around them.

#include "io/follow/followed_files.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "io/follow/file_mark.h"
#include "support/capture_files.h"
#include "support/run_program.h"

namespace tcp_sniffer::followed_files_test {
namespace {

using namespace std::chrono_literals;

class Notes final : public FollowListener {
 public:
  void on_begin(const std::string&, bool) override {}
  void on_end(const CaptureEnd& end) override { ended.push_back(end); }
  void on_skip(const std::string& name, const std::string&, bool) override {
    skipped.push_back(name);
  }
  void on_miss(const std::string& name, const std::string&) override { missed.push_back(name); }
  void on_wait(const std::string& name, const std::string&) override { awaited.push_back(name); }
  void on_unwatched(const std::string&, const std::string&) override {}
  void on_listen(const std::string&, int) override {}
  void on_unconnected(const std::string&, const std::string&, int64_t) override {}

  std::vector<CaptureEnd> ended;
  std::vector<std::string> skipped;
  std::vector<std::string> missed;
  std::vector<std::string> awaited;
};

class FollowedFilesTest : public CaptureFileTest {
 protected:
  void SetUp() override {
    CaptureFileTest::SetUp();
    files_.emplace(std::vector<std::string>{folder_.string()}, notes_, counters_);
  }

  // A capture with one packet of that second.
  std::string write_capture(const std::string& name, uint32_t second) {
    return write(name, pcap_header(0xa1b2c3d4, false) + pcap_packet(pattern(60, 1), second, 0));
  }
  // As a source that has read all of it.
  FollowedCapture* read_next() {
    FollowedCapture* capture = files_->next(now_);
    if (capture == nullptr) return nullptr;
    std::vector<uint8_t> bytes(1000);
    while (capture->reader->read(bytes).status == ReadStatus::kData) continue;
    capture->begun = true;
    return capture;
  }

  Notes notes_;
  FollowCounters counters_;
  std::optional<FollowedFiles> files_;
  FollowClock::time_point now_ = FollowClock::now();
};

TEST_F(FollowedFilesTest, WaitingFilesAreReadInTheOrderOfTheirPacketsAlsoWhenTheyAreDeleted) {
  write_capture("c", 100);
  write_capture("a", 300);
  const std::string deleted = write_capture("b", 200);
  ASSERT_FALSE(files_->open());
  std::filesystem::remove(deleted);
  files_->look(now_, true);
  std::vector<std::string> order;
  while (FollowedCapture* capture = read_next()) {
    order.push_back(std::filesystem::path(capture->name).filename());
    EXPECT_EQ(capture->reader->file_bytes(), 100u);
    files_->end(*capture);
  }
  EXPECT_EQ(order, (std::vector<std::string>{"c", "b", "a"}));
  EXPECT_TRUE(notes_.missed.empty());
}

TEST_F(FollowedFilesTest, OfManyThatWaitOnlySoManyAreHeldAndTheOthersAreMissed) {
  constexpr size_t kFiles = FollowedFiles::kHeldMax + 10;
  for (uint32_t i = 0; i < kFiles; i++) write_capture("f" + std::to_string(i), 1000 + i);
  ASSERT_FALSE(files_->open());
  EXPECT_EQ(counters_.waiting, kFiles);
  for (uint32_t i = 0; i < kFiles; i++) {
    std::filesystem::remove(folder_ / ("f" + std::to_string(i)));
  }
  files_->look(now_, true);
  size_t read = 0;
  while (FollowedCapture* capture = read_next()) {
    files_->end(*capture);
    read++;
  }
  EXPECT_EQ(read, FollowedFiles::kHeldMax);
  EXPECT_EQ(notes_.missed.size(), 10u);
  EXPECT_EQ(counters_.missed, 10u);
  EXPECT_EQ(counters_.waiting, 0u);
  EXPECT_EQ(counters_.found, counters_.read + counters_.missed);
}

// A new file of which the system did not tell is found, and not only by the next scan without a
// reason, which is not due at this time.
TEST_F(FollowedFilesTest, WhenChangesAreLostTheFoldersAreLookedIntoAtOnce) {
  ASSERT_FALSE(files_->open());
  std::ifstream limit("/proc/sys/fs/inotify/max_queued_events");
  size_t events = 0;
  limit >> events;
  ASSERT_GT(events, 0u);
  if (events > 200'000) GTEST_SKIP() << "the system keeps too many changes to lose one";
  // Three events each: it is made, written by nobody but closed, and gone.
  for (size_t i = 0; i <= events / 3 + 1; i++) {
    std::filesystem::remove(write(".noise" + std::to_string(i % 2), {}));
  }
  write_capture("a", 100);
  files_->look(now_ + FollowedFiles::kScanEvery - 1ms, false);
  const FollowedCapture* found = files_->next(now_);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->name, (folder_ / "a").string());
}

TEST_F(FollowedFilesTest, AWaitingFileThatIsWrittenOverIsMissedAndTheOtherIsRead) {
  write_capture("first", 100);
  write_capture("a", 200);
  ASSERT_FALSE(files_->open());
  write_capture("a", 300);
  files_->look(now_, true);
  FollowedCapture* first = read_next();
  ASSERT_NE(first, nullptr);
  files_->end(*first);
  ASSERT_NE(read_next(), nullptr);
  EXPECT_EQ(read_next(), nullptr);
  EXPECT_EQ(notes_.missed.size(), 1u);
  EXPECT_EQ(counters_.found, 3u);
  EXPECT_EQ(counters_.read, 2u);
}

TEST_F(FollowedFilesTest, AFileEndsWhenAnotherHasBegunAndItsWriterIsDoneOrSilent) {
  const std::string path = write_capture("a", 100);
  ASSERT_FALSE(files_->open());
  FollowedCapture* first = read_next();
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(files_->stop_of(*first, now_), CaptureFeed::Stop::kStay);
  // Only its head is there: it has not begun.
  write("b", pcap_header(0xa1b2c3d4, false));
  files_->look(now_, true);
  EXPECT_EQ(files_->stop_of(*first, now_), CaptureFeed::Stop::kStay);
  write_capture("b", 200);
  files_->look(now_, true);
  EXPECT_EQ(files_->stop_of(*first, now_), CaptureFeed::Stop::kAside);
  EXPECT_EQ(files_->stop_of(*first, now_ + FollowedFiles::kPatience), CaptureFeed::Stop::kEnd);
  {
    std::ofstream more(path, std::ios::app);
    more << "a part of a packet";
  }
  files_->look(now_, true);
  EXPECT_EQ(files_->stop_of(*first, now_), CaptureFeed::Stop::kEnd) << "its writer has closed it";
}

TEST(FileMark, KnowsAFileThatHasGrownAndNotOneThatBeginsWithOtherBytes) {
  const Descriptor file = memory_file("0123");
  FileMark mark;
  mark.take(file.get());
  EXPECT_TRUE(mark.fits(file.get()));
  ASSERT_EQ(::pwrite(file.get(), "456", 3, 4), 3);
  EXPECT_TRUE(mark.fits(file.get()));
  // What it has grown by counts from then on.
  ASSERT_EQ(::pwrite(file.get(), "x", 1, 5), 1);
  EXPECT_FALSE(mark.fits(file.get()));
  ASSERT_EQ(::pwrite(file.get(), "5", 1, 5), 1);
  EXPECT_TRUE(mark.fits(file.get()));
  ASSERT_EQ(::ftruncate(file.get(), 6), 0);
  EXPECT_FALSE(mark.fits(file.get()));
}

TEST(FileTarget, IsAFileAFolderOrAPattern) {
  const TemporaryFolder folder;
  write_file(folder / "odd[1].pcap", "");
  using Kind = FileTarget::Kind;
  const auto target = [&](std::string_view name) { return file_target((folder / name).string()); };
  EXPECT_EQ(target("odd[1].pcap").kind, Kind::kFile) << "it is there";
  EXPECT_EQ(target("odd[2].pcap").kind, Kind::kPattern);
  EXPECT_EQ(target("later.pcap").kind, Kind::kFile);
  EXPECT_EQ(file_target(folder.path().string()).kind, Kind::kFolder);
  EXPECT_EQ(file_target("*.pcap").path_of("a.pcap"), "a.pcap");
  EXPECT_TRUE(file_target("*.pcap").matches("a.pcap"));
  EXPECT_FALSE(file_target("*.pcap").matches(".a.pcap"));
  EXPECT_TRUE(file_target("/nowhere/.*").matches(".a.pcap"));
  EXPECT_TRUE(problem_of(file_target("/nowhere/a")));
  EXPECT_FALSE(problem_of(target("later.pcap")));
}

}  // namespace
}  // namespace tcp_sniffer::followed_files_test
