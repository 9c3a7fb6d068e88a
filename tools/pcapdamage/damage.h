#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>

#include "capture_file.h"

namespace pcapdamage {

// Every fault that can be put on a capture. Probabilities are 0 to 1; a zero or empty value leaves
// that fault out. Frame numbers count from 1 and are those of the capture as read.
struct DamageOptions {
  std::uint64_t seed = 1;

  std::size_t cut_start = 0;  // frames removed from the start: a capture begun midstream
  std::set<std::size_t> drop_frames = {};  // these frames
  double drop_probability = 0;             // and each other frame with this probability

  // Renumbers every direction of every connection so that the byte this far behind its first
  // captured sequence number is the first one with sequence number 0.
  std::optional<std::uint32_t> wrap_after = std::nullopt;

  std::size_t fragment_bytes = 0;  // largest IP packet; 0 = leave whole
  bool fragment_reverse = false;   // last fragment first

  double duplicate_probability = 0;
  std::size_t duplicate_distance = 1;  // the copy comes 1 to this many frames later

  double reorder_probability = 0;
  std::size_t reorder_distance = 3;  // the frame comes 1 to this many frames later

  std::uint32_t snaplen = 0;  // bytes kept of each frame; 0 = all
  std::optional<bool> big_endian = std::nullopt;
};

// Applies the faults in the order of the fields above. The same capture, options and seed give the
// same result on every machine. Times stay in ascending order where they were: a moved or copied
// frame gets the time of its new place, as a capture would have it.
void damage_capture(CaptureFile& capture, const DamageOptions& options);

}  // namespace pcapdamage
