#include "io/privileges.h"

#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <vector>

#include "io/printable.h"

namespace tcp_sniffer {

namespace {

std::string failed(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

// The C library has no wrapper for capset; libcap would be a dependency for one call.
bool give_up_capabilities() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

bool is_user_already(const UserIdentity& user) {
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  return getresuid(&real, &effective, &saved) == 0 && real == user.uid && effective == user.uid &&
         saved == user.uid;
}

}  // namespace

std::variant<UserIdentity, std::string> find_user(const std::string& name) {
  std::vector<char> memory(16384);
  passwd entry{};
  passwd* found = nullptr;
  int error = 0;
  unsigned number = 0;
  const auto [end, status] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (status == std::errc{} && end == name.data() + name.size()) {
    error = getpwuid_r(number, &entry, memory.data(), memory.size(), &found);
  } else {
    error = getpwnam_r(name.c_str(), &entry, memory.data(), memory.size(), &found);
  }
  if (found == nullptr) {
    const std::string why = error == 0 ? "" : std::string(" (") + std::strerror(error) + ")";
    return "user: " + quote_text(name) + " is no user of this system" + why +
           "; allowed: a name or number that getent passwd lists";
  }
  return UserIdentity{entry.pw_name, entry.pw_uid, entry.pw_gid};
}

std::string become_user(const UserIdentity& user) {
  const std::string whom = "user: becoming " + quote_text(user.name) + " failed at ";
  if (!is_user_already(user)) {
    if (initgroups(user.name.c_str(), user.gid) != 0) {
      return whom + failed("initgroups") +
             (errno == EPERM ? "; only root can become another user: leave user out" : "");
    }
    if (setresgid(user.gid, user.gid, user.gid) != 0) return whom + failed("setresgid");
    if (setresuid(user.uid, user.uid, user.uid) != 0) return whom + failed("setresuid");
  }
  // Leaving uid 0 clears them already, unless somebody asked the kernel to keep them.
  if (!give_up_capabilities()) return whom + failed("capset");
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return whom + failed("PR_SET_NO_NEW_PRIVS");
  if (user.uid != 0 && (setuid(0) == 0 || geteuid() == 0)) {
    return whom + "the test whether root is out of reach: it is not";
  }
  return {};
}

}  // namespace tcp_sniffer
