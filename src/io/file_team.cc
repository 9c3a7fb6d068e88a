#include "io/file_team.h"

#include <pthread.h>

#include <algorithm>
#include <ctime>
#include <system_error>
#include <thread>

namespace tcp_sniffer {

namespace {

// Of a file that cannot be read in parts, for one that was plain may have been replaced by a
// compressed one: the source reads it in its stage, about a part at a time.
constexpr int kBurstsPerBatch = 4;
// Rounds of waiting, of about 50 ns each, before the others' clocks are read, and then until they
// are compared.
constexpr uint32_t kRoundsUnwatched = 1000;
constexpr uint32_t kRoundsWatched = 3000;

int64_t nanoseconds(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) return -1;
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// A part of a file on its way. It belongs to the thread that read it; the stages that it has to
// pass are anybody's.
struct FileTeam::Batch {
  enum class State : uint8_t { kFree, kRead, kCut };

  struct ShardWork {
    std::vector<PacketBlock*> blocks;
    std::vector<PacketBlock*> spare;  // for the next time
  };

  explicit Batch(size_t shards) : work(shards) {}
  bool is(uint64_t its_number, State its_state) const {
    return state.load(std::memory_order_acquire) == its_state &&
           number.load(std::memory_order_relaxed) == its_number;
  }

  std::atomic<State> state{State::kFree};
  std::atomic<uint64_t> number{0};
  FileParts::Chunk chunk;       // until it is cut
  std::vector<ShardWork> work;  // by shard
  bool had_nothing = false;     // the source ran dry in it
  bool is_last = false;         // the end of the input
  std::atomic<size_t> shards_left{0};
};

struct FileTeam::Worker {
  // One piece more than batches: the source keeps the one it was given last.
  Worker(size_t piece_size, size_t shards) : pieces(kBatches + 1, piece_size) {
    for (size_t i = 0; i < kBatches; i++) batches.push_back(std::make_unique<Batch>(shards));
  }

  PiecePool pieces;
  std::vector<std::unique_ptr<Batch>> batches;
  std::vector<Batch*> active;  // by number

  // What the others see of it: whether it wants to run, and the clock of its processor time.
  std::atomic<bool> wants_to_run{false};
  clockid_t clock = CLOCK_MONOTONIC;  // before wants_to_run
  // The clocks of all when it began to watch them, and the time.
  std::vector<int64_t> clocks_then;
  int64_t then_ns = 0;
};

// Where the batch with a number is found.
class FileTeam::Slot {
 public:
  enum class Put : uint8_t { kDone, kTooLate, kTooEarly };

  void expect(uint64_t number) { tag_.store(number * 4, std::memory_order_release); }
  // kTooLate: somebody else has put the batch of this number there. kTooEarly: the one before it is
  // still about to leave.
  Put put(uint64_t number, Batch* batch) {
    uint64_t tag = number * 4;
    if (!tag_.compare_exchange_strong(tag, number * 4 + kFilling, std::memory_order_acq_rel)) {
      return tag < number * 4 ? Put::kTooEarly : Put::kTooLate;
    }
    batch_.store(batch, std::memory_order_relaxed);
    tag_.store(number * 4 + kThere, std::memory_order_release);
    return Put::kDone;
  }
  // nullptr: it is not there, yet or any more. It may leave at any time.
  Batch* find(uint64_t number) const {
    if (tag_.load(std::memory_order_acquire) != number * 4 + kThere) return nullptr;
    return batch_.load(std::memory_order_relaxed);
  }

 private:
  static constexpr uint64_t kFilling = 1;
  static constexpr uint64_t kThere = 2;

  std::atomic<uint64_t> tag_{0};  // four times the number it is for, and how far that is
  std::atomic<Batch*> batch_{nullptr};
};

// Blocks come from and go into the batch that is at the source.
class FileTeam::Lane final : public PacketLane {
 public:
  Lane(FileTeam& team, size_t shard) : team_(team), shard_(shard) {}

  PacketBlock* take(bool) override {
    std::vector<PacketBlock*>& spare = team_.inside_->work[shard_].spare;
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
    team_.inside_->work[shard_].blocks.push_back(block);
  }
  void give_back(PacketBlock* block) override {
    block->reset();
    in_flight_.fetch_sub(1, std::memory_order_relaxed);
  }
  uint32_t in_flight() const override { return in_flight_.load(std::memory_order_relaxed); }

