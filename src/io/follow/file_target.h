#pragma once

#include <optional>
#include <string>

#include "io/base/problem.h"

namespace tcp_sniffer {

// Which files an entry of `files` means when they are followed: one file, which need not be there
// yet; with the path of a folder its files; with a pattern (`*`, `?`, `[…]` as in a shell) in the
// last part of the path those whose names match. Hidden files (.NAME) are meant only when they are
// named.
struct FileTarget {
  enum class Kind : uint8_t { kFile, kFolder, kPattern };
  Kind kind = Kind::kFile;
  std::string entry;   // as it was written
  std::string folder;  // to be watched
  std::string prefix;  // what stands before the names in it, to make paths
  std::string name;    // or the pattern; empty: every file of the folder

  bool matches(const std::string& file_name) const;
  std::string path_of(const std::string& file_name) const { return prefix + file_name; }
};

// Asks the file system: a file or folder whose name has marks of a pattern is what it is.
FileTarget file_target(const std::string& entry);

// Why nothing can be followed there. Nothing: no obstacle is known.
std::optional<Problem> problem_of(const FileTarget& target);

}  // namespace tcp_sniffer
