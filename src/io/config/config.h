#pragma once

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "core/base/defaults.h"
#include "core/base/limits.h"
#include "io/base/kafka_target.h"

namespace tcp_sniffer {

// The numeric value of each enumerator is its place in the key's list of words (config_keys.cc).
enum class OutputFormat : uint8_t { kNdjson, kFramed, kPacked, kPretty, kTsv, kCsv };
enum class Records : uint8_t { kMessage, kExchange };
enum class Color : uint8_t { kAuto, kAlways, kNever };
enum class FieldSet : uint8_t { kStandard, kExtended };
enum class BinaryBody : uint8_t { kOmit, kBase64 };
enum class GapPolicy : uint8_t { kEvidence, kBuffer };
enum class RedactMode : uint8_t { kMask, kHash };
enum class Overload : uint8_t { kBlock, kDrop };
enum class LogLevel : uint8_t { kDebug, kInfo, kWarn, kError };
enum class LogFormat : uint8_t { kAuto, kText, kJson };
enum class FileOrder : uint8_t { kTime, kGiven };
enum class Protocol : uint8_t { kHttp };  // and the others of core/protocol/table.h

constexpr size_t kConfigKeysMax = 96;
constexpr size_t kCaptureThreadsMax = 64;  // of all interfaces together
constexpr size_t kSensorNameMax = 255;     // bytes: what a host may be called

// What a run is configured by: one member for each key, which holds the key's default.
//
// Plain values, filled by the parsers on the main thread, completed by resolve_defaults, checked
// by check_config, and read-only afterwards; any thread may then read it, except the keys that
// reload (KeySpec): those are the control thread's. Sizes are bytes and times milliseconds unless
// the name says otherwise.
//
// The table in config_keys.cc gives each member its name, range and meaning.
struct Config {
  // What is read.
  std::vector<std::string> interfaces;  // empty: the first one that is up and not loopback
  std::vector<std::string> files;
  FileOrder file_order = FileOrder::kTime;
  bool follow = false;
  uint64_t follow_idle_ms = 0;  // 0: until a signal
  std::vector<uint16_t> ports;  // empty: every TCP port (files only)
  std::string filter;
  uint64_t snaplen = kSnaplenMax;
  uint64_t buffer_size_mib = defaults::kBufferSizeMiB;
  bool promiscuous = true;
  uint64_t capture_threads = 1;
  std::vector<uint16_t> pin_cpus;
  std::string user;

  // Which connections.
  double sample_rate = 1.0;
  uint64_t sample_seed = 0;
  std::string where;  // empty: every exchange
  double sample_exchanges = 1.0;
  std::string always_keep;
  std::vector<Protocol> protocols = {Protocol::kHttp};
  bool tunnels = false;  // resolved: true for files
  uint64_t tunnel_depth = defaults::kTunnelDepth;
  bool key_tunnel = true;
  bool key_vlan = false;

  // What is written.
  std::string output;                           // empty: standard output; kafka://...: a topic
  std::string sensor_name;                      // resolved: the host's name
  std::vector<std::string> kafka_properties;    // NAME=VALUE each
  std::string kafka_properties_file;            // empty: none
  std::vector<KafkaProperty> kafka_settings;    // resolved: those and the file's
  uint64_t kafka_connect_timeout_ms = 60000;    // 0: no limit
  OutputFormat format = OutputFormat::kNdjson;  // resolved: pretty on a terminal
  Records records = Records::kMessage;
  Color color = Color::kAuto;  // resolved: always or never
  uint32_t columns = 0;        // resolved: of the terminal; 0: none
  bool utc = false;
  uint64_t verbose = 0;
  FieldSet fields = FieldSet::kStandard;
  std::vector<std::string> select;  // resolved: not empty for tables
  uint64_t max_body_size = defaults::kMaxBodySize;
  BinaryBody binary_body = BinaryBody::kOmit;
  uint64_t partial_after_ms = 0;  // 0: messages are written whole
  bool decode_bodies = false;
  bool raw_headers = false;
  std::string client_header;  // empty: Forwarded or X-Forwarded-For
  uint64_t trusted_proxies = 0;
  std::vector<std::string> redact_headers;  // in lower case
  std::vector<std::string> redact_query;
  std::vector<std::string> redact_body;
  std::vector<std::string> redact_pattern;
  RedactMode redact_mode = RedactMode::kMask;
  std::string redact_key_file;  // empty: none
  std::string redact_key;       // resolved: its content
  std::string extract_dir;      // empty: off
  bool write_incomplete = false;
  uint64_t extract_max_bytes = uint64_t{10} << 30;
  uint64_t extract_max_files = 100000;

  // How TCP and IP are judged.
  bool defrag = true;
  bool verify_checksums = false;
  bool check_tcp_options = false;
  bool ignore_fsm_errors = true;
  bool allow_missing_init = true;
  GapPolicy gap_policy = GapPolicy::kEvidence;
  uint64_t gap_timeout_ms = defaults::kGapTimeoutMs;
  uint64_t connection_idle_timeout_ms = defaults::kConnectionIdleTimeoutMs;
  uint64_t flush_every = 0;

  // Bounds.
  uint64_t max_concurrent_connections = defaults::kMaxConcurrentConnections;
  uint64_t memory_limit = defaults::kMemoryLimit;
  uint64_t reassembly_buffer_size = defaults::kReassemblyBufferSize;  // resolved: <= memory_limit
  uint64_t max_header_bytes = defaults::kMaxHeaderBytes;
  uint64_t max_headers = defaults::kMaxHeaders;
  uint64_t max_outstanding_requests = defaults::kMaxOutstandingRequests;

  // How it runs and stops.
  uint64_t shards = 1;                  // resolved by resolve_defaults; 0 = on the capture thread
  Overload overload = Overload::kDrop;  // resolved: block for files
  uint64_t drain_timeout_ms = 5000;
  bool wait_for_connections = false;
  uint64_t duration_ms = 0;  // 0: until the input ends
  uint64_t count = 0;        // 0: no limit
  bool fail_if_none = false;

  // What it says about itself.
  bool quiet = false;
  LogLevel log_level = LogLevel::kInfo;     // resolved: at least warn with quiet
  LogFormat log_format = LogFormat::kAuto;  // resolved: text or json
  bool log_samples = true;
  uint64_t stats_interval_ms = 10000;
  uint64_t no_packets_warning_ms = 30000;
  std::string metrics_listen;          // empty: off; else ADDRESS:PORT, an IPv6 address in brackets
  uint64_t metrics_series_max = 1000;  // 0: requests are not counted by host
  std::vector<std::string> metrics_routes;
  bool debug = false;
  bool hex_dump = false;
  std::string debug_log = "reassembly.log";

  // Which keys the file or a flag gave, by their place in config_keys().
  std::bitset<kConfigKeysMax> given;

  bool live() const { return files.empty(); }
};

}  // namespace tcp_sniffer