 private:
  FileTeam& team_;
  const size_t shard_;
  std::atomic<uint32_t> in_flight_{0};
};

FileTeam::FileTeam(Parties parties, uint32_t threads)
    : parties_(parties),
      slot_count_(threads * kBatches),
      shard_stages_(std::make_unique<Stage[]>(parties.shards.size())) {
  for (size_t i = 0; i < parties_.shards.size(); i++) {
    lanes_.push_back(std::make_unique<Lane>(*this, i));
  }
  for (uint32_t i = 0; i < threads; i++) {
    workers_.push_back(std::make_unique<Worker>(parties_.parts.piece_size(), lanes_.size()));
  }
  slots_ = std::make_unique<Slot[]>(slot_count_);
  for (uint64_t number = 0; number < slot_count_; number++) slots_[number].expect(number);
}

FileTeam::~FileTeam() = default;

FileTeam::Slot& FileTeam::slot_of(uint64_t number) {
  return slots_[number % slot_count_];
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
  try {
    for (uint32_t i = 1; i < workers_.size(); i++) {
      others.emplace_back([this, &begin, i] {
        begin(i);
        work(*workers_[i]);
      });
    }
  } catch (const std::system_error&) {
    // The system has no more threads for this process: those that there are do all the work.
  }
  work(*workers_[0]);
  for (std::thread& other : others) other.join();
  // What was read behind the end.
  for (const auto& worker : workers_) {
    for (Batch* batch : worker->active) {
      if (batch->chunk.piece != nullptr) batch->chunk.piece->release();
    }
    worker->active.clear();
  }
  return !failed_;
}

void FileTeam::work(Worker& worker) {
  pthread_getcpuclockid(pthread_self(), &worker.clock);
  worker.wants_to_run.store(true, std::memory_order_release);
  uint32_t rounds = 0;
  bool helping = false;
  while (!finished_.load(std::memory_order_acquire)) {
    const uint32_t seen = progress_.load(std::memory_order_acquire);
    if (advance_own(worker)) {
      rounds = 0;
      helping = false;
    } else if (worker.active.empty()) {
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

// One step of a batch of its own, of the oldest that can go on.
bool FileTeam::advance_own(Worker& worker) {
  std::erase_if(worker.active, [](const Batch* batch) {
    return batch->state.load(std::memory_order_acquire) == Batch::State::kFree;
  });
  for (Batch* batch : worker.active) {
    const uint64_t number = batch->number.load(std::memory_order_relaxed);
    if (try_cut(*batch, number)) return true;
    for (size_t shard = 0; shard < lanes_.size(); shard++) {
      if (try_shard(shard, *batch, number)) return true;
    }
  }
  return false;
}

// Whatever is next at a stage that nobody is inside of.
bool FileTeam::help(Worker& worker) {
  for (size_t shard = 0; shard < lanes_.size(); shard++) {
    const uint64_t number = shard_stages_[shard].number();
    Batch* batch = slot_of(number).find(number);
    if (batch != nullptr && try_shard(shard, *batch, number)) return true;
  }
  const uint64_t number = source_stage_.number();
  if (Batch* batch = slot_of(number).find(number)) return try_cut(*batch, number);
  // Somebody has taken this part and does not get to read it.
  if (worker.active.size() >= kBatches || number >= parties_.parts.taken()) return false;
  read(worker, parties_.parts.part(number));
  return true;
}

void FileTeam::read(Worker& worker, const FileParts::Part& part) {
  const auto free = std::find_if(
      worker.batches.begin(), worker.batches.end(), [](const std::unique_ptr<Batch>& batch) {
        return batch->state.load(std::memory_order_acquire) == Batch::State::kFree;
      });
  Batch& batch = **free;
  batch.chunk = {};
  if (part.file != nullptr) {
    batch.chunk = FileParts::read(part, worker.pieces.take(worker.pieces.piece_size()));
  }
  batch.number.store(part.number, std::memory_order_relaxed);
  batch.shards_left.store(lanes_.size(), std::memory_order_relaxed);
  batch.state.store(Batch::State::kRead, std::memory_order_relaxed);
  Slot::Put put = slot_of(part.number).put(part.number, &batch);
  for (; put == Slot::Put::kTooEarly; put = slot_of(part.number).put(part.number, &batch)) {
    std::this_thread::yield();
  }
  if (put == Slot::Put::kDone) {
    worker.active.push_back(&batch);
    progress();
  } else {
    if (batch.chunk.piece != nullptr) batch.chunk.piece->release();
    batch.state.store(Batch::State::kFree, std::memory_order_relaxed);
  }
}

// A batch keeps its number until it has passed every stage: so when it had the number, and the
// stage can be entered with it, the batch still has it.
bool FileTeam::try_cut(Batch& batch, uint64_t number) {
  if (!batch.is(number, Batch::State::kRead) || !source_stage_.enter(number)) return false;
  if (ended_) return false;  // and nobody enters any more
  cut(batch);
  batch.state.store(Batch::State::kCut, std::memory_order_release);
  source_stage_.leave();
  progress();
  return true;
}

// In the source's stage.
void FileTeam::cut(Batch& batch) {
  inside_ = &batch;
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
  batch.had_nothing = must_wait_;
  failed_ = status == SourceStatus::kError;
  ended_ = batch.is_last = failed_ || status == SourceStatus::kEnd || stopped();
  if (ended_) {
    dispatcher_->finish();
  } else {
    dispatcher_->flush();
  }
}

bool FileTeam::try_shard(size_t shard, Batch& batch, uint64_t number) {
  if (!batch.is(number, Batch::State::kCut) || !shard_stages_[shard].enter(number)) return false;
  pass_shard(shard, batch);
  shard_stages_[shard].leave();
  if (batch.shards_left.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    if (batch.is_last) finished_.store(true, std::memory_order_release);
    slot_of(number).expect(number + slot_count_);
    batch.state.store(Batch::State::kFree, std::memory_order_release);
  }
  progress();
  return true;
}

// In the shard's stage.
void FileTeam::pass_shard(size_t index, Batch& batch) {
  Shard& shard = *parties_.shards[index];
  Batch::ShardWork& work = batch.work[index];
  for (PacketBlock* block : work.blocks) {
    run_block(shard, *block);
    lanes_[index]->give_back(block);
    work.spare.push_back(block);
  }
  work.blocks.clear();
  if (batch.had_nothing) shard.output().flush();
}

}  // namespace tcp_sniffer
