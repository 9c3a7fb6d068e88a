#pragma once

#include <string>
#include <string_view>

namespace tcp_sniffer {

// Version of the message, event and configuration formats, in the `started` event.
constexpr int kSchemaVersion = 1;

std::string_view version();       // 1.2.3
std::string_view git_revision();  // short hash, or "unknown"

// What --version prints: this program and the libraries it runs with.
std::string version_text();

}  // namespace tcp_sniffer
