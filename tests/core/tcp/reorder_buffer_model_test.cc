// The reorder buffer against an obviously right model.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <random>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "core/base/limits.h"
#include "core/tcp/reorder_buffer.h"
#include "support/repetitions.h"

namespace tcp_sniffer::reorder_buffer_model_test {
namespace {

constexpr size_t kPlenty = size_t{64} << 20;

// A byte that waits: what it is, and which segment brought it first.
struct ModelByte {
  bool lost = false;
  uint8_t value = 0;
  uint64_t frame = 0;
};

struct Model {
  std::map<uint64_t, ModelByte> bytes;

  ReorderBuffer::Result insert(uint64_t offset, std::span<const uint8_t> data, uint64_t lost,
                               uint64_t frame) {
    ReorderBuffer::Result result;
    for (uint64_t i = 0; i < data.size() + lost; i++) {
      const bool is_lost = i >= data.size();
      const ModelByte byte{is_lost, is_lost ? uint8_t{0} : data[static_cast<size_t>(i)], frame};
      auto [there, fresh] = bytes.emplace(offset + i, byte);
      if (is_lost) continue;
      if (!fresh && there->second.lost) {
        there->second = byte;
        fresh = true;
      }
      result.accepted += fresh;
      result.duplicate += !fresh;
      result.conflicting += !fresh && there->second.value != byte.value;
    }
    return result;
  }
  uint32_t range_count() const {
    uint32_t count = 0;
    uint64_t next = 0;
    for (const auto& [offset, byte] : bytes) {
      if (count == 0 || offset != next) count++;
      next = offset + 1;
    }
    return count;
  }
  // Stretches that one segment brought.
  uint64_t runs() const {
    uint64_t count = 0;
    uint64_t next = 0;
    ModelByte last;
    for (const auto& [offset, byte] : bytes) {
      count += count == 0 || offset != next || byte.frame != last.frame || byte.lost != last.lost;
      next = offset + 1;
      last = byte;
    }
    return count;
  }
  uint64_t buffered() const {
    uint64_t count = 0;
    for (const auto& [offset, byte] : bytes) count += !byte.lost;
    return count;
  }
  uint64_t front_end() const {
    uint64_t end = bytes.begin()->first;
    for (const auto& [offset, byte] : bytes) {
      if (offset != end) break;
      end++;
    }
    return end;
  }
};

struct RunOptions {
  uint64_t window = 200;  // how far ahead of the head segments start
  uint64_t places = 0;    // of that, this many starts only; 0 = all
  uint64_t size_max = 40;
  uint64_t capacity_max = 4096;
  uint32_t steps = 150;
  bool conflicts = true;  // copies of a byte may differ
  bool snaplen = true;
  uint64_t cut_of_ten = 2;  // with snaplen: segments of ten that were cut
};

void run_against_model(uint64_t seed, const RunOptions& options) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  const auto below = [&](uint64_t n) { return random() % n; };
  BufferPool pool(kPlenty);
  Model model;
  {
    ReorderBuffer buffer(pool);
    uint64_t head = 1'000'000;
    uint64_t most_buffered = 0;
    uint64_t most_runs = 0;
    for (uint32_t step = 0; step < options.steps; step++) {
      if (below(4) != 0) {
        uint64_t offset = head + below(options.window);
        if (options.places > 0) {
          const uint64_t grid = options.window / options.places;
          offset = std::max(head, offset / grid * grid + below(options.size_max));
        }
        std::vector<uint8_t> data(static_cast<size_t>(below(options.size_max)));
        for (size_t i = 0; i < data.size(); i++) {
          data[i] = static_cast<uint8_t>(options.conflicts ? below(2) : (offset + i) % 251);
        }
        const uint64_t lost =
            options.snaplen && below(10) < options.cut_of_ten ? below(options.size_max) : 0;
        SegmentMeta meta;
        meta.frame = step;
        const uint64_t end = offset + data.size() + lost;
        const uint64_t live_end =
            model.bytes.empty() ? end : std::max(end, model.bytes.rbegin()->first + 1);
        Model after = model;
        const auto expected = after.insert(offset, data, lost, step);
        const auto result = buffer.insert(offset, data, lost, head, meta, options.capacity_max);
        if (result.full) {
          ASSERT_TRUE(live_end - head > options.capacity_max || after.range_count() > kRangesMax);
        } else {
          ASSERT_EQ(result.accepted, expected.accepted);
          ASSERT_EQ(result.duplicate, expected.duplicate);
          ASSERT_EQ(result.conflicting, expected.conflicting);
          model = std::move(after);
        }
        most_buffered = std::max(most_buffered, model.buffered() + data.size());
        most_runs = std::max(most_runs, model.runs());
      } else if (!model.bytes.empty()) {
        head = model.bytes.begin()->first;  // the hole was given up
        const ReorderBuffer::Run run = buffer.front_run();
        const auto size = static_cast<uint32_t>(1 + below(run.size));
        for (uint32_t i = 0; i < run.size; i++) {
          const auto there = model.bytes.find(head + i);
          ASSERT_NE(there, model.bytes.end());
          ASSERT_EQ(run.lost, there->second.lost);
          ASSERT_EQ(run.meta.frame, there->second.frame);
          if (!run.lost) {
            ASSERT_EQ(run.data[i], there->second.value);
          }
        }
        buffer.consume(size);
        model.bytes.erase(model.bytes.begin(), model.bytes.lower_bound(head + size));
        head += size;
      }
      buffer.check_invariants();
      // Some times the bytes, to the next power of two; each segment its mark and its place.
      ASSERT_LE(buffer.held_bytes(), 1024 + 8 * most_buffered + 200 * most_runs);
      ASSERT_EQ(buffer.empty(), model.bytes.empty());
      ASSERT_EQ(buffer.range_count(), model.range_count());
      ASSERT_EQ(buffer.buffered_bytes(), model.buffered());
      if (!model.bytes.empty()) {
        ASSERT_EQ(buffer.front(), model.bytes.begin()->first);
        ASSERT_EQ(buffer.front_end(), model.front_end());
      }
    }
  }
  ASSERT_EQ(pool.used_bytes(), 0u);
}

void run_seeds(uint64_t count, const RunOptions& options) {
  for (uint64_t seed = 0; seed < seeds(count) && !testing::Test::HasFailure(); seed++) {
    run_against_model(seed, options);
  }
}

TEST(ReorderBufferModel, AgreesOnDenselyOverlappingSegments) {
  run_seeds(1500, {});
}

TEST(ReorderBufferModel, AgreesOnSparseSegments) {
  run_seeds(200, {.window = 3000, .size_max = 20});
}

TEST(ReorderBufferModel, AgreesOnSegmentsMegabytesApart) {
  run_seeds(300, {.window = 4u << 20, .places = 20, .size_max = 40, .capacity_max = 5u << 20});
}

TEST(ReorderBufferModel, AgreesOnManySegmentsOfWhichMostWereCutOff) {
  run_seeds(300, {.window = 400, .size_max = 60, .steps = 300, .cut_of_ten = 8});
}

TEST(ReorderBufferModel, AgreesWhenTheCapacityIsSmall) {
  run_seeds(1000, {.window = 400, .size_max = 100, .capacity_max = 300});
}

TEST(ReorderBufferModel, AgreesAtTheMostRanges) {
  run_seeds(5, {.window = 4000, .size_max = 3, .capacity_max = 8192, .steps = 1500});
}

TEST(ReorderBufferModel, AgreesWithoutConflictsAndCuts) {
  run_seeds(500, {.conflicts = false, .snaplen = false});
}

}  // namespace
}  // namespace tcp_sniffer::reorder_buffer_model_test
