#include "io/base/exit_code.h"

#include <gtest/gtest.h>

#include <tuple>

namespace tcp_sniffer::exit_code_test {
namespace {

TEST(ExitCodeTest, CodesAreThoseOfTheContract) {
  const std::tuple<ErrorCode, const char*, int> table[] = {
      {ErrorCode::kNone, "", 0},
      {ErrorCode::kInvalidConfig, "INVALID_CONFIG", 2},
      {ErrorCode::kInvalidInterface, "INVALID_INTERFACE", 3},
      {ErrorCode::kPermissionDenied, "PERMISSION_DENIED", 4},
      {ErrorCode::kCaptureOpenFailed, "CAPTURE_OPEN_FAILED", 5},
      {ErrorCode::kCaptureFailed, "CAPTURE_FAILED", 5},
      {ErrorCode::kInputFile, "INPUT_FILE", 6},
      {ErrorCode::kOutputFailed, "OUTPUT_FAILED", 7},
      {ErrorCode::kInternal, "INTERNAL", 70},
  };
  for (const auto& [code, name, status] : table) {
    EXPECT_EQ(code_name(code), name);
    EXPECT_EQ(exit_status(code), status);
  }
}

}  // namespace
}  // namespace tcp_sniffer::exit_code_test
