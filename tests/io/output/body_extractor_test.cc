#include "io/output/body_extractor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace tcp_sniffer::body_extractor_test {
namespace {

namespace fs = std::filesystem;

class BodyExtractorTest : public testing::Test {
 protected:
  BodyExtractorTest() {
    std::string pattern = (fs::temp_directory_path() / "extractXXXXXX").string();
    directory = mkdtemp(pattern.data());
    settings.directory = directory.string();
    settings.bytes_max = 1u << 30;
    settings.files_max = 1000;
    settings.queue_bytes_max = 1u << 20;
  }
  ~BodyExtractorTest() override {
    fs::permissions(directory, fs::perms::owner_all);
    fs::remove_all(directory);
  }

  // Hands the messages over and waits for the end.
  BodyExtractor::Counts extract(const std::vector<Message>& messages) {
    BodyExtractor extractor(settings);
    EXPECT_FALSE(extractor.open());
    extractor.start(
        [this](const std::string& file, const std::string& error) { errors[file] = error; });
    for (const Message& message : messages) extractor.put(message);
    extractor.end_of_input();
    while (!extractor.done()) std::this_thread::yield();
    return extractor.counts();
  }

  std::map<std::string, std::string> files() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::directory_iterator(directory)) {
      std::ifstream file(entry.path(), std::ios::binary);
      found[entry.path().filename().string()] =
          std::string(std::istreambuf_iterator<char>(file), {});
    }
    return found;
  }

  static Message response(uint64_t exchange, std::string_view body,
                          std::span<const HeaderField> headers = {}) {
    Message message;
    message.direction = MessageDirection::kResponse;
    message.connection_id = 0x0123456789abcdef;
    message.exchange = exchange;
    message.body = body;
    message.body_size = body.size();
    message.headers = headers;
    return message;
  }

  fs::path directory;
  BodyExtractor::Settings settings;
  std::map<std::string, std::string> errors;
};

