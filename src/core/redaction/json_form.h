#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// Whether a text is JSON (RFC 8259): values one after the other, as some servers send them.
enum class JsonForm : uint8_t {
  kNone,   // it is not
  kBegun,  // as far as it goes
  kWhole,
};

// Values in each other; what is deeper counts as no JSON.
inline constexpr size_t kJsonDepthMax = 512;

// A byte order mark may come first, or a line that keeps browsers from executing the text.
JsonForm json_form(std::string_view text);

}  // namespace tcp_sniffer
