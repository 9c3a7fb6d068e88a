// Runs a fuzz target over every file of its folder: its seeds, and the inputs that found something
// once.

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "fuzz_input.h"
#include "inputs_folder.h"
#include "support/run_program.h"

namespace tcp_sniffer {
namespace {

std::vector<std::filesystem::path> inputs() {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(fuzz_inputs_folder())) {
    if (entry.is_regular_file()) files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

TEST(FuzzCorpus, EveryInputKeepsThePromises) {
  const auto files = inputs();
  EXPECT_FALSE(files.empty());
  for (const auto& file : files) {
    SCOPED_TRACE(file);
    const std::string text = content_of(file);
    // Exactly as long as the input, so that the address sanitizer sees every byte too far.
    const std::vector<uint8_t> bytes(text.begin(), text.end());
    LLVMFuzzerTestOneInput(bytes.data(), bytes.size());
  }
  LLVMFuzzerTestOneInput(nullptr, 0);
}

}  // namespace
}  // namespace tcp_sniffer
