#pragma once

#include <string_view>

namespace tcp_sniffer {

// Whether the pattern matches the whole text: `*` stands for any bytes, none included, `?` for one
// character of UTF-8, or one byte of what is no UTF-8. Everything else stands for itself. Takes at
// most as many steps as the product of both sizes, and no memory.
bool matches_glob(std::string_view pattern, std::string_view text);

}  // namespace tcp_sniffer
