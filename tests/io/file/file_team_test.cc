#include "io/file/file_team.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "shard/pin_thread.h"
#include "support/capture_files.h"
#include "support/capture_maker.h"
#include "support/content_coders.h"
#include "support/run_program.h"
#include "support/shard_harness.h"

namespace tcp_sniffer::file_team_test {
namespace {

using shard_harness::RecordedEvents;

// Parts of 2 KiB: a capture of a few kilobytes is in work in all threads at once.
constexpr size_t kSmallPiece = FileParts::kHeadroom + 2048;

// A whole run over files, with what the engine has around it.
class TeamRun {
 public:
  TeamRun(const std::vector<std::string>& paths, uint32_t threads, uint32_t shards)
      : pool_(8, 4096), parts_(kSmallPiece), census_(shards) {
    const ShardSettings settings;  // every port
    for (uint32_t i = 0; i < shards; i++) {
      shards_.push_back(
          std::make_unique<Shard>(i, settings, census_, queue_, true, events_.emplace_back()));
    }
    source_ = std::make_unique<FileSource>(paths, pool_, &parts_);
    team_ = std::make_unique<FileTeam>(FileTeam::Parties{*source_, parts_, shards_, stop_, {}},
                                       threads);
    dispatcher_ = std::make_unique<Dispatcher>(DispatcherSettings{}, team_->lanes(), nullptr);
  }
  ~TeamRun() { source_.reset(); }

  // To the end; whether the source failed. The lines are taken by a thread, as the writer does.
  bool read(
      const std::function<void()>& before_taking = [] {},
      const std::function<void(uint32_t)>& begin = [](uint32_t) {}) {
    std::atomic<bool> done{false};
    std::thread writer([&] {
      before_taking();
      while (!done.load(std::memory_order_acquire) || queue_.size_approx() > 0) take_lines();
    });
    const bool good = team_->run(*dispatcher_, [&](uint32_t index) {
      begun_++;
      begin(index);
    });
    done.store(true, std::memory_order_release);
    writer.join();
    std::sort(lines_.begin(), lines_.end());
    return good;
  }

  const std::vector<std::string>& lines() const { return lines_; }
  uint32_t begun() const { return begun_; }
  size_t blocks_made() const { return team_->blocks_made(); }
  std::string error() const { return source_->problem().message(); }
  Dispatcher& dispatcher() { return *dispatcher_; }
  FileSource& source() { return *source_; }
  std::atomic<bool>& stop() { return stop_; }
  uint32_t in_flight() const {
    uint32_t sum = 0;
    for (const PacketLane* lane : team_->lanes()) sum += lane->in_flight();
    return sum;
  }
  uint64_t count(ShardCounter counter) const {
    uint64_t sum = 0;
    for (const auto& shard : shards_) sum += shard->counters().get(counter);
    return sum;
  }

 private:
  void take_lines() {
    LineBlock* block = nullptr;
    if (!queue_.wait_dequeue_timed(block, 1000)) return;
    std::string_view text(block->data, block->used);
    while (!text.empty()) {
      const size_t end = text.find('\n');
      lines_.emplace_back(text.substr(0, end));
      text.remove_prefix(end + 1);
    }
    block->owner->give_back(block);
  }

