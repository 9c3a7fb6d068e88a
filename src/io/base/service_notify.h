#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace tcp_sniffer {

// The protocol of sd_notify(3), by which systemd and others learn how a service is doing: lines
// such as READY=1 in one datagram to the socket that NOTIFY_SOCKET names, a path or, after an @, an
// abstract name.

// Whether there is such a socket.
bool has_service_manager();

// How long a manager that is too busy to take a datagram may hold up the caller.
constexpr std::chrono::microseconds kServicePatience{200'000};

// Sends the lines. False: there is no socket, or the datagram was not taken within that time.
// Opens a socket for each call, so it also works after the process has become another user. Any
// thread.
bool service_notify(std::string_view lines) noexcept;

// The lines with which a reload begins; READY=1 ends it. The manager compares the time with its
// own.
std::string reloading_lines();

// How long the manager waits for WATCHDOG=1 before it takes this process for hung (WATCHDOG_USEC);
// nothing: it does not, or it watches another process (WATCHDOG_PID).
std::optional<std::chrono::microseconds> service_watchdog();

}  // namespace tcp_sniffer
