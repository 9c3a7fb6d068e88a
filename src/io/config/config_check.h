#pragma once

#include <bitset>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/base/problem.h"
#include "io/config/config_keys.h"

namespace tcp_sniffer {

// What the defaults and the rules depend on beside the keys themselves.
struct Environment {
  unsigned cpus = 1;
  bool stdout_is_terminal = false;
  bool stderr_is_terminal = false;
  uint32_t stdout_columns = 0;     // of the terminal; 0: not known
  bool config_from_stdin = false;  // --config -
  bool no_color = false;           // NO_COLOR is not empty (https://no-color.org)
  bool terminal_is_dumb = false;   // TERM=dumb
  std::string config_path{};       // TCP_SNIFFER_CONFIG: the file when --config names none
  std::string host_name{};
  // The CPUs that this process may use, by number; none: not known, and pinCpus takes any.
  std::bitset<1024> usable_cpus{};
};

// Asks the system; config_from_stdin stays false.
Environment current_environment();

// Gives every key that was not given its default for this environment: shards, format, color,
// overload, tunnels, reassemblyBufferSize, sensorName and logFormat. Afterwards color is always or
// never, and logFormat is text or json.
void resolve_defaults(Config& config, const Environment& environment);

// Whether anything is to be redacted, in bodies and at all.
bool redacts_bodies(const Config& config);
bool redacts(const Config& config);

// The rules that span keys, on a resolved configuration. Returns nothing, or the first rule broken.
std::optional<Problem> check_config(const Config& config, const Environment& environment);

// Rejects every key of the table that is not supported and has another value than its default.
std::optional<Problem> check_supported(const Config& config,
                                       std::span<const KeySpec> keys = config_keys());

// The keys that were given and change nothing in this run: those of live capture when files are
// read, and those that need another key. For --check.
std::vector<std::string> keys_without_effect(const Config& config);

}  // namespace tcp_sniffer
