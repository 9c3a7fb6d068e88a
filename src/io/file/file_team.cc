#include "io/file/file_team.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <exception>
#include <thread>
#include <utility>

namespace tcp_sniffer {

namespace {

// For a file that cannot be read in parts, because a plain file may have been replaced by a
// compressed one: the source reads it in its stage, about a part at a time.
constexpr int kBurstsPerBatch = 4;
// Rounds of waiting, of about 50 ns each, before the others' clocks are read, and then until they
// are compared.
constexpr uint32_t kRoundsUnwatched = 1000;
constexpr uint32_t kRoundsWatched = 3000;
// Finished lines leave after this long at the latest, even when they fill no block: a user may wait
// for the few messages of a large file.
constexpr int64_t kFlushEveryNs = 100'000'000;

int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return -1;
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("isb");  // about as long
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// A part of a file on its way: the place in the ring for every n-th number. The thread that has
// read the part with the expected number fills it. Any thread may then take it through its stages.
struct FileTeam::Batch {
  enum class State : uint8_t { kExpected, kFilling, kRead, kCut };

  explicit Batch(size_t shards, uint64_t number) : blocks(shards), used(shards) { expect(number); }

  // Acquire: with the state goes what was written before it.
  bool is(uint64_t number, State state) const {
    return tag.load(std::memory_order_acquire) == tag_of(number, state);
  }
  bool has(uint64_t number) const { return tag.load(std::memory_order_acquire) / 4 == number; }
  void set(uint64_t number, State state) {
    tag.store(tag_of(number, state), std::memory_order_release);
  }
  void expect(uint64_t number) { set(number, State::kExpected); }
  // False: another thread has read this part.
  bool begin_to_fill(uint64_t number) {
    uint64_t expected = tag_of(number, State::kExpected);
    return tag.compare_exchange_strong(expected, tag_of(number, State::kFilling),
                                       std::memory_order_acq_rel);
  }
  static uint64_t tag_of(uint64_t number, State state) {
    return number * 4 + static_cast<uint64_t>(state);
  }

  std::atomic<uint64_t> tag{0};  // four times the number, and the state
  FileParts::Chunk chunk;        // from kRead on, until it is cut
  // By shard: what it has to pass, and what it is done with. The shard's stage.
  std::vector<std::vector<PacketBlock*>> blocks;
  std::vector<std::vector<PacketBlock*>> used;
  std::atomic<size_t> shards_left{0};
  // The source's stage.
  std::vector<PacketBlock*> spare;
  size_t blocks_sent = 0;  // and not passed yet
  bool flush = false;      // finished lines must not wait
  bool is_last = false;    // the end of the input
};

struct FileTeam::Worker {
  // One piece more than batches: the source keeps the one it was given last.
  explicit Worker(size_t piece_size) : pieces(kBatches + 1, piece_size) {}

  PiecePool pieces;
  std::vector<uint64_t> numbers;  // that it has read, until they have passed every stage

  // What the others see of it: whether it wants to run, and the clock of its processor time.
  std::atomic<bool> wants_to_run{false};
  clockid_t clock = CLOCK_MONOTONIC;  // before wants_to_run
  // The clocks of all when it began to watch them, and the time.
  std::vector<int64_t> clocks_then;
  int64_t then_ns = 0;
};

// Blocks come from and go into the batch that is at the source.
class FileTeam::Lane final : public PacketLane {
 public:
  Lane(FileTeam& team, size_t shard) : team_(team), shard_(shard) {}

  PacketBlock* take(bool) override {
    std::vector<PacketBlock*>& spare = team_.inside_->spare;
    if (spare.empty()) {
      team_.blocks_.push_back(std::make_unique<PacketBlock>());
      return team_.blocks_.back().get();
    }
    PacketBlock* block = spare.back();
    spare.pop_back();
    return block;
  }
  PacketBlock* take_within(int64_t) override { return take(true); }
  void send(PacketBlock* block) override {
    in_flight_.fetch_add(1, std::memory_order_relaxed);
    Batch& batch = *team_.inside_;
    batch.blocks[shard_].push_back(block);
    const size_t most = kBlocksForSegments + kBlocksForShard * team_.lanes_.size();
    if (++batch.blocks_sent >= most) team_.make_room();
  }
  void give_back(PacketBlock* block) override {
    block->reset();
    block->free_arena();  // for a datagram in fragments, which are rare; one of the next is another
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
  }
  uint32_t in_flight() const override { return in_flight_.load(std::memory_order_relaxed); }

