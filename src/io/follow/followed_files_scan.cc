// FollowedFiles: noticing which files there are, and what has become of them.

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

#include "io/file/file_head.h"
#include "io/follow/followed_files.h"

namespace tcp_sniffer {

namespace {

using std::chrono::nanoseconds;

int64_t nanoseconds_of(const timespec& time) {
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// How long ago the file was changed, by the wall clock; nothing is in the future.
nanoseconds age_of(const struct stat& status) {
  const int64_t now_ns =
      std::chrono::duration_cast<nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count();
  constexpr int64_t kAgeMaxNs = int64_t{3600} * 1'000'000'000;
  return nanoseconds(std::clamp<int64_t>(now_ns - nanoseconds_of(status.st_mtim), 0, kAgeMaxNs));
}

}  // namespace

void FollowedFiles::look(FollowClock::time_point now, bool all) {
  if (!watch_.take([&](const FolderWatch::Change& change) { note(change, now); })) {
    must_scan_ = true;
  }
  if (all || now >= (must_scan_ ? scan_earliest_ : scan_latest_)) scan(now);
  end_aside(now);
}

// What was put aside for another one ends as the one that is read would.
void FollowedFiles::end_aside(FollowClock::time_point now) {
  const std::vector<File*> aside = aside_;
  for (File* file : aside) {
    struct stat status {};
    // One without a name is in no scan.
    if (file->gone && fstat(file->reader->fd(), &status) == 0) update(*file, status, now);
    if (file->state != State::kAside) continue;
    if (file->closed || now - file->grown_at >= kPatience) end(*file);
  }
}

// Hints: what they say is looked at.
void FollowedFiles::note(const FolderWatch::Change& change, FollowClock::time_point now) {
  using Kind = FolderWatch::Change::Kind;
  if (change.kind == Kind::kGone) {
    folders_[change.folder].watched = false;
    must_scan_ = true;
    return;
  }
  for (size_t i = 0; i < targets_.size(); i++) {
    if (folder_of_target_[i] != change.folder || !targets_[i].matches(change.name)) continue;
    const auto known = names_.find(targets_[i].path_of(change.name));
    if (known == names_.end() || change.kind == Kind::kOther) {
      must_scan_ = true;
      continue;
    }
    File& file = *known->second;
    file.closed = change.kind == Kind::kClosed;
    struct stat status {};
    if (file.state == State::kReading) continue;
    if (stat(file.name.c_str(), &status) == 0 && FileId(status.st_dev, status.st_ino) == file.id) {
      update(file, status, now);
    } else {
      must_scan_ = true;
    }
  }
}

void FollowedFiles::watch_folders() {
  for (size_t i = 0; i < folders_.size(); i++) {
    Folder& folder = folders_[i];
    if (folder.watched) continue;
    const int error = watch_.add(i, folder.path);
    folder.watched = error == 0;
    if (folder.watched || folder.told) continue;
    folder.told = true;
    listener_.on_unwatched(folder.path, std::strerror(error));
  }
}

void FollowedFiles::scan(FollowClock::time_point now) {
  watch_folders();
  must_scan_ = false;
  for (auto& [id, file] : files_) file.seen = false;
  for (size_t i = 0; i < targets_.size(); i++) {
    struct stat status {};
    if (targets_[i].kind != FileTarget::Kind::kFile) {
      scan_folder(i, now);
    } else if (stat(targets_[i].entry.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      see(folder_of_target_[i], targets_[i].entry, status, now);
    }
  }
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = (at++)->second;
    if (!file.seen && !file.gone) vanish(file);
  }
  // A large folder takes a tenth of the time at most, and a hundredth when nothing happens.
  const auto took = FollowClock::now() - now;
  scan_earliest_ = now + 10 * took;
  scan_latest_ = now + std::max<nanoseconds>(100 * took, kScanEvery);
}

void FollowedFiles::scan_folder(size_t index, FollowClock::time_point now) {
  const FileTarget& target = targets_[index];
  const size_t folder = folder_of_target_[index];
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(opendir(target.folder.c_str()), closedir);
  if (entries == nullptr) {
    folders_[folder].watched = false;
    if (errno == ENOENT || errno == ENOTDIR) return;
    // What cannot be looked into is not known to be empty.
    for (auto& [id, file] : files_) file.seen = file.seen || file.folder == folder;
    return;
  }
  while (const dirent* entry = readdir(entries.get())) {
    const std::string name = entry->d_name;
    struct stat status {};
    if (!target.matches(name) || fstatat(dirfd(entries.get()), entry->d_name, &status, 0) != 0 ||
        !S_ISREG(status.st_mode)) {
      continue;
    }
    see(folder, target.path_of(name), status, now);
  }
}

void FollowedFiles::see(size_t folder, const std::string& path, const struct stat& status,
                        FollowClock::time_point now) {
  const FileId id(status.st_dev, status.st_ino);
  auto [at, is_new] = files_.try_emplace(id);
  File& file = at->second;
  if (is_new) {
    file.id = id;
    file.name = path;
    file.grown_at = now - age_of(status);
    names_[path] = &file;
    count(counters_.found);
    count_waiting(1);
  } else if (file.name != path && !file.seen) {
    // The order of those that wait depends on the name.
    const bool waits = waiting_.erase(&file) > 0;
    const auto old = names_.find(file.name);
    if (old != names_.end() && old->second == &file) names_.erase(old);
    file.name = path;
    names_[path] = &file;
    if (waits) waiting_.insert(&file);
  }
  file.folder = folder;
  file.seen = true;
  file.gone = false;
  update(file, status, now);
}

void FollowedFiles::update(File& file, const struct stat& status, FollowClock::time_point now) {
  const auto size = static_cast<uint64_t>(status.st_size);
  const int64_t changed_ns = nanoseconds_of(status.st_mtim);
  const bool changed = size != file.size || changed_ns != file.changed_ns;
  if (changed && file.changed_ns != 0) file.grown_at = now;
  file.size = size;
  file.changed_ns = changed_ns;
  switch (file.state) {
    case State::kReading:
      break;
    case State::kNew:
      if (changed || file.told) look_at_head(file);
      break;
    case State::kAside:
      if (changed || size != file.read_bytes) wait(file);
      break;
    case State::kWaiting:
    case State::kEnded:
    case State::kSkipped:
      if (changed) look_again(file);
      break;
  }
}

// It has no name any more that is followed.
void FollowedFiles::vanish(File& file) {
  const auto named = names_.find(file.name);
  if (named != names_.end() && named->second == &file) names_.erase(named);
  if (file.begun) {
    gone_names_.push_back(file.name);
    if (gone_names_.size() > kGoneNamesMax) gone_names_.pop_front();
  }
  switch (file.state) {
    case State::kNew:
      count(counters_.skipped);
      count_waiting(-1);
      return erase(file);
    case State::kWaiting:
      if (file.held < 0 && file.reader == nullptr) {
        if (!file.begun) return miss(file, "it was deleted before it was read");
        return erase(file);
      }
      break;
    case State::kReading:
    case State::kAside:
      break;
    case State::kEnded:
    case State::kSkipped:
      return erase(file);
  }
  file.gone = true;
}

// The file, if it is still the one that is meant; otherwise the next scan sorts it out.
int FollowedFiles::open_same(const File& file) {
  const int fd = ::open(file.name.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  struct stat status {};
  if (fd < 0 || (fstat(fd, &status) == 0 && FileId(status.st_dev, status.st_ino) == file.id)) {
    return fd;
  }
  ::close(fd);
  errno = ENOENT;
  return -1;
}

// Whether it is a capture, and has a packet.
void FollowedFiles::look_at_head(File& file) {
  const int fd = open_same(file);
  if (fd < 0) {
    if (!file.told && errno != ENOENT) {
      listener_.on_wait(file.name, std::string("cannot be opened: ") + std::strerror(errno));
      file.told = true;
    }
    return;
  }
  file.told = false;
  file.mark.take(fd);
  ByteReader reader;
  const int again = dup(fd);
  if (again < 0 || !reader.take(again)) {
    ::close(fd);
    return;
  }
  reader.set_growing();
  file.plain = reader.plain_file_offset() >= 0;
  const FileHead head = read_file_head(reader);
  if (!head.problem.empty()) {
    skip(file, head.problem, false);
  } else if (head.has_begun) {
    file.begin_ns = head.begin_ns.value_or(file.changed_ns);
    hold(file, fd);
    return wait(file);
  }
  ::close(fd);
}

// Of a file whose bytes were looked at before: they may be others now.
void FollowedFiles::look_again(File& file) {
  const int fd = open_same(file);
  if (fd < 0) return;
  const bool same = file.size >= file.read_bytes && file.mark.fits(fd);
  ::close(fd);
  if (!same) return renew(file);
  if (file.state != State::kEnded || file.size == file.read_bytes || file.end.damaged) return;
  if (file.plain) return wait(file);
  if (!file.told) {
    listener_.on_skip(file.name, "has grown after it had ended, and is compressed", false);
  }
  file.told = true;
}

// The name and perhaps the inode are those of another capture now.
void FollowedFiles::renew(File& file) {
  waiting_.erase(&file);
  if (file.reader != nullptr) report_end(file);
  if (file.state == State::kWaiting && !file.begun) {
    count(counters_.missed);
    count_waiting(-1);
    listener_.on_miss(file.name, "it was written over before it was read");
  }
  let_go(file);
  File fresh;
  fresh.name = file.name;
  fresh.id = file.id;
  fresh.folder = file.folder;
  fresh.size = file.size;
  fresh.changed_ns = file.changed_ns;
  fresh.grown_at = file.grown_at;
  fresh.seen = file.seen;
  fresh.gone = file.gone;
  fresh.closed = file.closed;
  file = std::move(fresh);
  count(counters_.found);
  count_waiting(1);
  look_at_head(file);
}

}  // namespace tcp_sniffer
