#pragma once

#include <cstddef>
#include <string_view>

namespace tcp_sniffer {

// The methods of requests that are registered at IANA or in wide use.

bool is_known_method(std::string_view method);

// The length of the known method that `word` ends with, preferring the longest; 0 when none. After
// a gap the last bytes of a body and the next method may stand in one word.
size_t known_method_suffix(std::string_view word);

// Whether `bytes` can become a known method and the space after it.
bool begins_known_method(std::string_view bytes);

}  // namespace tcp_sniffer