 private:
  FileTeam& team_;
  const size_t shard_;
  std::atomic<uint32_t> in_flight_{0};
};

FileTeam::FileTeam(const Parties& parties, uint32_t threads)
    : parties_(parties), shard_stages_(std::make_unique<Stage[]>(parties.shards.size())) {
  for (size_t i = 0; i < parties_.shards.size(); i++) {
    lanes_.push_back(std::make_unique<Lane>(*this, i));
  }
  for (uint32_t i = 0; i < threads; i++) {
    workers_.push_back(std::make_unique<Worker>(parties_.parts.piece_size()));
  }
  for (uint64_t number = 0; number < threads * kBatches; number++) {
    batches_.push_back(std::make_unique<Batch>(lanes_.size(), number));
  }
}

FileTeam::~FileTeam() = default;

FileTeam::Batch& FileTeam::batch_of(uint64_t number) const {
  return *batches_[number % batches_.size()];
}

void FileTeam::progress() {
  progress_.fetch_add(1, std::memory_order_release);
  progress_.notify_all();
}

std::vector<PacketLane*> FileTeam::lanes() const {
  std::vector<PacketLane*> lanes;
  for (const auto& lane : lanes_) lanes.push_back(lane.get());
  return lanes;
}

bool FileTeam::run(Dispatcher& dispatcher, const std::function<void(uint32_t)>& begin) {
  dispatcher_ = &dispatcher;
  std::vector<std::thread> others;
  others.reserve(workers_.size());
  try {
    for (uint32_t i = 1; i < workers_.size(); i++) {
      others.emplace_back([this, &begin, i] {
        begin(i);
        work(*workers_[i]);
      });
    }
  } catch (const std::exception&) {
    // The system has no more threads for this process: those that there are do all the work.
  }
  begin(0);
  work(*workers_[0]);
  for (std::thread& other : others) other.join();
  // What was read after the end.
  for (const auto& batch : batches_) {
    if (batch->chunk.piece != nullptr) batch->chunk.piece->release();
  }
  return !failed_.load(std::memory_order_relaxed);
}

void FileTeam::work(Worker& worker) noexcept {
  try {
    work_to_the_end(worker);
  } catch (const std::exception& error) {
    // Inside a stage, which no other thread can enter now.
    parties_.on_fault(error.what());
    failed_.store(true, std::memory_order_relaxed);
    finished_.store(true, std::memory_order_release);
    progress();
  }
}

void FileTeam::work_to_the_end(Worker& worker) {
  pthread_getcpuclockid(pthread_self(), &worker.clock);
  worker.wants_to_run.store(true, std::memory_order_release);
  uint32_t rounds = 0;
  bool helping = false;
  while (!finished_.load(std::memory_order_acquire)) {
    const uint32_t seen = progress_.load(std::memory_order_acquire);
    if (advance_own(worker)) {
      rounds = 0;
      helping = false;
    } else if (worker.numbers.empty()) {
      read(worker, parties_.parts.take());
    } else if (helping) {
      if (help(worker)) continue;
      worker.wants_to_run.store(false, std::memory_order_relaxed);
      progress_.wait(seen, std::memory_order_acquire);
      worker.wants_to_run.store(true, std::memory_order_release);
    } else if (rounds < kRoundsWatched) {
      if (rounds++ == kRoundsUnwatched) watch(worker);
      relax();
    } else {
      helping = somebody_stands_still(worker);
      rounds = 0;
    }
  }
  worker.wants_to_run.store(false, std::memory_order_relaxed);
}

void FileTeam::watch(Worker& worker) {
  worker.then_ns = nanoseconds(CLOCK_MONOTONIC);
  worker.clocks_then.clear();
  for (const auto& other : workers_) {
    const bool runs = other->wants_to_run.load(std::memory_order_acquire);
    worker.clocks_then.push_back(runs ? nanoseconds(other->clock) : -1);
  }
}

// Whether one of the others has wanted to run since `watch` and got less than half of the time. All
// asleep count as well: then only this one is left to do what there is.
bool FileTeam::somebody_stands_still(const Worker& worker) const {
  const int64_t time = nanoseconds(CLOCK_MONOTONIC) - worker.then_ns;
  bool nobody_runs = true;
  for (size_t i = 0; i < workers_.size(); i++) {
    const Worker& other = *workers_[i];
    if (&other == &worker || !other.wants_to_run.load(std::memory_order_acquire)) continue;
    nobody_runs = false;
    const int64_t then = worker.clocks_then[i];
    const int64_t now = nanoseconds(other.clock);
    if (then >= 0 && now >= 0 && now - then < time / 2) return true;
  }
  return nobody_runs;
}

// One step of a batch that it has read.
bool FileTeam::advance_own(Worker& worker) {
  std::erase_if(worker.numbers, [&](uint64_t number) { return !batch_of(number).has(number); });
  for (const uint64_t number : worker.numbers) {
    if (try_cut(number)) return true;
    for (size_t shard = 0; shard < lanes_.size(); shard++) {
      if (try_shard(shard, number)) return true;
    }
  }
  return false;
}

// Does the next work of a stage that no thread is in.
bool FileTeam::help(Worker& worker) {
  for (size_t shard = 0; shard < lanes_.size(); shard++) {
    if (try_shard(shard, shard_stages_[shard].number())) return true;
  }
  const uint64_t number = source_stage_.number();
  if (try_cut(number)) return true;
  // Perhaps a thread has taken this part and gets no processor to read it.
  if (!batch_of(number).is(number, Batch::State::kExpected)) return false;
  if (worker.numbers.size() >= kBatches || number >= parties_.parts.taken()) return false;
  read(worker, parties_.parts.part(number));
  return true;
}

void FileTeam::read(Worker& worker, const FileParts::Part& part) {
  FileParts::Chunk chunk;
  if (part.file != nullptr) {
    chunk = FileParts::read(part, worker.pieces.take(worker.pieces.piece_size()));
  }
  Batch& batch = batch_of(part.number);
  if (!batch.begin_to_fill(part.number)) {
    if (chunk.piece != nullptr) chunk.piece->release();
    return;
  }
  batch.chunk = std::move(chunk);
  batch.shards_left.store(lanes_.size(), std::memory_order_relaxed);
  batch.set(part.number, Batch::State::kRead);
  worker.numbers.push_back(part.number);
  progress();
}

// A batch keeps its number until it has passed every stage: so when it had the number, and the
// stage can be entered with it, the batch still has it.
bool FileTeam::try_cut(uint64_t number) {
  Batch& batch = batch_of(number);
  if (!batch.is(number, Batch::State::kRead) || !source_stage_.enter(number)) return false;
  if (ended_) return false;  // and no thread enters any more
  cut(batch);
  batch.set(number, Batch::State::kCut);
  source_stage_.leave();
  progress();
  return true;
}

// In the source's stage.
void FileTeam::cut(Batch& batch) {
  inside_ = &batch;
  for (std::vector<PacketBlock*>& used : batch.used) {
    batch.spare.insert(batch.spare.end(), used.begin(), used.end());
    used.clear();
  }
  batch.blocks_sent = 0;
  FileSource& source = parties_.source;
  source.offer(batch.chunk);
  batch.chunk.piece = nullptr;
  if (must_wait_) source.wait(1000);
  const auto stopped = [&] { return parties_.stop.load(std::memory_order_relaxed); };
  SourceStatus status = SourceStatus::kMore;
  for (int burst = 0; status == SourceStatus::kMore && !stopped(); burst++) {
    if (burst >= kBurstsPerBatch && !source.wants_parts()) break;
    status = source.poll(*dispatcher_);
  }
  must_wait_ = status == SourceStatus::kIdle && !source.wants_parts();
  const int64_t now_ns = nanoseconds(CLOCK_MONOTONIC);
  batch.flush = must_wait_ || now_ns - flushed_at_ns_ >= kFlushEveryNs;
  if (batch.flush) flushed_at_ns_ = now_ns;
  const bool failed = status == SourceStatus::kError;
  if (failed) failed_.store(true, std::memory_order_relaxed);
  ended_ = batch.is_last = failed || status == SourceStatus::kEnd || stopped();
  if (ended_) {
    dispatcher_->finish();
  } else {
    dispatcher_->flush();
  }
}

bool FileTeam::try_shard(size_t shard, uint64_t number) {
  Batch& batch = batch_of(number);
  if (!batch.is(number, Batch::State::kCut) || !shard_stages_[shard].enter(number)) return false;
  pass_shard(shard, batch);
  if (batch.flush) parties_.shards[shard]->output().flush();
  shard_stages_[shard].leave();
  if (batch.shards_left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (batch.is_last) finished_.store(true, std::memory_order_release);
    batch.expect(number + batches_.size());
  }
  progress();
  return true;
}

// In the shard's stage.
void FileTeam::pass_shard(size_t index, Batch& batch) {
  for (PacketBlock* block : batch.blocks[index]) {
    run_block(*parties_.shards[index], *block);
    lanes_[index]->give_back(block);
    batch.used[index].push_back(block);
  }
  batch.blocks[index].clear();
}

// In the source's stage: takes what the batch in it has so far through the shards, after all the
// batches before it. All of those are cut.
void FileTeam::make_room() {
  Batch& batch = *inside_;
  const uint64_t number = source_stage_.number();
  for (size_t shard = 0; shard < lanes_.size(); shard++) {
    if (batch.blocks[shard].empty()) continue;
    if (!enter_shard(shard, number)) return;
    pass_shard(shard, batch);
    shard_stages_[shard].step_out();
    std::vector<PacketBlock*>& used = batch.used[shard];
    batch.spare.insert(batch.spare.end(), used.begin(), used.end());
    used.clear();
  }
  batch.blocks_sent = 0;
}

// No other thread enters with this number, because its batch is not cut. False: a thread has failed
// inside the stage.
bool FileTeam::enter_shard(size_t shard, uint64_t number) {
  for (;;) {
    const uint32_t seen = progress_.load(std::memory_order_acquire);
    if (shard_stages_[shard].enter(number)) return true;
    if (finished_.load(std::memory_order_acquire)) return false;
    if (!try_shard(shard, shard_stages_[shard].number())) {
      progress_.wait(seen, std::memory_order_acquire);
    }
  }
}

}  // namespace tcp_sniffer
