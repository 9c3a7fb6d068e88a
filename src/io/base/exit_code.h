#pragma once

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

constexpr std::string_view code_name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNone:
      return "";
    case ErrorCode::kInvalidConfig:
      return "INVALID_CONFIG";
    case ErrorCode::kInvalidInterface:
      return "INVALID_INTERFACE";
    case ErrorCode::kPermissionDenied:
      return "PERMISSION_DENIED";
    case ErrorCode::kCaptureOpenFailed:
      return "CAPTURE_OPEN_FAILED";
    case ErrorCode::kCaptureFailed:
      return "CAPTURE_FAILED";
    case ErrorCode::kInputFile:
      return "INPUT_FILE";
    case ErrorCode::kOutputFailed:
      return "OUTPUT_FAILED";
    case ErrorCode::kInternal:
      return "INTERNAL";
  }
  return "INTERNAL";
}

constexpr int exit_status(ErrorCode code) {
  switch (code) {
    case ErrorCode::kNone:
      return 0;
    case ErrorCode::kInvalidConfig:
      return 2;
    case ErrorCode::kInvalidInterface:
      return 3;
    case ErrorCode::kPermissionDenied:
      return 4;
    case ErrorCode::kCaptureOpenFailed:
    case ErrorCode::kCaptureFailed:
      return 5;
    case ErrorCode::kInputFile:
      return 6;
    case ErrorCode::kOutputFailed:
      return 7;
    case ErrorCode::kInternal:
      return 70;
  }
  return 70;
}

}  // namespace tcp_sniffer
