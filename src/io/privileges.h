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

// Becomes that user for good: his groups, his ids in all three places, no capability, and nothing
// that a later exec could give back. Descriptors that are open stay open, which is the point: a
// capture handle works on without rights.
//
// Acts on all threads of the process as far as the C library does (ids); call it before threads
// are started that touch the world. Empty: done, and it was tested that there is no way back; else
// what failed, and the process must end.
std::string become_user(const UserIdentity& user);

}  // namespace tcp_sniffer
