#include "io/preflight.h"

#include <unistd.h>

#include <cstdio>
#include <string>
#include <variant>
#include <vector>

#include "io/capture_filter.h"
#include "io/config_check.h"
#include "io/engine_settings.h"
#include "io/exit_code.h"
#include "io/file_source.h"
#include "io/live_source.h"
#include "io/offloads.h"
#include "io/privileges.h"

namespace tcp_sniffer {

namespace {

void say(const std::string& text) {
  std::printf("%s\n", text.c_str());
}

std::string ports_text(const Config& config) {
  if (config.ports.empty()) return "every TCP port";
  std::string text;
  for (const uint16_t port : config.ports) {
    text += (text.empty() ? "" : ", ") + std::to_string(port);
  }
  return text;
}

int check_files(const Config& config) {
  int status = 0;
  for (const std::string& path : config.files) {
    say("file:       " + (path == "-" ? std::string("standard input") : path));
    if (const std::string problem = FileSource::problem_of(path); !problem.empty()) {
      say("problem:    " + std::string(code_name(ErrorCode::kInputFile)) + ": " + problem);
      status = exit_status(ErrorCode::kInputFile);
    }
  }
  return status;
}

// GRO, LRO and their kin distort what is captured; said once for each meaning.
void say_offloads(const std::string& interface) {
  std::string names;
  const std::vector<Offload> active = active_offloads(interface);
  for (size_t i = 0; i < active.size(); i++) {
    names += (names.empty() ? "" : ", ") + active[i].name;
    if (i + 1 < active.size() && active[i + 1].meaning == active[i].meaning) continue;
    say("offloads:   " + names + ": " + active[i].meaning);
    names.clear();
  }
  if (active.empty()) {
    say("offloads:   none that changes what is captured");
  } else {
    say("            see them with ethtool -k " + interface + ", and change them with ethtool -K");
  }
}

int check_user(const std::string& name) {
  if (name.empty()) return 0;
  const auto user = find_user(name);
  if (const auto* error = std::get_if<std::string>(&user)) {
    say("problem:    INVALID_CONFIG: " + *error);
    return exit_status(ErrorCode::kInvalidConfig);
  }
  if (geteuid() != 0 && geteuid() != std::get<UserIdentity>(user).uid) {
    say("problem:    PERMISSION_DENIED: user: only root can become " + name);
    return exit_status(ErrorCode::kPermissionDenied);
  }
  say("user:       " + name + ", once the capture is open");
  return 0;
}

int check_live(const Config& config, const CaptureFilter& filter) {
  const auto interface = interface_or_default(config.interface);
  if (const auto* problem = std::get_if<LiveProblem>(&interface)) {
    say("interface:  none found");
    say("problem:    " + std::string(code_name(problem->code)) + ": " + problem->message);
    return exit_status(problem->code);
  }
  LiveOptions options;
  options.interface = std::get<std::string>(interface);
  options.snaplen = static_cast<uint32_t>(config.snaplen);
  options.promiscuous = false;  // looking must not change the interface
  auto opened = LiveSource::open(options, filter);
  if (const auto* problem = std::get_if<LiveProblem>(&opened)) {
    say("interface:  " + options.interface);
    say("problem:    " + std::string(code_name(problem->code)) + ": " + problem->message);
    return exit_status(problem->code);
  }
  const LiveSource& live = *std::get<std::unique_ptr<LiveSource>>(opened);
  say("interface:  " + live.interface() + (live.interface_is_up() ? ", up" : ", down"));
  say("link type:  " + std::to_string(static_cast<int>(live.link_type())));
  say("rights:     enough to capture");
  say("timestamps: " + std::string(live.has_nanoseconds() ? "nanoseconds" : "microseconds"));
  say("filter:     " + live.filter_text());
  say("            " + std::to_string(live.filter_instructions()) + " instructions of 4096");
  if (!live.warning().empty()) say("note:       " + live.warning());
  if (live.interface() != "any") say_offloads(live.interface());
  return check_user(config.user);
}

}  // namespace

int check(const Config& config) {
  auto filter = CaptureFilter::make(filter_options(config));
  if (const auto* error = std::get_if<std::string>(&filter)) {
    say("problem:    INVALID_CONFIG: " + *error);
    return exit_status(ErrorCode::kInvalidConfig);
  }
  const int status =
      config.live() ? check_live(config, std::get<CaptureFilter>(filter)) : check_files(config);
  say("ports:      " + ports_text(config));
  say("shards:     " + std::to_string(config.shards));
  say("output:     " + (config.output.empty() ? std::string("standard output") : config.output));
  for (const std::string& key : keys_without_effect(config)) {
    say("note:       " + key + " has no effect in this run");
  }
  say(status == 0 ? "ready" : "not ready");
  std::fflush(stdout);
  return status;
}

}  // namespace tcp_sniffer
