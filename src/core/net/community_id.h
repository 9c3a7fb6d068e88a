#pragma once

#include <cstddef>

#include "core/net/flow_key.h"

namespace tcp_sniffer {

constexpr size_t kCommunityIdSize = 30;  // "1:" and 20 bytes of SHA-1 as base64

// Community ID version 1 (github.com/corelight/community-id-spec) of a TCP connection, seed 0:
// the same for both directions. Writes kCommunityIdSize characters and returns their end.
char* write_community_id(char* out, const Endpoint& a, const Endpoint& b);

}  // namespace tcp_sniffer
