#include "io/writable.h"

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

}  // namespace tcp_sniffer
