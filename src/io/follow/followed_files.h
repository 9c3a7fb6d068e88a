#pragma once

#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "io/follow/capture_feed.h"
#include "io/follow/file_mark.h"
#include "io/follow/file_target.h"
#include "io/follow/folder_watch.h"

namespace tcp_sniffer {

// The files that grow, come and go in folders, as captures to be read in the order of their first
// packets, each once. A file is its inode and its first bytes, not its name, so that it may be
// renamed, and a name or an inode may be used again.
//
//   new ──► waiting ──► reading ◄──► aside ──► ended     new: without a packet
//    └► skipped  └───► (gone)         │  ▲       │        aside: it may grow, another one is read
//                         waiting ◄───┴──┴───────┘        from aside and ended: it has grown
//
// A file has ended when all of its bytes were read, another one has begun, and its writer has
// closed it or has written nothing for kPatience. An ended one that grows is taken up where it
// ended. What a scan of the folders finds is the truth; what the system tells of changes
// (FolderWatch) only says when to look.
class FollowedFiles final : public CaptureFeed {
 public:
  static constexpr std::chrono::milliseconds kPatience{1000};
  // Between two scans for which there is no reason: changes may be lost, or made by other machines.
  static constexpr std::chrono::milliseconds kScanEvery{1000};
  // Files that wait are held open, so that they can be read when they are deleted; so many at most.
  static constexpr size_t kHeldMax = 64;
  // Names of files that were read and are gone, to know compressed copies by.
  static constexpr size_t kGoneNamesMax = 1024;

  // Both outlive it.
  FollowedFiles(const std::vector<std::string>& entries, FollowListener& listener,
                FollowCounters& counters);
  ~FollowedFiles() override;

  std::optional<Problem> open() override;
  void look(FollowClock::time_point now, bool all) override;
  FollowedCapture* next(FollowClock::time_point now) override;
  bool is_same(FollowedCapture& capture) override;
  Stop stop_of(FollowedCapture& capture, FollowClock::time_point now) override;
  void put_aside(FollowedCapture& capture) override;
  void end(FollowedCapture& capture) override;
  void replace(FollowedCapture& capture) override;
  void close() override;
  int fd() const override { return watch_.fd(); }

 private:
  enum class State : uint8_t { kNew, kWaiting, kReading, kAside, kEnded, kSkipped };
  using FileId = std::pair<dev_t, ino_t>;

  struct File : FollowedCapture {
    FileId id;
    State state = State::kNew;
    size_t folder = 0;
    uint64_t size = 0;       // when it was looked at
    int64_t changed_ns = 0;  // its own time of the last change then
    int64_t begin_ns = 0;    // from kWaiting on
    uint64_t read_bytes = 0;
    FollowClock::time_point grown_at;
    FileMark mark;
    int held = -1;        // a descriptor, while it waits
    bool seen = false;    // by the scan under way
    bool gone = false;    // it has no name any more
    bool closed = false;  // by its writer, since it has grown
    bool told = false;    // that it cannot be opened
    bool plain = false;
  };
  struct Folder {
    std::string path;
    bool watched = false;
    bool told = false;  // that it is not watched
  };
  struct ByBegin {
    bool operator()(const File* a, const File* b) const {
      if (a->begin_ns != b->begin_ns) return a->begin_ns < b->begin_ns;
      return a->name != b->name ? a->name < b->name : a->id < b->id;
    }
  };

  void note(const FolderWatch::Change& change, FollowClock::time_point now);
  void watch_folders();
  void scan(FollowClock::time_point now);
  void scan_folder(size_t index, FollowClock::time_point now);
  void see(size_t folder, const std::string& path, const struct stat& status,
           FollowClock::time_point now);
  void update(File& file, const struct stat& status, FollowClock::time_point now);
  void vanish(File& file);
  void look_at_head(File& file);
  void look_again(File& file);
  void renew(File& file);
  void wait(File& file);
  void skip(File& file, const std::string& why, bool expected);
  void miss(File& file, const std::string& why);
  void hold(File& file, int fd);
  void let_go(File& file);
  void end_aside(FollowClock::time_point now);
  void report_end(File& file);
  bool begin(File& file);
  bool take_up(File& file);
  bool is_copy(const File& file) const;
  void count_waiting(int64_t change);
  void erase(File& file);
  static int open_same(const File& file);

  FollowListener& listener_;
  FollowCounters& counters_;
  std::vector<FileTarget> targets_;
  std::vector<Folder> folders_;
  std::vector<size_t> folder_of_target_;
  FolderWatch watch_;
  std::map<FileId, File> files_;
  std::map<std::string, File*> names_;
  std::set<File*, ByBegin> waiting_;
  std::vector<File*> aside_;
  std::deque<std::string> gone_names_;
  size_t held_ = 0;
  bool must_scan_ = false;
  FollowClock::time_point scan_earliest_;  // with a reason
  FollowClock::time_point scan_latest_;    // without one
};

}  // namespace tcp_sniffer
