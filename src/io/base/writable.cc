#include "io/base/writable.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace tcp_sniffer {

namespace {

// With the rights that open(2) would have.
int error_of_access(const char* path, int mode) {
  return faccessat(AT_FDCWD, path, mode, AT_EACCESS) == 0 ? 0 : errno;
}

// Where a file of that name would be made: a link that leads nowhere makes it at its other end.
std::filesystem::path place_of(std::filesystem::path path) {
  std::error_code error;
  while (std::filesystem::is_symlink(path, error)) {
    path = path.parent_path() / std::filesystem::read_symlink(path, error);
  }
  return path;
}

}  // namespace

int error_of_writing(const std::string& path, bool follow) {
  struct stat status {};
  const int found = follow ? stat(path.c_str(), &status) : lstat(path.c_str(), &status);
  if (found == 0) {
    if (S_ISLNK(status.st_mode)) return ELOOP;
    if (S_ISDIR(status.st_mode)) return EISDIR;
    return error_of_access(path.c_str(), W_OK);
  }
  if (errno != ENOENT) return errno;
  const std::filesystem::path folder = place_of(path).parent_path();
  return error_of_access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK);
}

bool is_fifo(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

bool has_reader(const std::string& path) {
  using Entries = std::filesystem::directory_iterator;
  struct stat fifo {};
  if (stat(path.c_str(), &fifo) != 0) return false;
  // Processes and files come and go meanwhile: then an iterator ends.
  std::error_code error;
  for (Entries process("/proc", error); process != Entries(); process.increment(error)) {
    std::error_code hidden;
    for (Entries file(process->path() / "fd", hidden); file != Entries(); file.increment(hidden)) {
      const std::string name = file->path();
      struct stat status {};
      const bool is_it = stat(name.c_str(), &status) == 0 && status.st_ino == fifo.st_ino &&
                         status.st_dev == fifo.st_dev;
      // The link's own mode shows how the file is open.
      if (!is_it || lstat(name.c_str(), &status) != 0) continue;
      if ((status.st_mode & S_IRUSR) != 0) return true;
    }
  }
  return false;
}

}  // namespace tcp_sniffer
