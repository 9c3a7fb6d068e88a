#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// Why a run ended. The word goes into the `code` field of the `fatal` event, the number is the
// exit status of the process; callers rely on both (docs/events.md).
enum class ErrorCode : uint8_t {
  kNone,               // ran to the end, or was asked to stop
  kInvalidConfig,      // an argument or a key of the configuration
  kInvalidInterface,   // no such interface
  kPermissionDenied,   // a capability is missing
  kCaptureOpenFailed,  // libpcap refused to open the interface
  kCaptureFailed,      // libpcap failed while capturing
  kInputFile,          // a capture file is missing, damaged or no capture
  kOutputFailed,       // the output cannot be written, and not because its reader has left
  kInternal,           // a fault of this program
};

// The exit status of a run that ended in order and wrote no message, with failIfNone.
constexpr int kNothingWritten = 1;

struct ErrorCodeInfo {
  std::string_view name;
  int exit_status;
};

constexpr std::array<ErrorCodeInfo, 9> kErrorCodes = {{
    {"", 0},
    {"INVALID_CONFIG", 2},
    {"INVALID_INTERFACE", 3},
    {"PERMISSION_DENIED", 4},
    {"CAPTURE_OPEN_FAILED", 5},
    {"CAPTURE_FAILED", 5},
    {"INPUT_FILE", 6},
    {"OUTPUT_FAILED", 7},
    {"INTERNAL", 70},
}};
static_assert(kErrorCodes.size() == static_cast<size_t>(ErrorCode::kInternal) + 1);

constexpr std::string_view code_name(ErrorCode code) {
  return kErrorCodes[static_cast<size_t>(code)].name;
}

constexpr int exit_status(ErrorCode code) {
  return kErrorCodes[static_cast<size_t>(code)].exit_status;
}

}  // namespace tcp_sniffer
