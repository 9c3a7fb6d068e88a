#include "io/config/config_check.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <span>
#include <string_view>
#include <variant>

#include "core/field/fields.h"
#include "core/metrics/routes.h"
#include "io/base/capture_address.h"
#include "io/base/printable.h"
#include "io/config/condition_error.h"
#include "io/config/config_values.h"
#include "shard/pin_thread.h"

namespace tcp_sniffer {
namespace {

// The columns of a table when none are selected.
constexpr std::string_view kTableFields[] = {
    "timestamp",     "connectionId", "exchange",  "direction", "destination.ip", "receiver.ip",
    "receiver.port", "method",       "host",      "path",      "status",         "contentType",
    "bodySize",      "durationMs",   "latencyMs", "incomplete"};
constexpr std::string_view kExchangeTableFields[] = {
    "timestamp",          "connectionId",     "exchange", "destination.ip", "receiver.ip",
    "receiver.port",      "method",           "host",     "path",           "status",
    "contentType",        "request.bodySize", "bodySize", "latencyMs",      "totalMs",
    "request.incomplete", "incomplete",       "orphan"};

std::optional<Problem> check_input(const Config& config, const Environment& environment) {
  if (!config.interfaces.empty() && !config.files.empty()) {
    return error("interface: " + quote_text(config.interfaces.front()) + " and files: " +
                 quote_text(config.files.front()) + " exclude each other; allowed: one of the two");
  }
  const auto from_stdin = std::count(config.files.begin(), config.files.end(), "-");
  if (from_stdin > 0 && environment.config_from_stdin) {
    return error(
        "files: \"-\" is standard input, which --config - reads too; allowed: one of "
        "the two");
  }
  if (from_stdin > 1) {
    return error("files: \"-\" is given twice; allowed: standard input once");
  }
  if (config.live() && config.ports.empty()) {
    return error(
        "ports: none given for live capture; allowed: a list of whole numbers from 1 to "
        "65535, none twice (-p 80,8080); -r FILE reads capture files instead, --help "
        "lists all keys");
  }
  return {};
}

// What can be followed, and pcap over IP, which can only be followed.
std::optional<Problem> check_follow(const Config& config) {
  if (config.follow && config.live()) {
    return error("follow: true without files; allowed: files with what is to be followed");
  }
  for (const std::string& file : config.files) {
    const std::string key = "files: " + quote_text(file);
    if (config.follow && file == "-") {
      return error(key +
                   " is standard input, which is read to its end without follow; allowed: "
                   "follow false, or a file, a folder, a pattern, tcp:// or tcp-listen://");
    }
    if (!is_capture_address(file)) continue;
    if (!config.follow) return error(key + " needs follow; allowed: --follow, or capture files");
    if (config.files.size() > 1) {
      return error(key + " together with other files; allowed: it alone");
    }
    if (!parse_capture_address(file)) {
      return error(key +
                   " is not complete; allowed: tcp://HOST:PORT to connect, or "
                   "tcp-listen://ADDRESS:PORT to listen, an IPv6 address in brackets");
    }
  }
  return {};
}

std::optional<Problem> check_threads(const Config& config) {
  const size_t interfaces = std::max<size_t>(config.interfaces.size(), 1);
  if (config.live() && interfaces > 1 && config.shards == 0) {
    return error("shards: 0 together with " + std::to_string(interfaces) +
                 " interfaces; each interface has a capture thread of its own, and without shards "
                 "the two directions of a connection would not meet; allowed: shards 1 or more, or "
                 "one interface");
  }
  if (config.live() && interfaces * config.capture_threads > kCaptureThreadsMax) {
    return error("captureThreads: " + std::to_string(config.capture_threads) + " for each of " +
                 std::to_string(interfaces) + " interfaces; allowed: at most " +
                 std::to_string(kCaptureThreadsMax) + " capture threads together");
  }
  if (config.capture_threads > 1 && config.shards == 0 && config.tunnels) {
    return error("captureThreads: " + std::to_string(config.capture_threads) +
                 " together with shards: 0 and tunnels: true; the kernel spreads packets by their "
                 "outer header, so the directions of a tunnelled connection would not meet; "
                 "allowed: captureThreads 1, shards 1 or more, or tunnels false");
  }
  return {};
}

// `0-3, 8`
std::string ranges_of(const std::bitset<1024>& cpus) {
  std::string text;
  for (size_t first = 0; first < cpus.size(); ++first) {
    if (!cpus[first]) continue;
    size_t last = first;
    while (last + 1 < cpus.size() && cpus[last + 1]) ++last;
    if (!text.empty()) text += ", ";
    text += std::to_string(first);
    if (last > first) text += "-" + std::to_string(last);
    first = last;
  }
  return text;
}

std::optional<Problem> check_cpus(const Config& config, const Environment& environment) {
  if (environment.usable_cpus.none()) return {};
  for (const uint16_t cpu : config.pin_cpus) {
    if (environment.usable_cpus[cpu]) continue;
    return error(
        "pinCpus: " + std::to_string(cpu) +
        " is no CPU that this process may use; allowed: " + ranges_of(environment.usable_cpus));
  }
  return {};
}

std::optional<Problem> check_secrets(const Config& config) {
  if (config.hex_dump && redacts(config)) {
    return error(
        "hexDump: true together with something to redact; the bytes of segments cannot be "
        "redacted; allowed: hexDump false, or no redactHeaders, redactQuery, redactBody and "
        "redactPattern");
  }
  if (redacts(config) && config.redact_mode == RedactMode::kHash &&
      config.redact_key_file.empty()) {
    return error(
        "redactMode: \"hash\" without a key; allowed: mask, or redactKeyFile with the file that "
        "has the key");
  }
  return {};
}

std::optional<Problem> check_select(const Config& config) {
  if (config.select.empty()) return {};
  for (const std::string& name : config.select) {
    const auto parsed = parse_field(name);
    const auto* field = std::get_if<FieldRef>(&parsed);
    if (field == nullptr) continue;
    if (config.records == Records::kMessage && field->of == FieldOf::kExchange) {
      return error("select: " + quote_text(name) +
                   " together with records: message, whose lines do not have it; allowed: records "
                   "exchange");
    }
    if (config.records == Records::kExchange && field->field == Field::kDirection) {
      return error("select: " + quote_text(name) +
                   " together with records: exchange, whose lines have both; allowed: records "
                   "message");
    }
  }
  if (config.format != OutputFormat::kPretty) return {};
  return error("select: " + quote_text(config.select.front()) +
               " together with format: pretty, whose lines have fields of their own; allowed: "
               "format ndjson, packed, framed, tsv, csv");
}

std::optional<Problem> check_parts(const Config& config) {
  if (config.partial_after_ms == 0 || config.format == OutputFormat::kPretty) return {};
  const std::string key = "partialAfterMs: " + std::to_string(config.partial_after_ms);
  if (config.records == Records::kExchange) {
    return error(key +
                 " together with records: exchange, whose lines are written when the exchange has "
                 "ended; allowed: records message");
  }
  return {};
}

std::optional<Problem> check_metrics(const Config& config) {
  const size_t routes = config.metrics_routes.size();
  if (routes <= Routes::kMax) return {};
  return error("metricsRoutes: " + std::to_string(routes) +
               " patterns are too many; allowed: at most " + std::to_string(Routes::kMax));
}

std::optional<Problem> check_kafka(const Config& config) {
  if (config.sensor_name.size() > kSensorNameMax) {
    return error("sensorName: " + quote_text(config.sensor_name) + " has " +
                 std::to_string(config.sensor_name.size()) + " bytes; allowed: at most " +
                 std::to_string(kSensorNameMax));
  }
  if (!is_kafka(config.output)) return {};
  KafkaTarget target;
  if (const std::string fault = read_kafka_target(config.output, target); !fault.empty()) {
    // What stands before an @ may be a password.
    const bool may_show = config.output.find('@') == std::string::npos;
    return error("output: " + (may_show ? quote_text(config.output) : "kafka://...") + " " + fault +
                 "; allowed: kafka://HOST:PORT,.../TOPIC");
  }
  if (config.format == OutputFormat::kFramed || config.format == OutputFormat::kPretty) {
    const std::string format = config.format == OutputFormat::kFramed ? "framed" : "pretty";
    return error("format: " + format +
                 " together with an output to Kafka, whose messages have lengths and are read by "
                 "programs; allowed: format ndjson, packed, tsv, csv");
  }
  if (const std::string fault = fault_of_kafka(); !fault.empty()) {
    return error("output: " + quote_text(config.output) + " cannot be written: " + fault);
  }
  return {};
}

std::optional<Problem> check_limits(const Config& config) {
  if (config.reassembly_buffer_size > config.memory_limit) {
    return error("reassemblyBufferSize: " + std::to_string(config.reassembly_buffer_size) +
                 " is more than memoryLimit: " + std::to_string(config.memory_limit) +
                 "; allowed: at most memoryLimit");
  }
  return {};
}

// Empty if it is not set.
std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view{} : std::string_view{value};
}

std::string host_name() {
  char name[256] = "";
  return ::gethostname(name, sizeof(name) - 1) == 0 ? name : "";
}

uint32_t columns_of_stdout() {
  winsize size{};
  return ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

}  // namespace

Environment current_environment() {
  return {.cpus = usable_cpu_count(),
          .stdout_is_terminal = ::isatty(STDOUT_FILENO) == 1,
          .stderr_is_terminal = ::isatty(STDERR_FILENO) == 1,
          .stdout_columns = columns_of_stdout(),
          .no_color = !variable("NO_COLOR").empty(),
          .terminal_is_dumb = variable("TERM") == "dumb",
          .config_path = std::string(variable("TCP_SNIFFER_CONFIG")),
          .host_name = host_name(),
          .usable_cpus = usable_cpus()};
}

void resolve_defaults(Config& config, const Environment& environment) {
  const bool live = config.live();
  if (config.output == "-") config.output.clear();
  const bool to_terminal = environment.stdout_is_terminal && config.output.empty();
  if (!is_given(config, "format")) {
    const bool pretty = to_terminal && config.select.empty();
    config.format = pretty ? OutputFormat::kPretty : OutputFormat::kNdjson;
  }
  const bool table = config.format == OutputFormat::kTsv || config.format == OutputFormat::kCsv;
  if (table && config.select.empty()) {
    const std::span<const std::string_view> usual =
        config.records == Records::kExchange
            ? std::span<const std::string_view>(kExchangeTableFields)
            : std::span<const std::string_view>(kTableFields);
    config.select.assign(usual.begin(), usual.end());
  }
  if (config.quiet) config.log_level = std::max(config.log_level, LogLevel::kWarn);
  config.columns = to_terminal ? environment.stdout_columns : 0;
  if (config.color == Color::kAuto) {
    const bool colours = to_terminal && !environment.no_color && !environment.terminal_is_dumb;
    config.color = colours ? Color::kAlways : Color::kNever;
  }
  if (!is_given(config, "shards")) {
    // One CPU is the capture thread's; the writer and the control thread sleep most of the time.
    config.shards = std::clamp(environment.cpus, 2u, 257u) - 1;
    // People compare runs and read along in time: one shard keeps the order of completion.
    if (!live && config.format == OutputFormat::kPretty) config.shards = 0;
    // The first ones.
    if (!live && config.count > 0) config.shards = 0;
  }
  if (config.sensor_name.empty()) config.sensor_name = environment.host_name;
  if (!is_given(config, "overload")) config.overload = live ? Overload::kDrop : Overload::kBlock;
  if (!is_given(config, "tunnels")) config.tunnels = !live;
  if (!is_given(config, "reassemblyBufferSize")) {
    // What one direction sends while the other one is late.
    if (config.interfaces.size() > 1) config.reassembly_buffer_size = kLateLegBytes;
    config.reassembly_buffer_size = std::min(config.reassembly_buffer_size, config.memory_limit);
  }
  if (environment.config_from_stdin) {
    config.log_format = LogFormat::kJson;  // its reader is a program
  } else if (config.log_format == LogFormat::kAuto) {
    config.log_format = environment.stderr_is_terminal ? LogFormat::kText : LogFormat::kJson;
  }
}

bool redacts_bodies(const Config& config) {
  return !config.redact_body.empty() || !config.redact_pattern.empty();
}

bool redacts(const Config& config) {
  return !config.redact_headers.empty() || !config.redact_query.empty() || redacts_bodies(config);
}

std::optional<Problem> check_config(const Config& config, const Environment& environment) {
  if (auto wrong = check_follow(config)) return wrong;
  if (auto wrong = check_input(config, environment)) return wrong;
  if (auto wrong = check_threads(config)) return wrong;
  if (auto wrong = check_cpus(config, environment)) return wrong;
  if (auto wrong = check_limits(config)) return wrong;
  if (auto wrong = check_secrets(config)) return wrong;
  if (auto wrong = check_select(config)) return wrong;
  if (auto wrong = check_condition("where", config.where)) return wrong;
  if (auto wrong = check_condition("alwaysKeep", config.always_keep)) return wrong;
  if (auto wrong = check_parts(config)) return wrong;
  if (auto wrong = check_metrics(config)) return wrong;
  if (auto wrong = check_kafka(config)) return wrong;
  return check_supported(config);
}

std::optional<Problem> check_supported(const Config& config, std::span<const KeySpec> keys) {
  const Config defaults;
  for (const KeySpec& key : keys) {
    if (key.supported) continue;
    const nlohmann::json value = get_value(key, config);
    if (value == get_value(key, defaults)) continue;
    const std::string shown =
        value.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace).substr(0, 64);
    return error(std::string(key.name) + ": " + shown +
                 " is not yet supported; allowed: " + default_text(key) + ", the default");
  }
  return {};
}

