// Damages a classic capture file on purpose, the same way every time: loss, reordering,
// duplication, a start in the middle, sequence numbers that wrap, fragments, short frames.

#include <charconv>
#include <cstdint>
#include <cstdio>
#include <set>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

#include "capture_file.h"
#include "damage.h"

namespace {

using pcapdamage::DamageOptions;

constexpr std::string_view kUsage =
    "usage: pcapdamage [options] INPUT.pcap OUTPUT.pcap\n"
    "  --seed N                 choice of the random faults (1)\n"
    "  --cut-start N            remove the first N frames\n"
    "  --drop LIST              remove these frames, from 1: 7 or 3,9-12\n"
    "  --drop-random P          remove each frame with probability P\n"
    "  --wrap-after N           sequence numbers pass 2^32 after N bytes of each direction\n"
    "  --fragment N             IP packets larger than N bytes become fragments\n"
    "  --fragment-reverse       the last fragment comes first\n"
    "  --duplicate P            copy each frame with probability P\n"
    "  --duplicate-distance N   the copy comes 1 to N frames later (1)\n"
    "  --reorder P              move each frame with probability P\n"
    "  --reorder-distance N     it comes 1 to N frames later (3)\n"
    "  --snaplen N              keep N bytes of each frame\n"
    "  --big-endian             write the file in big-endian byte order\n";

template <typename Number>
bool parse_number(std::string_view text, Number least, Number most, Number& value) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc{} && end == text.data() + text.size() && value >= least &&
         value <= most;
}

bool parse_frames(std::string_view text, std::set<std::size_t>& frames) {
  constexpr std::size_t kFramesMax = 10'000'000;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    std::size_t first = 0;
    if (!parse_number<std::size_t>(part.substr(0, dash), 1, kFramesMax, first)) return false;
    std::size_t last = first;
    if (dash != std::string_view::npos &&
        !parse_number<std::size_t>(part.substr(dash + 1), first, kFramesMax, last)) {
      return false;
    }
    for (std::size_t frame = first; frame <= last; ++frame) frames.insert(frame);
    if (comma == std::string_view::npos) return true;
    text.remove_prefix(comma + 1);
  }
}

// Whether the option took its value; unknown options are refused as well.
bool set_option(DamageOptions& options, std::string_view name, std::string_view value) {
  constexpr std::size_t kSizeMax = 1 << 30;
  constexpr std::size_t kFragmentMin = 56;  // IPv6 header, fragment header, 8 bytes
  if (name == "--seed") return parse_number<std::uint64_t>(value, 0, UINT64_MAX, options.seed);
  if (name == "--cut-start")
    return parse_number<std::size_t>(value, 0, kSizeMax, options.cut_start);
  if (name == "--drop") return parse_frames(value, options.drop_frames);
  if (name == "--drop-random") return parse_number(value, 0.0, 1.0, options.drop_probability);
  if (name == "--wrap-after") {
    return parse_number<std::uint32_t>(value, 0, UINT32_MAX, options.wrap_after.emplace());
  }
  if (name == "--fragment") {
    return parse_number<std::size_t>(value, kFragmentMin, 65535, options.fragment_bytes);
  }
  if (name == "--duplicate") return parse_number(value, 0.0, 1.0, options.duplicate_probability);
  if (name == "--duplicate-distance") {
    return parse_number<std::size_t>(value, 1, kSizeMax, options.duplicate_distance);
  }
  if (name == "--reorder") return parse_number(value, 0.0, 1.0, options.reorder_probability);
  if (name == "--reorder-distance") {
    return parse_number<std::size_t>(value, 1, kSizeMax, options.reorder_distance);
  }
  if (name == "--snaplen") return parse_number<std::uint32_t>(value, 1, 1 << 20, options.snaplen);
  return false;
}

int refuse(const std::string& why) {
  std::fprintf(stderr, "pcapdamage: %s\n", why.c_str());
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  DamageOptions options;
  std::vector<std::string> paths;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (argument == "--help") {
      std::fputs(kUsage.data(), stdout);
      return 0;
    }
    if (argument == "--fragment-reverse") {
      options.fragment_reverse = true;
    } else if (argument == "--big-endian") {
      options.big_endian = true;
    } else if (!argument.starts_with("--")) {
      paths.emplace_back(argument);
    } else if (i + 1 >= count || !set_option(options, argument, arguments[i + 1])) {
      return refuse("unknown option or wrong value: " + std::string(argument) +
                    (i + 1 < count ? " " + std::string(arguments[i + 1]) : ""));
    } else {
      ++i;
    }
  }
  if (paths.size() != 2) return refuse("needs an input and an output file; see --help");

  pcapdamage::CaptureFile capture;
  std::string error = pcapdamage::read_capture(paths[0], capture);
  if (!error.empty()) return refuse(error);
  pcapdamage::damage_capture(capture, options);
  error = pcapdamage::write_capture(paths[1], capture);
  if (!error.empty()) return refuse(error);
  return 0;
}
