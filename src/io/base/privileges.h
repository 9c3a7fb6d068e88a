#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <variant>

#include "io/base/problem.h"

namespace tcp_sniffer {

// A user in the system's database.
struct UserIdentity {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Looks the user up, by name or number.
std::variant<UserIdentity, Problem> find_user(const std::string& name);

// How long a thread may take to give up its rights before the process ends.
constexpr time_t kRightsPatienceSeconds = 2;

// Becomes that user for good, on every thread of the process: with the user's groups, the user's id
// as real, effective and saved id, no capability, and nothing that a later exec could give back
// (no_new_privs; an empty bounding set, where the process may empty it). Open descriptors stay
// open, which is the point: a capture handle works on without rights.
//
// Capabilities belong to threads, so each one gives up its own, in the handler of rights_signal().
// No thread may be started meanwhile. Nothing: done, and it was tested that there is no way back;
// else the process must end.
std::optional<Problem> become_user(const UserIdentity& user);

// Makes use of the right to capture if the process may have it and does not have it yet: a file
// capability of `cap_net_raw=p` leaves that to the program, so that it also runs where the right is
// refused, for instance in a container that reads files. For the calling thread and those that it
// starts later.
void raise_capture_right() noexcept;

// A thread that runs when become_user is called must not block this signal.
int rights_signal();

}  // namespace tcp_sniffer