std::vector<std::string> keys_without_effect(const Config& config) {
  std::vector<std::string> names;
  const auto add_if = [&](std::string_view name, bool idle) {
    if (idle && is_given(config, name)) names.emplace_back(name);
  };
  for (const KeySpec& key : config_keys()) add_if(key.name, key.live_only && !config.live());
  add_if("followIdle", !config.follow);
  add_if("fileOrder", config.follow);
  const bool extracts = !config.extract_dir.empty() && config.max_body_size > 0;
  for (const char* key : {"sensorName", "kafkaProperties", "kafkaPropertiesFile"}) {
    add_if(key, !is_kafka(config.output));
  }
  add_if("kafkaConnectTimeoutMs", !is_kafka(config.output) || config.live() || config.follow);
  add_if("extractDir", config.max_body_size == 0);
  add_if("decodeBodies", config.max_body_size == 0 || (config.format == OutputFormat::kPretty &&
                                                       config.verbose < 2 && !extracts));
  const bool hashes = redacts(config) && config.redact_mode == RedactMode::kHash;
  add_if("redactMode", !redacts(config));
  add_if("redactKeyFile", !hashes);
  add_if("color", config.format != OutputFormat::kPretty);
  add_if("records", config.format == OutputFormat::kPretty);
  add_if("partialAfterMs", config.format == OutputFormat::kPretty);
  add_if("fields", !config.select.empty());
  add_if("rawHeaders", !config.select.empty());
  add_if("utc", config.format != OutputFormat::kPretty);
  add_if("verbose", config.format != OutputFormat::kPretty);
  add_if("writeIncomplete", !extracts);
  add_if("extractMaxBytes", !extracts);
  add_if("extractMaxFiles", !extracts);
  add_if("debugLog", !config.debug && !config.hex_dump);
  add_if("tunnelDepth", !config.tunnels);
  add_if("keyTunnel", !config.tunnels);
  add_if("sampleSeed", config.sample_rate >= 1.0 && config.sample_exchanges >= 1.0);
  add_if("alwaysKeep", config.sample_exchanges >= 1.0);
  add_if("metricsSeriesMax", config.metrics_listen.empty());
  add_if("metricsRoutes", config.metrics_listen.empty() || config.metrics_series_max == 0);
  return names;
}

}  // namespace tcp_sniffer
