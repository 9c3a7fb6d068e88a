// FollowedFiles: which file is read, and how far each has come.

#include "io/follow/followed_files.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace tcp_sniffer {

FollowedFiles::FollowedFiles(const std::vector<std::string>& entries, FollowListener& listener,
                             FollowCounters& counters)
    : listener_(listener), counters_(counters) {
  for (const std::string& entry : entries) {
    targets_.push_back(file_target(entry));
    const std::string& path = targets_.back().folder;
    const auto known = std::ranges::find(folders_, path, &Folder::path);
    folder_of_target_.push_back(static_cast<size_t>(known - folders_.begin()));
    if (known == folders_.end()) folders_.push_back({path});
  }
}

FollowedFiles::~FollowedFiles() {
  for (auto& [id, file] : files_) let_go(file);
}

std::optional<Problem> FollowedFiles::open() {
  for (const FileTarget& target : targets_) {
    if (auto problem = problem_of(target)) return problem;
  }
  // First watch, then scan: what comes in between is found twice, and not missed.
  scan(FollowClock::now());
  for (const FileTarget& target : targets_) {
    const bool is_file = target.kind == FileTarget::Kind::kFile;
    if (is_file ? !names_.contains(target.path_of(target.name)) : names_.empty()) {
      listener_.on_wait(target.entry, "no file is there yet");
    }
  }
  return {};
}

// `x.pcap.gz` of an `x.pcap` that is or was read: what tcpdump -z gzip leaves.
bool FollowedFiles::is_copy(const File& file) const {
  for (const std::string_view ending : {".gz", ".zst"}) {
    if (!file.name.ends_with(ending)) continue;
    const std::string plain = file.name.substr(0, file.name.size() - ending.size());
    if (std::ranges::find(gone_names_, plain) != gone_names_.end()) return true;
    const auto known = names_.find(plain);
    return known != names_.end() && known->second->begun;
  }
  return false;
}

FollowedCapture* FollowedFiles::next(FollowClock::time_point) {
  while (!waiting_.empty()) {
    File& file = **waiting_.begin();
    waiting_.erase(waiting_.begin());
    if (!file.begun && is_copy(file)) {
      skip(file, "is a compressed copy of a file that was read", true);
      continue;
    }
    if (file.begun ? take_up(file) : begin(file)) return &file;
  }
  return nullptr;
}

// From its first byte on. False: it is another one now, or gone.
bool FollowedFiles::begin(File& file) {
  int fd = -1;
  if (file.held >= 0) {
    fd = std::exchange(file.held, -1);
    held_--;
  } else {
    fd = open_same(file);
  }
  if (fd < 0 && errno == ENOENT) {
    miss(file, "it was deleted before it was read");
    return false;
  }
  if (fd < 0) {
    // Tried again at each scan.
    listener_.on_wait(file.name, std::string("cannot be opened: ") + std::strerror(errno));
    file.told = true;
    file.state = State::kNew;
    return false;
  }
  if (!file.mark.fits(fd) || lseek(fd, 0, SEEK_SET) != 0) {
    ::close(fd);
    file.state = State::kWaiting;
    renew(file);
    return false;
  }
  file.reader = std::make_unique<ByteReader>();
  file.reader->take(fd);
  file.reader->set_growing();
  file.state = State::kReading;
  count(counters_.read);
  count_waiting(-1);
  return true;
}

// Where it was put aside, or ended.
bool FollowedFiles::take_up(File& file) {
  if (file.reader == nullptr) {
    const int fd = open_same(file);
    if (fd < 0) {
      file.state = State::kEnded;
      return false;
    }
    file.reader = std::make_unique<ByteReader>();
    if (!file.reader->take(fd) || !file.reader->skip_plain(file.place.offset)) {
      file.reader.reset();
      file.state = State::kEnded;
      return false;
    }
    file.reader->set_growing();
  }
  file.state = State::kReading;
  return true;
}

bool FollowedFiles::is_same(FollowedCapture& capture) {
  auto& file = static_cast<File&>(capture);
  struct stat status {};
  const int fd = file.reader->fd();
  return fstat(fd, &status) == 0 &&
         static_cast<uint64_t>(status.st_size) >= file.reader->file_bytes() && file.mark.fits(fd);
}

CaptureFeed::Stop FollowedFiles::stop_of(FollowedCapture& capture, FollowClock::time_point now) {
  auto& file = static_cast<File&>(capture);
  if (file.reader->file_bytes() != file.read_bytes) {
    file.read_bytes = file.reader->file_bytes();
    file.grown_at = now;
  }
  if (waiting_.empty()) return Stop::kStay;
  return file.closed || now - file.grown_at >= kPatience ? Stop::kEnd : Stop::kAside;
}

void FollowedFiles::put_aside(FollowedCapture& capture) {
  auto& file = static_cast<File&>(capture);
  file.read_bytes = file.reader->file_bytes();
  file.state = State::kAside;
  aside_.push_back(&file);
}

void FollowedFiles::report_end(File& file) {
  tcp_sniffer::report_end(file.end, counters_, listener_);
}

// A plain file may be taken up again at the packet that was not whole.
void FollowedFiles::end(FollowedCapture& capture) {
  auto& file = static_cast<File&>(capture);
  std::erase(aside_, &file);
  waiting_.erase(&file);
  report_end(file);
  file.read_bytes = file.reader->file_bytes();
  file.reader.reset();
  file.left = {};
  file.ended = true;
  file.state = State::kEnded;
  if (file.gone) {
    file.gone = false;
    vanish(file);
  }
}

void FollowedFiles::replace(FollowedCapture& capture) {
  auto& file = static_cast<File&>(capture);
  if (!file.gone) return renew(file);
  report_end(file);
  erase(file);
}

void FollowedFiles::close() {
  for (auto at = files_.begin(); at != files_.end();) {
    File& file = (at++)->second;
    if (file.reader != nullptr) end(file);
  }
}

void FollowedFiles::wait(File& file) {
  std::erase(aside_, &file);
  file.state = State::kWaiting;
  waiting_.insert(&file);
}

void FollowedFiles::skip(File& file, const std::string& why, bool expected) {
  file.state = State::kSkipped;
  let_go(file);
  count(counters_.skipped);
  count_waiting(-1);
  listener_.on_skip(file.name, why, expected);
}

void FollowedFiles::miss(File& file, const std::string& why) {
  count(counters_.missed);
  count_waiting(-1);
  listener_.on_miss(file.name, why);
  erase(file);
}

void FollowedFiles::hold(File& file, int fd) {
  let_go(file);
  if (held_ >= kHeldMax) {
    ::close(fd);
    return;
  }
  held_++;
  file.held = fd;
}

void FollowedFiles::let_go(File& file) {
  if (file.held < 0) return;
  ::close(file.held);
  file.held = -1;
  held_--;
}

void FollowedFiles::erase(File& file) {
  waiting_.erase(&file);
  std::erase(aside_, &file);
  let_go(file);
  const auto named = names_.find(file.name);
  if (named != names_.end() && named->second == &file) names_.erase(named);
  files_.erase(file.id);
}

void FollowedFiles::count_waiting(int64_t change) {
  count(counters_.waiting, static_cast<uint64_t>(change));
}

}  // namespace tcp_sniffer
