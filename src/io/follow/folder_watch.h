#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tcp_sniffer {

// Reports what changes in folders (inotify(7)), which is a hint and not the truth: changes can be
// lost, and on network file systems other machines' changes are not reported. So its user also
// looks into the folders, at once after a loss and from time to time.
//
// Thread safety: none; one thread.
class FolderWatch {
 public:
  FolderWatch();
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // Watches a folder, or watches it again. The errno; 0: it is watched.
  int add(size_t folder, const std::string& path);

  struct Change {
    enum class Kind : uint8_t {
      kGrown,   // bytes were written, or cut off
      kClosed,  // the writer has closed the file
      kOther,   // a file came, went, or has another name
      kGone,    // the folder itself went: it is not watched any more
    };
    Kind kind = Kind::kOther;
    size_t folder = 0;
    std::string name;
  };
  // All that has changed since the last call, in its order. Returns false when changes were lost.
  bool take(const std::function<void(const Change&)>& on_change);

  // Becomes readable when something changes; -1: the system refused it.
  int fd() const { return fd_; }

 private:
  struct Watched {
    int watch = -1;
    size_t folder = 0;
  };

  int fd_;
  std::vector<Watched> watched_;
};

}  // namespace tcp_sniffer
