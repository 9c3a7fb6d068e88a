#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tcp_sniffer {

enum class Shell : uint8_t { kBash, kZsh, kFish };

// The shell of that name; nothing: there is no completion for it.
std::optional<Shell> shell_named(std::string_view name);

// The script with which that shell completes the program's command line: the flags of the table of
// keys and of action_flags(), their words, the fields for `select`, files, folders, users, and the
// interfaces that the machine has when it is asked.
std::string completion_script(Shell shell);

}  // namespace tcp_sniffer
