// Heads and trailer sections: what is read does not depend on how the bytes are cut, and every view
// lies in the bytes.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "core/http/head.h"
#include "fuzz_input.h"

namespace tcp_sniffer::fuzz {
namespace {

using Read = HeadStatus (HeadReader::*)(std::string_view, HeadProgress&, HttpHead&);

struct Result {
  HeadStatus status = HeadStatus::kIncomplete;
  StartLine start;
  size_t size = 0;
  Anomalies anomalies;
  bool irregular = false;
  std::vector<std::pair<std::string, std::string>> fields;
  size_t read_at = 0;  // bytes there were when the status was known
};

bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

void keep(const HttpHead& head, std::string_view bytes, Result& result) {
  result.start = head.start;
  result.size = head.size;
  result.anomalies = head.anomalies;
  result.irregular = head.irregular;
  EXPECT_LE(head.size, bytes.size());
  for (const std::string_view view : {head.start.method, head.start.target, head.start.reason}) {
    EXPECT_TRUE(is_within(view, bytes));
  }
  for (const HeaderField& field : head.fields) {
    EXPECT_TRUE(is_within(field.name, bytes) && is_within(field.value, bytes));
    result.fields.emplace_back(field.name, field.value);
  }
}

// Offers more and more of the bytes, as a stream does, in steps that `steps` chooses.
Result read_in_steps(Read read, const std::string& bytes, FuzzInput steps) {
  HeadReader reader(4096, 16);
  HeadProgress progress;
  Result result;
  for (size_t size = 0; size < bytes.size();) {
    size = steps.empty() ? bytes.size() : std::min(bytes.size(), size + 1 + steps.u8() % 64);
    // In memory of its own each time: bytes may move between calls.
    const std::vector<char> copy(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
    const std::string_view view(copy.data(), copy.size());
    HttpHead head;
    result.status = (reader.*read)(view, progress, head);
    if (result.status == HeadStatus::kIncomplete) continue;
    result.read_at = size;
    if (result.status == HeadStatus::kComplete ||
        (result.status == HeadStatus::kTooLarge && head.size > 0)) {
      keep(head, view, result);
    }
    return result;
  }
  return result;
}

void expect_equal(const Result& whole, const Result& cut) {
  // With all bytes at once something may be known of what is beyond the limit.
  if (whole.status == HeadStatus::kTooLarge || cut.status == HeadStatus::kTooLarge) return;
  EXPECT_EQ(static_cast<int>(whole.status), static_cast<int>(cut.status));
  if (whole.status != HeadStatus::kComplete || cut.status != HeadStatus::kComplete) return;
  EXPECT_EQ(whole.size, cut.size);
  EXPECT_EQ(whole.fields, cut.fields);
  EXPECT_TRUE(whole.anomalies == cut.anomalies);
  EXPECT_EQ(whole.irregular, cut.irregular);
  EXPECT_EQ(static_cast<int>(whole.start.kind), static_cast<int>(cut.start.kind));
  EXPECT_EQ(whole.start.status, cut.start.status);
}

void check(FuzzInput input) {
  const FuzzInput steps(input.bytes(16).data(), std::min<size_t>(16, input.size()));
  const std::string bytes(input.rest());
  const Read kinds[] = {&HeadReader::read, &HeadReader::read_fields, &HeadReader::read_candidate};
  for (const Read read : kinds) {
    const Result whole = read_in_steps(read, bytes, FuzzInput(nullptr, 0));
    const Result cut = read_in_steps(read, bytes, steps);
    SCOPED_TRACE(testing::PrintToString(bytes));
    expect_equal(whole, cut);
    HttpHead partial;
    HeadReader reader(4096, 16);
    Result result;
    if (reader.read_partial(bytes, {}, partial)) keep(partial, bytes, result);
  }
  leading_blanks(bytes);
  // Once something is known about the first bytes, more bytes do not change it to the contrary.
  if (guess_start(bytes) == StartGuess::kMaybe) {
    for (size_t size = 0; size < bytes.size(); size++) {
      ASSERT_EQ(static_cast<int>(guess_start(std::string_view(bytes).substr(0, size))),
                static_cast<int>(StartGuess::kMaybe));
    }
  }
}

}  // namespace
}  // namespace tcp_sniffer::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tcp_sniffer::fuzz;
  check(FuzzInput(data, size));
  return 0;
}
