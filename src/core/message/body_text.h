#pragma once

#include <string_view>

#include "core/message/message.h"

namespace tcp_sniffer {

// The part of the kept body that is judged and written as text: the body itself, without a last
// character that the cut or a loss left unfinished.
std::string_view body_text(const Message& message);

}  // namespace tcp_sniffer