  PiecePool pool_;
  FileParts parts_;
  ConnectionCensus census_;
  LineQueue queue_;
  std::deque<RecordedEvents> events_;
  std::vector<std::unique_ptr<Shard>> shards_;
  std::atomic<bool> stop_{false};
  std::unique_ptr<FileSource> source_;
  std::unique_ptr<FileTeam> team_;
  std::unique_ptr<Dispatcher> dispatcher_;
  std::atomic<uint32_t> begun_{0};
  std::vector<std::string> lines_;
};

std::vector<std::string> recorded_captures() {
  std::vector<std::string> paths;
  for (const auto& path : captures_in(source_dir() / "pcaps")) paths.push_back(path.string());
  return paths;
}

// The lines of the reference: one thread, one shard.
std::vector<std::string> lines_of_one(const std::vector<std::string>& paths) {
  TeamRun run(paths, 1, 1);
  EXPECT_TRUE(run.read()) << run.error();
  return run.lines();
}

TEST(FileTeam, EveryNumberOfThreadsAndShardsGivesTheSameLines) {
  for (const std::string& path : recorded_captures()) {
    SCOPED_TRACE(path);
    const std::vector<std::string> expected = lines_of_one({path});
    for (const auto& [threads, shards] : {std::pair{2u, 1u}, {2u, 2u}, {3u, 4u}, {5u, 3u}}) {
      SCOPED_TRACE(testing::Message() << threads << " threads, " << shards << " shards");
      TeamRun run({path}, threads, shards);
      ASSERT_TRUE(run.read()) << run.error();
      EXPECT_EQ(run.begun(), threads);
      EXPECT_EQ(run.lines(), expected);
      EXPECT_EQ(run.in_flight(), 0u);
      EXPECT_EQ(run.count(ShardCounter::connections_open), 0u);
      EXPECT_EQ(run.count(ShardCounter::segments),
                run.dispatcher().counters().get(FrameCounter::dispatched));
    }
  }
}

TEST(FileTeam, SeveralFilesAreOneRun) {
  const std::vector<std::string> paths = recorded_captures();
  TeamRun one(paths, 1, 1);
  ASSERT_TRUE(one.read()) << one.error();
  TeamRun several(paths, 3, 3);
  ASSERT_TRUE(several.read()) << several.error();
  EXPECT_GT(one.lines().size(), paths.size());
  EXPECT_EQ(several.lines(), one.lines());
  uint64_t bytes = 0;
  for (const std::string& path : paths) bytes += std::filesystem::file_size(path);
  EXPECT_EQ(several.source().bytes_read(), bytes);
}

using FileTeamWithFiles = CaptureFileTest;

TEST_F(FileTeamWithFiles, ACompressedFileAmongOthersIsReadInTheSourcesStage) {
  const std::string plain = (source_dir() / "pcaps" / "site_and_api.pcap").string();
  const std::string packed = content_coders::gzip(content_of(std::filesystem::path(plain)));
  const std::string between = write("between.pcap.gz", {packed.begin(), packed.end()});
  TeamRun one({plain, plain, plain}, 1, 1);
  ASSERT_TRUE(one.read()) << one.error();
  TeamRun several({plain, between, plain}, 3, 2);
  ASSERT_TRUE(several.read()) << several.error();
  EXPECT_FALSE(several.lines().empty());
  EXPECT_EQ(several.lines(), one.lines());
}

TEST_F(FileTeamWithFiles, WhatComesBeforeACutIsDeliveredAndTheRunFails) {
  const std::string whole = content_of(source_dir() / "pcaps" / "pipelining.pcap");
  const Bytes bytes(whole.begin(), whole.end() - 5);
  const std::string path = write("cut.pcap", bytes);
  TeamRun one({path}, 1, 1);
  EXPECT_FALSE(one.read());
  TeamRun several({path}, 4, 2);
  EXPECT_FALSE(several.read());
  EXPECT_NE(several.error(), "");
  EXPECT_EQ(several.error(), one.error());
  EXPECT_FALSE(several.lines().empty());
  EXPECT_EQ(several.lines(), one.lines());
  EXPECT_EQ(several.count(ShardCounter::connections_open), 0u);
}

// Each jump of packet time is told to every shard, in a block of its own.
TEST_F(FileTeamWithFiles, PacketsThatJumpInTimeMakeNoMoreBlocksThanABatchMayHave) {
  constexpr uint32_t kThreads = 3;
  constexpr uint32_t kShards = 8;
  constexpr uint64_t kJumpUs = 2 * 3600 * uint64_t{1'000'000};
  CaptureMaker maker;
  for (int jump = 0; jump < 300; jump++) {
    maker.wait_us(kJumpUs);
    for (uint32_t packet = 0; packet < kClockJumpPackets; packet++) maker.frame("");
    if (jump % 50 != 0) continue;
    CaptureMaker::Connection connection = maker.open();
    maker.exchange(connection, "/" + std::to_string(jump), "body");
    maker.close(connection);
  }
  const std::string path = write("jumps.pcap", {maker.bytes().begin(), maker.bytes().end()});
  TeamRun one({path}, 1, 1);
  ASSERT_TRUE(one.read()) << one.error();
  TeamRun several({path}, kThreads, kShards);
  ASSERT_TRUE(several.read()) << several.error();
  EXPECT_EQ(several.dispatcher().counters().get(FrameCounter::clock_jumps), 299u);
  EXPECT_EQ(several.lines(), one.lines());
  EXPECT_EQ(several.lines().size(), 12u);
  EXPECT_EQ(several.in_flight(), 0u);
  const size_t of_a_batch = FileTeam::kBlocksForSegments + FileTeam::kBlocksForShard * kShards;
  EXPECT_LE(several.blocks_made(), kThreads * FileTeam::kBatches * of_a_batch);
}

// More lines than a shard has blocks for, so that the team stands still until they are taken.
std::vector<std::string> much_to_read() {
  std::vector<std::string> paths;
  for (int i = 0; i < 40; i++) {
    for (const std::string& path : recorded_captures()) paths.push_back(path);
  }
  return paths;
}

TEST(FileTeam, AStopEndsTheRunInOrder) {
  TeamRun one(much_to_read(), 1, 1);
  ASSERT_TRUE(one.read());
  TeamRun stopped(much_to_read(), 3, 2);
  EXPECT_TRUE(stopped.read([&] {
    while (stopped.source().bytes_read() == 0) std::this_thread::yield();
    stopped.stop() = true;
  }));
  const FrameCounters& counters = stopped.dispatcher().counters();
  EXPECT_LT(counters.get(FrameCounter::received),
            one.dispatcher().counters().get(FrameCounter::received));
  EXPECT_EQ(stopped.count(ShardCounter::segments), counters.get(FrameCounter::dispatched));
  EXPECT_EQ(stopped.count(ShardCounter::connections_open), 0u);
  EXPECT_EQ(stopped.in_flight(), 0u);
}

TEST(FileTeam, AnOutputThatIsNotReadHoldsTheTeamAndCostsNothing) {
  TeamRun one(much_to_read(), 1, 1);
  ASSERT_TRUE(one.read());
  TeamRun several(much_to_read(), 3, 1);
  ASSERT_TRUE(several.read([&] {
    EXPECT_TRUE(until_still([&] { return several.source().bytes_read(); }));
    EXPECT_LT(several.source().bytes_read(), one.source().bytes_read());
  }));
  EXPECT_EQ(several.lines(), one.lines());
}

// Each of them stands still most of the time, so the others take over what it does not get to.
TEST(FileTeam, ThreadsThatShareOneProcessorGiveTheSameLines) {
  TeamRun one(much_to_read(), 1, 1);
  ASSERT_TRUE(one.read());
  const auto pinned = [](uint32_t) { pin_thread(pthread_self(), sched_getcpu()); };
  std::thread pinned_thread([&] {
    pinned(0);
    TeamRun several(much_to_read(), 4, 3);
    EXPECT_TRUE(several.read([] {}, pinned)) << several.error();
    EXPECT_EQ(several.lines(), one.lines());
    EXPECT_EQ(several.in_flight(), 0u);
  });
  pinned_thread.join();
}

TEST(Stage, IsPassedInOrderByOneAtATime) {
  Stage stage;
  EXPECT_FALSE(stage.enter(1));
  ASSERT_TRUE(stage.enter(0));
  EXPECT_EQ(stage.number(), 0u);
  EXPECT_FALSE(stage.enter(0)) << "somebody is inside";
  EXPECT_FALSE(stage.enter(1));
  stage.leave();
  EXPECT_EQ(stage.number(), 1u);
  constexpr uint64_t kLast = 3000;
  uint64_t seen = 1;  // guarded by the stage
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; i++) {
    threads.emplace_back([&] {
      for (uint64_t next = stage.number(); next <= kLast; next = stage.number()) {
        if (!stage.enter(next)) {
          std::this_thread::yield();
          continue;
        }
        EXPECT_EQ(seen++, next);
        stage.leave();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(seen, kLast + 1);
}

}  // namespace
}  // namespace tcp_sniffer::file_team_test
