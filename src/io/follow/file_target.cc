#include "io/follow/file_target.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "io/file/file_source.h"

namespace tcp_sniffer {

namespace {

bool is_folder(const std::string& path) {
  struct stat status {};
  return stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

bool has_pattern(const std::string& text) {
  return text.find_first_of("*?[") != std::string::npos;
}

}  // namespace

bool FileTarget::matches(const std::string& file_name) const {
  if (kind == Kind::kFile) return file_name == name;
  if (kind == Kind::kFolder) return !file_name.starts_with('.');
  return fnmatch(name.c_str(), file_name.c_str(), FNM_PERIOD) == 0;
}

FileTarget file_target(const std::string& entry) {
  FileTarget target;
  target.entry = entry;
  struct stat status {};
  const bool is_there = stat(entry.c_str(), &status) == 0;
  if (is_there && S_ISDIR(status.st_mode)) {
    target.kind = FileTarget::Kind::kFolder;
    target.folder = entry;
    target.prefix = entry.ends_with('/') ? entry : entry + "/";
    return target;
  }
  const size_t slash = entry.rfind('/');
  if (slash != std::string::npos) target.prefix = entry.substr(0, slash + 1);
  target.folder = target.prefix.empty() ? "." : target.prefix;
  target.name = slash == std::string::npos ? entry : entry.substr(slash + 1);
  if (!is_there && has_pattern(target.name)) target.kind = FileTarget::Kind::kPattern;
  return target;
}

std::optional<Problem> problem_of(const FileTarget& target) {
  if (target.name.empty() && target.kind != FileTarget::Kind::kFolder) {
    return problem_about(target.entry, "is no folder");
  }
  if (!is_folder(target.folder)) {
    const bool is_pattern = has_pattern(target.folder);
    return problem_about(target.entry,
                         is_pattern
                             ? "cannot be followed: a pattern may stand in the last part of the "
                               "path only"
                             : "cannot be followed: there is no folder " + target.folder);
  }
  if (faccessat(AT_FDCWD, target.folder.c_str(), R_OK | X_OK, AT_EACCESS) != 0) {
    return problem_about(target.entry, "cannot be followed: the folder " + target.folder +
                                           " cannot be read: " + std::strerror(errno));
  }
  struct stat status {};
  if (target.kind != FileTarget::Kind::kFile || stat(target.entry.c_str(), &status) != 0) return {};
  if (!S_ISREG(status.st_mode)) {
    return problem_about(target.entry,
                         "cannot be followed: it is no file and no folder; a pipe is read to its "
                         "end without follow");
  }
  if (status.st_size == 0) return FileSource::missing(target.entry);
  return FileSource::problem_of(target.entry);
}

}  // namespace tcp_sniffer
