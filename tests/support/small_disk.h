#pragma once

#include <sys/mount.h>
#undef BLOCK_SIZE  // a constant in concurrentqueue.h, which another file of the program includes

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/run_program.h"

namespace tcp_sniffer {

// A file system of its own with this much room; where none can be mounted, nothing is tested.
class SmallDisk {
 public:
  explicit SmallDisk(size_t kib) {
    const std::string options = "size=" + std::to_string(kib) + "k";
    mounted_ = ::mount("tmpfs", folder_.path().c_str(), "tmpfs", 0, options.c_str()) == 0;
  }
  ~SmallDisk() {
    if (mounted_) ::umount2(folder_.path().c_str(), MNT_DETACH);
  }
  bool mounted() const { return mounted_; }
  std::filesystem::path operator/(std::string_view name) const { return folder_ / name; }

 private:
  TemporaryFolder folder_;
  bool mounted_ = false;
};

}  // namespace tcp_sniffer
