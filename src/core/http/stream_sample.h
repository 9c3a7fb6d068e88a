#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "core/base/limits.h"

namespace tcp_sniffer {

// The first bytes of a stream that is not HTTP, for an event: enough to tell what it is. A text is
// shown up to the end of its first word only, because what follows may be a credential or a value
// that is to be hidden: PASS secret, GET /?token=secret. Returns the size, at most kSampleMax.
uint8_t take_stream_sample(std::string_view first_bytes, std::array<uint8_t, kSampleMax>& sample);

}  // namespace tcp_sniffer
