// Lines of messages whose every field has random bytes.

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "support/written_line.h"

namespace tcp_sniffer::random_lines_test {
namespace {

using namespace written_line;

// A line that has only the room that was asked for and lies elsewhere after each time it grew: a
// sanitizer sees what is written beyond it, or to where the line was.
class TightLine final : public LineSink {
 public:
  TightLine() = default;
  std::string_view view() const { return {begin_, size()}; }

 private:
  void grow(size_t size) override {
    const size_t used = this->size();
    std::vector<char> larger(used + size);
    std::copy(begin_, end_, larger.begin());
    memory_.swap(larger);
    begin_ = memory_.data();
    end_ = begin_ + used;
    limit_ = begin_ + memory_.size();
  }

  std::vector<char> memory_;
};

TEST(MessageLine, NothingIsWrittenBeyondTheRoomThatWasReserved) {
  for (unsigned seed = 0; seed < 300; ++seed) {
    std::mt19937 random(seed);
    const auto text = [&random](size_t most) {
      std::string bytes;
      const bool ascii = random() % 2 == 0;
      for (size_t i = random() % (most + 1); i > 0; --i) {
        bytes += static_cast<char>(ascii ? random() % 128 : random());
      }
      return bytes;
    };
    std::vector<std::string> texts;
    for (int i = 0; i < 40; ++i) texts.push_back(text(i % 2 == 0 ? 9 : 3000));
    std::vector<HeaderField> headers;
    for (size_t i = 0; i < 40; i += 2) headers.push_back({texts[i], texts[i + 1]});
    const std::string body = text(20000);
    Message message = response();
    message.request_target = texts[1];
    message.reason = texts[3];
    message.headers = headers;
    message.body = body;
    for (const auto format :
         {LineOptions::kNdjson, LineOptions::kFramed, LineOptions::kPacked, LineOptions::kPretty}) {
      for (const EscapeKernels* kernels : all_kernels()) {
        LineOptions options;
        options.format = format;
        options.extended = true;
        options.raw_headers = true;
        options.binary_base64 = true;
        MessageLineWriter writer(options, *kernels);
        ScratchLine roomy;
        TightLine tight;
        writer.write(message, roomy);
        writer.write(message, tight);
        ASSERT_EQ(roomy.view(), tight.view()) << kernels->name << " seed " << seed;
      }
    }
  }
}

TEST(MessageLine, RandomBytesInEveryFieldStillMakeOneValidLine) {
  LineOptions options;
  options.raw_headers = true;
  options.extended = true;
  options.binary_base64 = true;
  MessageLineWriter writer(options);
  for (unsigned seed = 0; seed < 2000; ++seed) {
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    const auto text = [&random](size_t most) {
      std::string bytes;
      for (size_t i = random() % (most + 1); i > 0; --i) bytes += static_cast<char>(random());
      return bytes;
    };
    const std::string method = text(8);
    const std::string target = text(100);
    const std::string body = text(500);
    std::vector<std::string> texts;
    for (int i = 0; i < 20; ++i) texts.push_back(text(i % 2 == 0 ? 3 : 90));
    std::vector<HeaderField> headers;
    for (size_t i = 0; i < 20; i += 2)
      headers.push_back({texts[i], texts[i + 1], random() % 4 == 0});
    Message message = request();
    message.method = method;
    message.target = target;
    message.headers = headers;
    message.trailers = headers;
    message.body = body;
    ScratchLine line;
    writer.write(message, line);
    const Json json = parse(std::string(line.view()));
    ASSERT_EQ(json["rawHeaders"].size(), headers.size());
    ASSERT_EQ(json["headers"], json["trailers"]);
  }
}

}  // namespace
}  // namespace tcp_sniffer::random_lines_test
