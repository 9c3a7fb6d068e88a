#include "io/follow/folder_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace tcp_sniffer {

namespace {

constexpr uint32_t kMask = IN_CREATE | IN_DELETE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM |
                           IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

FolderWatch::Change::Kind kind_of(uint32_t mask) {
  using Kind = FolderWatch::Change::Kind;
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED | IN_UNMOUNT)) != 0) return Kind::kGone;
  if ((mask & IN_MODIFY) != 0) return Kind::kGrown;
  if ((mask & IN_CLOSE_WRITE) != 0) return Kind::kClosed;
  return Kind::kOther;
}

}  // namespace

FolderWatch::FolderWatch() : fd_(inotify_init1(IN_NONBLOCK | IN_CLOEXEC)) {}

FolderWatch::~FolderWatch() {
  if (fd_ >= 0) close(fd_);
}

int FolderWatch::add(size_t folder, const std::string& path) {
  std::erase_if(watched_, [&](const Watched& watched) { return watched.folder == folder; });
  if (fd_ < 0) return ENOSYS;
  const int watch = inotify_add_watch(fd_, path.c_str(), kMask);
  if (watch < 0) return errno;
  watched_.push_back({watch, folder});
  return 0;
}

bool FolderWatch::take(const std::function<void(const Change&)>& on_change) {
  if (fd_ < 0) return true;
  bool complete = true;
  alignas(inotify_event) char buffer[16384];
  for (;;) {
    const ssize_t size = read(fd_, buffer, sizeof buffer);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return complete;
    for (const char* at = buffer; at < buffer + size;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const char* name = at + sizeof event;
      at = name + event.len;
      if ((event.mask & IN_Q_OVERFLOW) != 0) {
        complete = false;
        continue;
      }
      for (const Watched& watched : watched_) {
        if (watched.watch != event.wd) continue;
        on_change({kind_of(event.mask), watched.folder,
                   event.len > 0 ? std::string(name) : std::string()});
      }
    }
  }
}

}  // namespace tcp_sniffer
