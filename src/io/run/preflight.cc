#include "io/run/preflight.h"

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "io/base/printable.h"
#include "io/base/privileges.h"
#include "io/base/problem.h"
#include "io/base/writable.h"
#include "io/capture/capture_filter.h"
#include "io/capture/interfaces.h"
#include "io/capture/live_source.h"
#include "io/capture/offloads.h"
#include "io/config/config_check.h"
#include "io/event/debug_log.h"
#include "io/file/file_head.h"
#include "io/file/file_source.h"
#include "io/output/body_extractor.h"
#include "io/output/output_writer.h"
#include "io/run/engine_settings.h"
#include "io/run/follow_run.h"
#include "io/run/metrics.h"

namespace tcp_sniffer {

namespace {

void print_line(const std::string& text) {
  std::printf("%s\n", text.c_str());
}

int print_problem(const Problem& problem) {
  print_line("problem:    " + std::string(code_name(problem.code)) + ": " + problem.message());
  return exit_status(problem.code);
}

// A run ends at its first problem.
void keep_first(int& status, int later) {
  if (status == 0) status = later;
}

std::string ports_text(const Config& config) {
  if (config.ports.empty()) return "every TCP port";
  std::string text;
  for (const uint16_t port : config.ports) {
    text += (text.empty() ? "" : ", ") + std::to_string(port);
  }
  return text;
}

void print_link_type(LinkType link_type) {
  print_line("link type:  " + std::to_string(static_cast<int>(link_type)) +
             (is_supported(link_type) ? "" : ", whose frames cannot be read and are left out"));
}

// For good: what the run opens from then on is looked at as that user.
int check_user(const Config& config) {
  const std::string& name = config.user;
  if (name.empty()) return 0;
  const auto user = find_user(name);
  if (const auto* problem = std::get_if<Problem>(&user)) return print_problem(*problem);
  print_line("user:       " + name +
             (config.live() ? ", once the capture is open" : ", before the files are opened"));
  const auto refused = become_user(std::get<UserIdentity>(user));
  return refused ? print_problem(*refused) : 0;
}

int check_followed(const Config& config) {
  int status = check_user(config);
  for (const std::string& entry : config.files) {
    print_line("follow:     " + entry);
    if (const auto problem = FollowRun::problem_of(entry))
      keep_first(status, print_problem(*problem));
  }
  if (!config.filter.empty()) print_line("filter:     " + config.filter);
  return status;
}

int check_files(const Config& config) {
  if (config.follow) return check_followed(config);
  int status = check_user(config);
  for (const std::string& path : files_to_read(config)) {
    print_line("file:       " + (path == "-" ? std::string("standard input") : path));
    if (const auto problem = FileSource::problem_of(path)) {
      keep_first(status, print_problem(*problem));
    } else if (const auto link_type = read_file_head(path).link_type) {
      print_link_type(*link_type);
    }
  }
  if (!config.filter.empty()) print_line("filter:     " + config.filter);
  return status;
}

// GRO, LRO and similar offloads distort what is captured; printed once for each meaning.
void print_offloads(const std::string& interface) {
  std::string names;
  const std::vector<Offload> active = active_offloads(interface);
  for (size_t i = 0; i < active.size(); i++) {
    names += (names.empty() ? "" : ", ") + active[i].name;
    if (i + 1 < active.size() && active[i + 1].meaning == active[i].meaning) continue;
    print_line("offloads:   " + names + ": " + active[i].meaning);
    names.clear();
  }
  if (active.empty()) {
    print_line("offloads:   none that changes what is captured");
  } else {
    print_line("            see them with ethtool -k " + interface +
               ", and change them with ethtool -K");
  }
}

// The kernel takes the memory of its buffers when the capture is opened; looking takes none.
std::optional<Problem> problem_of_buffers(const Config& config) {
  const uint64_t wanted_mib = capture_count(config) * config.buffer_size_mib;
  const uint64_t machine_mib = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                                   static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) >>
                               20;
  if (wanted_mib <= machine_mib) return {};
  return Problem{ErrorCode::kCaptureOpenFailed, "",
                 "the capture buffers (bufferSizeMiB for each capture thread) take " +
                     std::to_string(wanted_mib) + " MiB, and the machine has " +
                     std::to_string(machine_mib)};
}

int check_interface(const Config& config, const CaptureFilter& filter, const std::string& name) {
  LiveOptions options;
  options.interface = name;
  options.snaplen = static_cast<uint32_t>(config.snaplen);
  options.promiscuous = false;  // looking must not change the interface
  auto opened = LiveSource::open(options, filter);
  if (const auto* problem = std::get_if<Problem>(&opened)) {
    print_line("interface:  " + options.interface);
    return print_problem(*problem);
  }
  const LiveSource& live = *std::get<std::unique_ptr<LiveSource>>(opened);
  print_line("interface:  " + live.interface() + (live.interface_is_up() ? ", up" : ", down"));
  print_link_type(live.link_type());
  print_line("rights:     enough to capture");
  print_line("timestamps: " + std::string(live.has_nanoseconds() ? "nanoseconds" : "microseconds"));
  if (live.filter_text().empty()) {
    print_line("filter:     none in the kernel; ports and filter are judged in the program");
  } else {
    print_line("filter:     " + live.filter_text());
    print_line("            " + std::to_string(live.filter_instructions()) +
               " instructions of 4096");
  }
  if (!live.warning().empty()) print_line("note:       " + live.warning());
  if (!is_pseudo_interface(live.interface())) print_offloads(live.interface());
  return 0;
}

int check_live(const Config& config, const CaptureFilter& filter) {
  int status = 0;
  if (config.interfaces.empty()) {
    const auto chosen = interface_or_default("");
    if (const auto* problem = std::get_if<Problem>(&chosen)) {
      print_line("interface:  none found");
      return print_problem(*problem);
    }
    status = check_interface(config, filter, std::get<std::string>(chosen));
  }
  for (const std::string& name : config.interfaces) {
    keep_first(status, check_interface(config, filter, name));
  }
  if (status != 0) return status;
  status = check_user(config);
  if (const auto problem = problem_of_buffers(config)) keep_first(status, print_problem(*problem));
  return status;
}

bool lacks_reader(const std::string& path) {
  return is_fifo(path) && !has_reader(path);
}

// Connects to the brokers, and writes nothing.
int check_kafka_output(const Config& config) {
  print_line("output:     " + config.output);
  const auto found = KafkaWriter::look_at(kafka_settings(config).kafka);
  if (const auto* problem = std::get_if<Problem>(&found)) return print_problem(*problem);
  print_line("library:    librdkafka " + kafka_library_version());
  print_line("partitions: " + std::to_string(std::get<uint32_t>(found)));
  print_line("sensor:     " + printable(config.sensor_name));
  return 0;
}

// What is written, in the order in which a run opens it.
int check_outputs(const Config& config) {
  int status = 0;
  const auto look_at = [&](const std::string& what, const std::optional<Problem>& problem) {
    print_line(what);
    if (problem) keep_first(status, print_problem(*problem));
  };
  if (is_kafka(config.output)) {
    keep_first(status, check_kafka_output(config));
  } else {
    look_at("output:     " + (config.output.empty() ? "standard output" : config.output),
            OutputWriter::problem_of(config.output));
  }
  if (lacks_reader(config.output)) {
    print_line("note:       this FIFO has no reader: the capture begins when it has one");
  }
  if (!config.extract_dir.empty()) {
    look_at("bodies:     " + config.extract_dir, BodyExtractor(extract_settings(config)).open());
  }
  if (config.debug || config.hex_dump) {
    look_at("debug log:  " + config.debug_log, DebugLog::problem_of(config.debug_log));
  }
  if (!config.metrics_listen.empty()) {
    look_at("metrics:    " + config.metrics_listen,
            MetricsServer::problem_of(config.metrics_listen));
  }
  return status;
}

int check_all(const Config& config) {
  auto filter = CaptureFilter::make(filter_options(config));
  if (const auto* problem = std::get_if<Problem>(&filter)) return print_problem(*problem);
  int status =
      config.live() ? check_live(config, std::get<CaptureFilter>(filter)) : check_files(config);
  print_line("ports:      " + ports_text(config));
  print_line("shards:     " + std::to_string(config.shards));
  keep_first(status, check_outputs(config));
  for (const std::string& key : keys_without_effect(config)) {
    print_line("note:       " + key + " has no effect in this run");
  }
  return status;
}

}  // namespace

int check(const Config& config) {
  const int status = check_all(config);
  const bool waits = lacks_reader(config.output);
  print_line(status != 0 ? "not ready" : waits ? "ready when the output has a reader" : "ready");
  const bool told = std::fflush(stdout) == 0 && std::ferror(stdout) == 0;
  return status == 0 && !told ? exit_status(ErrorCode::kOutputFailed) : status;
}

}  // namespace tcp_sniffer
