#include "io/config/file_word.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <string_view>
#include <system_error>

namespace tcp_sniffer {
namespace {

// What the name of a capture file ends with.
constexpr std::string_view kCaptureEndings[] = {".pcap", ".pcapng", ".cap", ".gz", ".zst"};

// `10.0.0.0/8`, `10/8`, `2001:db8::/32`, `10.0.0.0/255.0.0.0`: a network of a filter.
bool is_network(std::string_view word) {
  const size_t slash = word.find('/');
  const std::string_view address = word.substr(0, slash);
  const bool is_v6 = address.find(':') != std::string_view::npos;
  const std::string_view allowed = is_v6 ? "0123456789abcdefABCDEF.:" : "0123456789.";
  return !address.empty() && address.find_first_not_of(allowed) == std::string_view::npos &&
         slash + 1 < word.size() &&
         word.substr(slash + 1).find_first_not_of("0123456789.") == std::string_view::npos &&
         address.find_first_not_of('.') != std::string_view::npos;
}

}  // namespace

bool is_file_word(const std::string& word) {
  std::error_code ignored;
  const auto status = std::filesystem::status(word, ignored);
  if (std::filesystem::exists(status) && !std::filesystem::is_directory(status)) return true;
  if (word == "-") return true;
  if (word.find_first_of(" \t\n") != std::string::npos) return false;
  if (word.find('/') != std::string::npos) return !is_network(word);
  return std::any_of(std::begin(kCaptureEndings), std::end(kCaptureEndings),
                     [&](std::string_view ending) { return word.ends_with(ending); });
}

}  // namespace tcp_sniffer
