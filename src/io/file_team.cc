#include "io/file_team.h"

#include <thread>

namespace tcp_sniffer {

namespace {

// A part in work, and the one before it, whose end the source still needs.
constexpr size_t kPiecesPerWorker = 2;
// Of a source that reads in its turn (standard input, compressed files): about a part.
constexpr int kBurstsPerGo = 4;
// About 50 microseconds: sleeping and being woken costs as much.
constexpr int kSpins = 1000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

void Turn::wait_for(uint64_t number) const {
  for (int i = 0; i < kSpins; i++) {
    if (is_at(number)) return;
    relax();
  }
  const auto wanted = static_cast<uint32_t>(number);
  for (uint32_t seen = now(); seen != wanted; seen = now()) {
    now_.wait(seen, std::memory_order_acquire);
  }
}

// One of the threads, and what is in its cache.
struct FileTeam::Worker {
  Worker(size_t piece_size, size_t shards) : pieces(kPiecesPerWorker, piece_size), work(shards) {}

  PiecePool pieces;
  std::vector<PacketBlock*> free;
  std::vector<std::vector<PacketBlock*>> work;  // of this go, by shard
  std::vector<size_t> open;                     // shards whose turn was not there yet
  bool had_nothing = false;                     // in this go the source ran dry
};

// Blocks come from and go to the thread that has the source's turn.
class FileTeam::Lane final : public PacketLane {
 public:
  Lane(FileTeam& team, size_t shard) : team_(team), shard_(shard) {}

  PacketBlock* take(bool) override {
    std::vector<PacketBlock*>& free = team_.holder_->free;
    if (free.empty()) {
      team_.blocks_.push_back(std::make_unique<PacketBlock>());
      return team_.blocks_.back().get();
    }
    PacketBlock* block = free.back();
    free.pop_back();
    return block;
  }
  PacketBlock* take_within(int64_t) override { return take(true); }
  void send(PacketBlock* block) override {
    in_flight_.fetch_add(1, std::memory_order_relaxed);
    team_.holder_->work[shard_].push_back(block);
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
    : parties_(parties), shard_turns_(std::make_unique<Turn[]>(parties.shards.size())) {
  for (size_t i = 0; i < parties_.shards.size(); i++) {
    lanes_.push_back(std::make_unique<Lane>(*this, i));
  }
  for (uint32_t i = 0; i < threads; i++) {
    workers_.push_back(std::make_unique<Worker>(parties_.parts.piece_size(), lanes_.size()));
  }
}

FileTeam::~FileTeam() = default;

std::vector<PacketLane*> FileTeam::lanes() const {
  std::vector<PacketLane*> lanes;
  for (const auto& lane : lanes_) lanes.push_back(lane.get());
  return lanes;
}

bool FileTeam::run(Dispatcher& dispatcher, const std::function<void(uint32_t)>& begin) {
  std::vector<std::thread> others;
  for (uint32_t i = 1; i < workers_.size(); i++) {
    others.emplace_back([this, &dispatcher, &begin, i] {
      begin(i);
      work(*workers_[i], dispatcher);
    });
  }
  work(*workers_[0], dispatcher);
  for (std::thread& other : others) other.join();
  return !failed_;
}

void FileTeam::work(Worker& worker, Dispatcher& dispatcher) {
  for (bool ended = false; !ended;) {
    const FileParts::Part part = parties_.parts.take();
    const FileParts::Chunk chunk = read_part(worker, part);
    source_turn_.wait_for(part.number);
    holder_ = &worker;
    cut(chunk, dispatcher);
    ended = ended_;
    worker.had_nothing = must_wait_;
    source_turn_.pass();
    process(worker, part.number);
  }
}

FileParts::Chunk FileTeam::read_part(Worker& worker, const FileParts::Part& part) {
  if (part.file == nullptr) return {};
  CapturePiece* piece = worker.pieces.take(worker.pieces.piece_size());
  while (piece == nullptr) {
    worker.pieces.wait(worker.pieces.piece_size(), 100);
    piece = worker.pieces.take(worker.pieces.piece_size());
  }
  return FileParts::read(part, piece);
}

// In the source's turn.
void FileTeam::cut(const FileParts::Chunk& chunk, Dispatcher& dispatcher) {
  FileSource& source = parties_.source;
  source.offer(chunk);
  if (ended_) return;
  if (must_wait_) source.wait(1000);
  must_wait_ = false;
  SourceStatus status = SourceStatus::kMore;
  for (int burst = 0; status == SourceStatus::kMore; burst++) {
    if (parties_.stop.load(std::memory_order_relaxed)) break;
    if (burst >= kBurstsPerGo && !source.wants_parts()) break;
    status = source.poll(dispatcher);
  }
  must_wait_ = status == SourceStatus::kIdle && !source.wants_parts();
  failed_ = status == SourceStatus::kError;
  ended_ = failed_ || status == SourceStatus::kEnd || parties_.stop.load(std::memory_order_relaxed);
  if (ended_) {
    dispatcher.finish();
  } else {
    dispatcher.flush();
  }
}

// Takes this go's segments through the shards, whichever turn comes first.
void FileTeam::process(Worker& worker, uint64_t number) {
  const auto at_turn = [&](size_t index) {
    Shard& shard = *parties_.shards[index];
    for (PacketBlock* block : worker.work[index]) {
      shard.process(*block);
      if (block->order == BlockOrder::kEnd) {
        shard.drain();
        shard.output().flush();
      }
      lanes_[index]->give_back(block);
      worker.free.push_back(block);
    }
    worker.work[index].clear();
    if (worker.had_nothing) shard.output().flush();
    shard_turns_[index].pass();
  };
  worker.open.clear();
  for (size_t i = 0; i < lanes_.size(); i++) worker.open.push_back(i);
  while (!worker.open.empty()) {
    const size_t before = worker.open.size();
    std::erase_if(worker.open, [&](size_t index) {
      const bool ready = shard_turns_[index].is_at(number);
      if (ready) at_turn(index);
      return ready;
    });
    if (worker.open.size() == before) shard_turns_[worker.open.front()].wait_for(number);
  }
}

}  // namespace tcp_sniffer
