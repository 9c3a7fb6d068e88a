#pragma once

#include <sys/types.h>

#include <string>
#include <variant>

namespace tcp_sniffer {

// A user as the system knows him.
struct UserIdentity {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
};

// Looks the user up, by name or number. A string: why there is none, in words for people.
std::variant<UserIdentity, std::string> find_user(const std::string& name);

// Becomes that user for good, on every thread of the process: his groups, his ids in all three
// places, no capability, and nothing that a later exec could give back (no_new_privs; an empty
// bounding set, where the process may empty it). Descriptors that are open stay open, which is the
// point: a capture handle works on without rights.
//
// Capabilities belong to threads, so each one gives up its own, in the handler of rights_signal().
// No thread may be started meanwhile. Empty: done, and it was tested that there is no way back; else
// what failed, and the process must end.
std::string become_user(const UserIdentity& user);

// A thread that runs when become_user is called must not block this signal.
int rights_signal();

}  // namespace tcp_sniffer
