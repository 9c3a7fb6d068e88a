// Damages a classic capture file on purpose, the same way every time: loss, reordering,
// duplication, a start in the middle, sequence numbers that wrap, fragments, short frames.

#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "capture_file.h"
#include "common/option_checks.h"
#include "damage.h"

namespace {

using pcapdamage::DamageOptions;
using tcp_sniffer::fraction;
using tcp_sniffer::whole;

constexpr std::size_t kFramesMax = 10'000'000;
constexpr std::size_t kSizeMax = 1 << 30;
constexpr std::size_t kFragmentMin = 56;  // IPv6 header, fragment header, 8 bytes

// "7" or "9-12", counted from 1.
void add_frames(const std::string& part, std::set<std::size_t>& frames) {
  const std::size_t dash = part.find('-');
  std::size_t first = 0;
  std::size_t last = 0;
  const std::string end = dash == std::string::npos ? part : part.substr(dash + 1);
  if (!CLI::detail::lexical_cast(part.substr(0, dash), first) || first == 0 ||
      !CLI::detail::lexical_cast(end, last) || last < first || last > kFramesMax) {
    throw CLI::ValidationError("--drop", "'" + part + "' is no frame, as 7, and no row, as 9-12");
  }
  for (std::size_t frame = first; frame <= last; ++frame) frames.insert(frame);
}

void add_options(CLI::App& app, DamageOptions& options) {
  app.add_option("--seed", options.seed, "choice of the random faults")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--cut-start", options.cut_start, "remove the first frames")
      ->check(whole(0, kSizeMax));
  app.add_option_function<std::vector<std::string>>(
         "--drop",
         [&options](const std::vector<std::string>& parts) {
           for (const std::string& part : parts) add_frames(part, options.drop_frames);
         },
         "remove these frames, from 1: 7 or 3,9-12")
      ->delimiter(',')
      ->allow_extra_args(false);
  app.add_option("--drop-random", options.drop_probability, "remove each frame, with a probability")
      ->check(fraction());
  app.add_option("--wrap-after", options.wrap_after,
                 "sequence numbers pass 2^32 after so many bytes of each direction");
  app.add_option("--fragment", options.fragment_bytes,
                 "IP packets larger than so many bytes become fragments")
      ->check(whole(kFragmentMin, 65535));
  app.add_flag("--fragment-reverse", options.fragment_reverse, "the last fragment comes first");
  app.add_option("--duplicate", options.duplicate_probability,
                 "copy each frame, with a probability")
      ->check(fraction());
  app.add_option("--duplicate-distance", options.duplicate_distance,
                 "the copy comes up to so many frames later")
      ->check(whole(1, kSizeMax))
      ->capture_default_str();
  app.add_option("--reorder", options.reorder_probability, "move each frame, with a probability")
      ->check(fraction());
  app.add_option("--reorder-distance", options.reorder_distance, "it comes up to so many later")
      ->check(whole(1, kSizeMax))
      ->capture_default_str();
  app.add_option("--snaplen", options.snaplen, "keep so many bytes of each frame")
      ->check(whole(1, 1 << 20));
  app.add_flag_callback(
      "--big-endian", [&options] { options.big_endian = true; },
      "write the file in big-endian byte order");
}

int refuse(const std::string& why) {
  std::fprintf(stderr, "pcapdamage: %s\n", why.c_str());
  return 2;
}

}  // namespace

int main(int count, char** arguments) {
  DamageOptions options;
  std::string input;
  std::string output;
  CLI::App app("Damages a classic capture file on purpose, the same way every time.", "pcapdamage");
  add_options(app, options);
  app.add_option("INPUT", input, "the capture (pcap)")->required();
  app.add_option("OUTPUT", output, "the damaged one")->required();
  try {
    app.parse(count, arguments);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help
    return refuse(std::string(error.what()) + "; see --help");
  }

  pcapdamage::CaptureFile capture;
  std::string error = pcapdamage::read_capture(input, capture);
  if (!error.empty()) return refuse(error);
  pcapdamage::damage_capture(capture, options);
  error = pcapdamage::write_capture(output, capture);
  if (!error.empty()) return refuse(error);
  return 0;
}