TEST_F(BodyExtractorTest, FileHoldsTheBodyAndIsTheOwnersAlone) {
  const HeaderField headers[] = {{"content-type", "text/html; charset=utf-8"}};
  const std::string body(100000, 'x');
  const auto counts = extract({response(7, body, headers)});
  const std::string name = "0123456789abcdef-7.html";
  ASSERT_TRUE(files().contains(name));
  EXPECT_EQ(files()[name], body);
  struct stat status {};
  ASSERT_EQ(stat((directory / name).c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
  EXPECT_EQ(counts.files, 1u);
  EXPECT_EQ(counts.bytes, body.size());
}

TEST_F(BodyExtractorTest, ExtensionIsOneOfAClosedTable) {
  const auto name = [](std::string_view type) {
    const HeaderField headers[] = {{"Content-Type", type}};
    return std::string(BodyFileName(response(0, "x", headers)).view()).substr(18);
  };
  EXPECT_EQ(name("application/json"), ".json");
  EXPECT_EQ(name("IMAGE/PNG"), ".png");
  EXPECT_EQ(name("application/problem+json; x=y"), ".json");
  EXPECT_EQ(name("application/vnd.api+xml"), ".xml");
  EXPECT_EQ(name("../../etc/passwd"), ".bin");
  EXPECT_EQ(name("text/../../x"), ".bin");
  EXPECT_EQ(name(""), ".bin");
  EXPECT_EQ(std::string(BodyFileName(response(0, "x")).view()), "0123456789abcdef-0.bin");
}

TEST_F(BodyExtractorTest, NameSaysWhatIsStillCodedAndWhatIsIncomplete) {
  const HeaderField headers[] = {{"Content-Type", "text/css"}, {"Content-Encoding", "br, gzip"}};
  Message message = response(3, "x", headers);
  EXPECT_EQ(BodyFileName(message).view(), "0123456789abcdef-3.css.gz");
  message.content_decoded = "br, gzip";
  EXPECT_EQ(BodyFileName(message).view(), "0123456789abcdef-3.css");
  message.content_decode_error = ContentDecodeError::kTruncated;
  EXPECT_EQ(BodyFileName(message).view(), "0123456789abcdef-3-incomplete.css");
  message = response(kNoExchange, "x");
  message.first_byte_ns = 1740139200000000001;
  EXPECT_EQ(BodyFileName(message).view(), "0123456789abcdef-u1740139200000000001.bin");
  EXPECT_LT(BodyFileName(response(~uint64_t{1}, "x", headers)).view().size(), 96u);
}

TEST_F(BodyExtractorTest, IncompleteBodiesAreWrittenOnlyWhenAsked) {
  Message lost = response(0, "part");
  lost.incomplete = Incomplete::kGap;
  Message cut = response(1, "part");
  cut.body_truncated = true;
  Message broken = response(2, "part");
  broken.content_decode_error = ContentDecodeError::kCorrupt;
  auto counts = extract({lost, cut, broken});
  EXPECT_EQ(counts.incomplete, 3u);
  EXPECT_EQ(counts.files, 0u);
  EXPECT_TRUE(files().empty());
  settings.write_incomplete = true;
  counts = extract({lost, cut, broken});
  EXPECT_EQ(counts.files, 3u);
  EXPECT_TRUE(files().contains("0123456789abcdef-1-incomplete.bin"));
}

TEST_F(BodyExtractorTest, EmptyBodyMakesNoFile) {
  const auto counts = extract({response(0, "")});
  EXPECT_EQ(counts.files + counts.incomplete + counts.errors, 0u);
  EXPECT_TRUE(files().empty());
}

TEST_F(BodyExtractorTest, SymbolicLinkInTheWayIsNotFollowed) {
  const fs::path victim = directory / "victim";
  std::ofstream(victim) << "precious";
  fs::create_symlink(victim, directory / "0123456789abcdef-0.bin");
  fs::create_symlink(directory / "not-there", directory / "0123456789abcdef-1.bin");
  const auto counts = extract({response(0, "attack"), response(1, "attack")});
  EXPECT_EQ(counts.errors, 2u);
  EXPECT_EQ(counts.files, 0u);
  EXPECT_EQ(files()["victim"], "precious");
  EXPECT_FALSE(fs::exists(directory / "not-there"));
  EXPECT_TRUE(errors.contains("0123456789abcdef-0.bin"));
}

TEST_F(BodyExtractorTest, FileThatExistsIsNotWrittenOver) {
  std::ofstream(directory / "0123456789abcdef-0.bin") << "old";
  const auto counts = extract({response(0, "new")});
  EXPECT_EQ(counts.errors, 1u);
  EXPECT_EQ(files()["0123456789abcdef-0.bin"], "old");
}

TEST_F(BodyExtractorTest, ResponsesOfTheSameMomentWithoutARequestAreAllWritten) {
  Message message = response(kNoExchange, "one");
  message.first_byte_ns = 5;
  Message second = message;
  second.body = "two";
  EXPECT_EQ(extract({message, second}).files, 2u);
  EXPECT_EQ(files()["0123456789abcdef-u5.bin"], "one");
  EXPECT_EQ(files()["0123456789abcdef-u5-1.bin"], "two");
}

TEST_F(BodyExtractorTest, DirectoryThatIsMovedAwayKeepsItsFiles) {
  BodyExtractor extractor(settings);
  ASSERT_FALSE(extractor.open());
  const fs::path moved = directory.string() + "-moved";
  fs::rename(directory, moved);
  fs::create_directory(directory);
  extractor.start({});
  extractor.put(response(0, "body"));
  extractor.end_of_input();
  while (!extractor.done()) std::this_thread::yield();
  EXPECT_TRUE(files().empty());
  EXPECT_TRUE(fs::exists(moved / "0123456789abcdef-0.bin"));
  fs::remove_all(moved);
}

TEST_F(BodyExtractorTest, LimitsOfFilesAndBytesHold) {
  settings.files_max = 2;
  auto counts = extract({response(0, "a"), response(1, "b"), response(2, "c")});
  EXPECT_EQ(counts.files, 2u);
  EXPECT_EQ(counts.limited, 1u);
  settings.files_max = 1000;
  settings.bytes_max = 10;
  counts = extract({response(3, "12345678"), response(4, "123"), response(5, "12")});
  EXPECT_EQ(counts.bytes, 10u);
  EXPECT_EQ(counts.files, 2u);
  EXPECT_EQ(counts.limited, 1u);
}

TEST_F(BodyExtractorTest, FullDiskIsAnErrorAndLeavesNoPartOfAFile) {
  // A limit of the file size fails writes as a full disk does, after a part was taken.
  signal(SIGXFSZ, SIG_IGN);
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  const rlimit small{4096, before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const std::string body(100000, 'x');
  const auto counts = extract({response(0, body), response(1, "fits")});
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(counts.errors, 1u);
  EXPECT_EQ(counts.files, 1u);
  EXPECT_FALSE(files().contains("0123456789abcdef-0.bin"));
  EXPECT_EQ(files()["0123456789abcdef-1.bin"], "fits");
  EXPECT_EQ(errors.size(), 1u);
}

TEST_F(BodyExtractorTest, DirectoryThatIsNotThereIsSaidAtOnce) {
  settings.directory += "/nowhere";
  BodyExtractor extractor(settings);
  const auto problem = extractor.open();
  ASSERT_TRUE(problem);
  EXPECT_NE(problem->message().find("nowhere"), std::string::npos);
  std::ofstream(directory / "file") << "x";
  settings.directory = (directory / "file").string();
  BodyExtractor not_directory(settings);
  EXPECT_TRUE(not_directory.open());
}

TEST_F(BodyExtractorTest, FullQueueDropsAndCountsWhenWaitingIsNotAllowed) {
  settings.may_wait = false;
  settings.queue_bytes_max = BodyExtractor::memory_of(60) + BodyExtractor::memory_of(40);
  BodyExtractor extractor(settings);
  ASSERT_FALSE(extractor.open());
  // Not started yet, so nothing is taken from the queue.
  const std::string body(60, 'x');
  extractor.put(response(0, body));
  extractor.put(response(1, body));
  extractor.put(response(2, std::string(40, 'y')));
  EXPECT_EQ(extractor.counts().dropped, 1u);
  extractor.start({});
  extractor.end_of_input();
  while (!extractor.done()) std::this_thread::yield();
  EXPECT_EQ(extractor.counts().files, 2u);
}

// What a body costs beside its bytes is in the bound, or bodies of one byte would take many times
// it.
TEST_F(BodyExtractorTest, TheQueueIsBoundedInMemoryNotInBytesOfBodies) {
  settings.may_wait = false;
  settings.queue_bytes_max = 10 * BodyExtractor::memory_of(1);
  BodyExtractor extractor(settings);
  ASSERT_FALSE(extractor.open());
  for (uint64_t i = 0; i < 1000; i++) extractor.put(response(i, "x"));
  EXPECT_EQ(extractor.counts().dropped, 990u);
  EXPECT_GT(BodyExtractor::memory_of(1), 100u);
}

TEST_F(BodyExtractorTest, FullQueueWaitsAndLosesNothing) {
  settings.queue_bytes_max = 1000;
  std::vector<Message> messages;
  const std::string body(700, 'x');
  const std::string larger_than_the_queue(5000, 'y');
  for (uint64_t i = 0; i < 200; i++) {
    messages.push_back(response(i, i % 50 == 0 ? larger_than_the_queue : body));
  }
  const auto counts = extract(messages);
  EXPECT_EQ(counts.files, 200u);
  EXPECT_EQ(counts.dropped, 0u);
}

TEST_F(BodyExtractorTest, BodiesOfSeveralShardsAreAllWrittenBeforeTheEnd) {
  for (int round = 0; round < 20; round++) {
    BodyExtractor extractor(settings);
    ASSERT_FALSE(extractor.open());
    extractor.start({});
    std::vector<std::thread> shards;
    for (uint64_t shard = 0; shard < 4; shard++) {
      shards.emplace_back([&, shard] {
        for (uint64_t i = 0; i < 10; i++) {
          Message message = response(i, "body");
          message.connection_id = static_cast<uint64_t>(round) * 4 + shard;
          extractor.put(message);
        }
      });
    }
    for (std::thread& shard : shards) shard.join();
    extractor.end_of_input();
    while (!extractor.done()) std::this_thread::yield();
    EXPECT_EQ(extractor.counts().files, 40u) << "round " << round;
  }
}

TEST_F(BodyExtractorTest, AbortEndsAWaitAndCountsWhatIsLeft) {
  settings.queue_bytes_max = BodyExtractor::memory_of(100);
  BodyExtractor extractor(settings);
  ASSERT_FALSE(extractor.open());
  extractor.put(response(0, std::string(100, 'x')));
  std::thread waiting([&] { extractor.put(response(1, std::string(100, 'x'))); });
  extractor.abort();
  waiting.join();
  extractor.start({});
  extractor.end_of_input();
  while (!extractor.done()) std::this_thread::yield();
  EXPECT_EQ(extractor.counts().dropped, 2u);
  EXPECT_TRUE(files().empty());
}

}  // namespace
}  // namespace tcp_sniffer::body_extractor_test
