#include "io/base/privileges.h"

#include <dirent.h>
#include <grp.h>
#include <linux/capability.h>
#include <pwd.h>
#include <semaphore.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "io/base/printable.h"

namespace tcp_sniffer {

namespace {

std::string failed(const char* what) {
  return std::string(what) + ": " + std::strerror(errno);
}

// ---------------------------------------------------------------- on one thread
// System calls alone: they run in a signal handler. Each returns what failed, nullptr: nothing.

// To be called while the thread still has its rights. Without CAP_SETPCAP it has no effect; an exec
// gains nothing then either, because of no_new_privs.
const char* empty_bounding_set() {
  for (unsigned long capability = 0; prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) == 0;
       ++capability) {
  }
  return errno == EINVAL || errno == EPERM ? nullptr : "PR_CAPBSET_DROP";
}

// The C library has no wrapper for capset; libcap would be a dependency for one call.
const char* give_up_rights() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  if (syscall(SYS_capset, &header, none) != 0) return "capset";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "PR_SET_NO_NEW_PRIVS";
  return nullptr;
}

// ---------------------------------------------------------------- on every thread

using Step = const char* (*)();

// What the handler needs. Written by the one thread that calls become_user, before it sends.
struct Order {
  std::atomic<Step> step{nullptr};
  std::atomic<const char*> failed{nullptr};
  sem_t done{};
};

Order& order() {
  static Order the_order;
  return the_order;
}

void on_rights_signal(int) {
  const int error = errno;
  Order& current = order();
  if (const Step step = current.step.load(std::memory_order_acquire)) {
    if (const char* failed = step()) current.failed.store(failed, std::memory_order_relaxed);
  }
  sem_post(&current.done);
  errno = error;
}

// Asks every other thread to take the step. Returns how many were asked, -1: they are not known.
int ask_other_threads() {
  DIR* threads = opendir("/proc/self/task");
  if (threads == nullptr) return -1;
  int asked = 0;
  while (const dirent* entry = readdir(threads)) {
    const auto thread = static_cast<pid_t>(std::atoi(entry->d_name));  // "." and "..": 0
    if (thread == 0 || thread == gettid()) continue;
    if (syscall(SYS_tgkill, getpid(), thread, rights_signal()) == 0) asked++;
  }
  closedir(threads);
  return asked;
}

// Empty: every thread has taken the step; else what failed.
std::string on_every_thread(Step step) {
  Order& current = order();
  current.step.store(step, std::memory_order_release);
  current.failed.store(step(), std::memory_order_relaxed);
  sem_init(&current.done, 0, 0);
  struct sigaction handler {};
  struct sigaction before {};
  handler.sa_handler = on_rights_signal;
  handler.sa_flags = SA_RESTART;
  sigaction(rights_signal(), &handler, &before);
  const int asked = ask_other_threads();
  if (asked < 0) return failed("/proc/self/task");
  timespec deadline{};
  clock_gettime(CLOCK_REALTIME, &deadline);
  deadline.tv_sec += kRightsPatienceSeconds;
  for (int answered = 0; answered < asked;) {
    if (sem_timedwait(&current.done, &deadline) == 0) {
      answered++;
    } else if (errno != EINTR) {
      return "a thread that does not answer";
    }
  }
  sigaction(rights_signal(), &before, nullptr);
  const char* failed_step = current.failed.load(std::memory_order_relaxed);
  return failed_step == nullptr ? std::string() : std::string(failed_step);
}

bool is_user_already(const UserIdentity& user) {
  uid_t real = 0;
  uid_t effective = 0;
  uid_t saved = 0;
  return getresuid(&real, &effective, &saved) == 0 && real == user.uid && effective == user.uid &&
         saved == user.uid;
}

}  // namespace

std::variant<UserIdentity, Problem> find_user(const std::string& name) {
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
    return Problem{ErrorCode::kInvalidConfig, "user: ",
                   quote_text(name) + " is no user of this system" + why +
                       "; allowed: a name or number that getent passwd lists"};
  }
  return UserIdentity{entry.pw_name, entry.pw_uid, entry.pw_gid};
}

void raise_capture_right() noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets[2] = {};
  if (syscall(SYS_capget, &header, sets) != 0) return;
  constexpr uint32_t kBit = uint32_t{1} << CAP_NET_RAW;
  if ((sets[0].permitted & kBit) == 0 || (sets[0].effective & kBit) != 0) return;
  sets[0].effective |= kBit;
  syscall(SYS_capset, &header, sets);
}

int rights_signal() {
  return SIGRTMIN + 5;
}

std::optional<Problem> become_user(const UserIdentity& user) {
  const auto refused = [&user](const std::string& words) {
    return Problem{ErrorCode::kPermissionDenied,
                   "user: becoming " + quote_text(user.name) + " failed at ", words};
  };
  if (const std::string error = on_every_thread(empty_bounding_set); !error.empty()) {
    return refused(error);
  }
  if (!is_user_already(user)) {
    if (initgroups(user.name.c_str(), user.gid) != 0) {
      const bool lacks_right = errno == EPERM;
      return refused(failed("initgroups") +
                     (lacks_right ? "; only root can become another user: leave user out" : ""));
    }
    if (setresgid(user.gid, user.gid, user.gid) != 0) return refused(failed("setresgid"));
    if (setresuid(user.uid, user.uid, user.uid) != 0) return refused(failed("setresuid"));
  }
  // Leaving uid 0 clears them already, unless the kernel was asked to keep them.
  if (const std::string error = on_every_thread(give_up_rights); !error.empty()) {
    return refused(error);
  }
  if (user.uid != 0 && (setuid(0) == 0 || geteuid() == 0)) {
    return refused("the test whether root is out of reach: it is not");
  }
  return {};
}

}  // namespace tcp_sniffer
