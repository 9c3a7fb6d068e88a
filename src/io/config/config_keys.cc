#include "io/config/config_keys.h"

#include <array>
#include <type_traits>

#include "core/base/limits.h"
#include "core/http/exchanges.h"
#include "core/protocol/table.h"

namespace tcp_sniffer {
namespace {

using Words = std::string_view;
constexpr Words kFileOrderWords[] = {"time", "given"};
constexpr Words kFormatWords[] = {"ndjson", "framed", "packed", "pretty", "tsv", "csv"};
constexpr Words kRecordsWords[] = {"message", "exchange"};
constexpr Words kColorWords[] = {"auto", "always", "never"};
constexpr Words kFieldsWords[] = {"standard", "extended"};
constexpr Words kBinaryBodyWords[] = {"omit", "base64"};
constexpr Words kGapPolicyWords[] = {"evidence", "buffer"};
constexpr Words kRedactModeWords[] = {"mask", "hash"};
constexpr Words kOverloadWords[] = {"block", "drop"};
constexpr Words kLogLevelWords[] = {"debug", "info", "warn", "error"};
constexpr Words kLogFormatWords[] = {"auto", "text", "json"};

template <auto Member>
constexpr WordTarget word() {
  return {[](Config& config, size_t index) {
            using Enum = std::remove_reference_t<decltype(config.*Member)>;
            config.*Member = static_cast<Enum>(index);
          },
          [](const Config& config) { return static_cast<size_t>(config.*Member); }};
}

constexpr uint64_t kMebibyte = uint64_t{1} << 20;
constexpr uint64_t kGibibyte = uint64_t{1} << 30;
constexpr uint64_t kHourMs = 3600000;

// Ranges that need a reason:
// - snaplen: libpcap's own maximum; below 64 not even the headers of IPv6 and TCP are kept.
// - bufferSizeMiB: libpcap takes the size in bytes as an int.
// - maxBodySize: the framed form has 32-bit lengths.
// - maxOutstandingRequests: what the ring of a connection can count.
// - memoryLimit: its parts (buffers, arenas, fragments, lines) must each be able to hold something.
// clang-format off
constexpr auto kKeys = std::to_array<KeySpec>({
    // What is read.
    {.name = "interface", .short_flag = "i", .value_name = "NAME", .group = KeyGroup::kInput,
     .target = &Config::interfaces, .text_kind = TextKind::kInterface,
     .default_text = "first interface that is up and not loopback",
     .meaning = "the interface to capture on; any, lo and nflog:GROUP work too. Several (-i eth1 -i eth2) "
     "are one capture: a request on one and its response on the other are an exchange",
     .live_only = true},
    {.name = "files", .short_flag = "r", .value_name = "FILE...", .group = KeyGroup::kInput,
     .target = &Config::files, .text_kind = TextKind::kPath, .default_text = "none: live capture",
     .meaning = "capture files (pcap, pcapng, also gzip or zstd), read as one stream; - is standard "
     "input"},
    {.name = "fileOrder", .value_name = "WORD", .group = KeyGroup::kInput,
     .target = word<&Config::file_order>(), .words = kFileOrderWords,
     .meaning = "time: several files are read in the order of their first packets; given: as "
     "named. With a pipe or standard input among them always as named"},
    {.name = "follow", .group = KeyGroup::kInput, .target = &Config::follow,
     .meaning = "read captures that still grow: files is a file, a folder, a pattern ('*.pcap', quoted), "
     "tcp://HOST:PORT or tcp-listen://ADDRESS:PORT (pcap over IP)"},
    {.name = "followIdle", .value_name = "TIME", .group = KeyGroup::kInput,
     .target = &Config::follow_idle_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = 24 * kHourMs,
     .meaning = "with follow: stop when nothing came for this time; 0 = go on until a signal"},
    {.name = "ports", .short_flag = "p", .value_name = "PORT,...", .group = KeyGroup::kInput,
     .target = &Config::ports, .minimum = 1, .maximum = 65535,
     .default_text = "required live; files: every port",
     .meaning = "TCP ports whose connections are read"},
    {.name = "filter", .value_name = "EXPRESSION", .group = KeyGroup::kInput,
     .target = &Config::filter,
     .meaning = "a libpcap filter, in addition to the ports; for files too"},
    {.name = "snaplen", .short_flag = "s", .value_name = "BYTES", .group = KeyGroup::kInput,
     .target = &Config::snaplen, .unit = Unit::kBytes, .minimum = 64, .maximum = kSnaplenMax,
     .meaning = "bytes captured of each frame", .live_only = true},
    {.name = "bufferSizeMiB", .value_name = "N", .group = KeyGroup::kInput,
     .target = &Config::buffer_size_mib, .minimum = 1, .maximum = 2047,
     .meaning = "size of the kernel's capture buffer of each capture thread, in MiB", .live_only = true},
    {.name = "promiscuous", .group = KeyGroup::kInput, .target = &Config::promiscuous,
     .meaning = "capture frames for other hosts too", .live_only = true},
    {.name = "captureThreads", .value_name = "N", .group = KeyGroup::kInput,
     .target = &Config::capture_threads, .minimum = 1, .maximum = kCaptureThreadsMax,
     .meaning = "capture threads of each interface; the kernel spreads the connections over them",
     .live_only = true},
    {.name = "pinCpus", .value_name = "CPU,...", .group = KeyGroup::kInput,
     .target = &Config::pin_cpus, .minimum = 0, .maximum = 1023,
     .meaning = "pin the threads to these CPUs, of those that the process may use: capture threads, "
     "then shards, then the writer"},
    {.name = "user", .value_name = "NAME", .group = KeyGroup::kInput, .target = &Config::user,
     .text_kind = TextKind::kName,
     .meaning = "become this user: live once the capture is open, of files before they are opened"},

    // Which connections.
    {.name = "sampleRate", .value_name = "FRACTION", .group = KeyGroup::kSelection,
     .target = &Config::sample_rate, .minimum = 0, .maximum = 1,
     .meaning = "the fraction of connections processed; a connection is whole or absent, and the "
     "same ones are chosen in every run"},
    {.name = "sampleSeed", .value_name = "N", .group = KeyGroup::kSelection,
     .target = &Config::sample_seed, .minimum = 0, .maximum = UINT64_MAX,
     .meaning = "another seed chooses other connections and exchanges"},
    {.name = "where", .value_name = "CONDITION", .group = KeyGroup::kSelection,
     .target = &Config::where, .text_kind = TextKind::kCondition,
     .meaning = "write only exchanges of which this holds: both messages or neither; for example "
     "status >= 500 or latencyMs > 1000", .reloads = true},
    {.name = "sampleExchanges", .value_name = "FRACTION", .group = KeyGroup::kSelection,
     .target = &Config::sample_exchanges, .minimum = 0, .maximum = 1,
     .meaning = "the fraction of exchanges written: both messages or neither, and the same ones in "
     "every run", .reloads = true},
    {.name = "alwaysKeep", .value_name = "CONDITION", .group = KeyGroup::kSelection,
     .target = &Config::always_keep, .text_kind = TextKind::kCondition,
     .meaning = "with sampleExchanges: exchanges that are written in any case", .reloads = true},
    {.name = "protocols", .value_name = "NAME,...", .group = KeyGroup::kSelection,
     .target = &Config::protocols, .words = kProtocolNames,
     .meaning = "protocols that are parsed"},
    {.name = "tunnels", .group = KeyGroup::kSelection, .target = &Config::tunnels,
     .default_text = "files: true; live: false",
     .meaning = "look into tunnels (GRE, VXLAN, GTP-U and others)"},
    {.name = "tunnelDepth", .value_name = "N", .group = KeyGroup::kSelection,
     .target = &Config::tunnel_depth, .minimum = 1, .maximum = 16,
     .meaning = "how many tunnels within each other are followed"},
    {.name = "keyTunnel", .group = KeyGroup::kSelection, .target = &Config::key_tunnel,
     .meaning = "connections in different tunnels (their kind, ends, VNI or GRE key) are different "
                "ones, and others than those outside of tunnels"},
    {.name = "keyVlan", .group = KeyGroup::kSelection, .target = &Config::key_vlan,
     .meaning = "connections in different VLANs are different ones"},

    // What is written.
    {.name = "output", .short_flag = "o", .value_name = "FILE", .group = KeyGroup::kOutput, .target = &Config::output,
     .text_kind = TextKind::kPath, .default_text = "standard output",
     .meaning = "file for the messages, re-opened on SIGHUP; - is standard output; "
     "kafka://HOST:PORT,.../TOPIC is a topic of Kafka"},
    {.name = "sensorName", .value_name = "NAME", .group = KeyGroup::kOutput,
     .target = &Config::sensor_name, .text_kind = TextKind::kName, .default_text = "the host's name",
     .meaning = "with Kafka: the header sensor of each message, which tells the sensors of a fleet apart; "
     "at most 255 bytes"},
    {.name = "kafkaProperties", .value_name = "NAME=VALUE,...", .group = KeyGroup::kOutput,
     .target = &Config::kafka_properties, .text_kind = TextKind::kProperty,
     .meaning = "librdkafka's own settings, for example compression.codec=lz4; no secrets"},
    {.name = "kafkaPropertiesFile", .value_name = "FILE", .group = KeyGroup::kOutput,
     .target = &Config::kafka_properties_file, .text_kind = TextKind::kPath,
     .meaning = "a file of such settings, one a line, which beat kafkaProperties; secrets stand here; "
     "only its owner may read it"},
    {.name = "kafkaConnectTimeoutMs", .value_name = "TIME", .group = KeyGroup::kOutput,
     .target = &Config::kafka_connect_timeout_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = kHourMs,
     .meaning = "with Kafka, when files are read: how long messages wait for the first answer of a broker before "
     "the run fails; 0 = no limit. Live and with follow, overload decides"},
    {.name = "format", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::format>(), .words = kFormatWords,
     .default_text = "ndjson; pretty when standard output is a terminal",
     .meaning = "ndjson: one JSON object a line; framed: bodies as raw bytes; packed: binary records for "
     "programs; pretty: for people; tsv, csv: a table of the fields in select"},
    {.name = "records", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::records>(), .words = kRecordsWords,
     .meaning = "message: a line for each message; exchange: one for a request with its responses"},
    {.name = "color", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::color>(), .words = kColorWords,
     .meaning = "pretty lines in colour; auto: on a terminal, unless NO_COLOR is set or TERM is dumb"},
    {.name = "verbose", .short_flag = "v", .value_name = "N", .group = KeyGroup::kOutput,
     .target = &Config::verbose, .minimum = 0, .maximum = 2,
     .meaning = "below each pretty line the headers (1, the same as -v), and bodies as well (2, -vv), decoded "
     "and in part"},
    {.name = "utc", .group = KeyGroup::kOutput, .target = &Config::utc,
     .meaning = "pretty lines with times in UTC instead of local time"},
    {.name = "fields", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::fields>(), .words = kFieldsWords,
     .meaning = "extended adds interface, frame numbers, headersSize, vlan, communityId, "
     "connectMs"},
    {.name = "select", .value_name = "FIELD,...", .group = KeyGroup::kOutput,
     .target = &Config::select, .text_kind = TextKind::kField,
     .default_text = "every field; tables: the usual ones",
     .meaning = "only these fields, in this order; --help-fields lists their names", .reloads = true},
    {.name = "maxBodySize", .value_name = "BYTES", .group = KeyGroup::kOutput,
     .target = &Config::max_body_size, .unit = Unit::kBytes, .minimum = 0, .maximum = UINT32_MAX,
     .meaning = "bytes of body kept of each message; 0 = none"},
    {.name = "binaryBody", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::binary_body>(), .words = kBinaryBodyWords,
     .meaning = "bodies that are not UTF-8: left out, or written in base64 (packed: as they are)"},
    {.name = "partialAfterMs", .value_name = "TIME", .group = KeyGroup::kOutput,
     .target = &Config::partial_after_ms, .unit = Unit::kMilliseconds, .minimum = 0, .maximum = kHourMs,
     .meaning = "a message whose body is still arriving after this time is written in parts; 0 = whole"},
    {.name = "decodeBodies", .group = KeyGroup::kOutput, .target = &Config::decode_bodies,
     .meaning = "undo gzip, deflate, br and zstd, up to maxBodySize of what was sent and of "
     "what comes out"},
    {.name = "rawHeaders", .group = KeyGroup::kOutput, .target = &Config::raw_headers,
     .meaning = "add the headers as sent, in their order"},
    {.name = "trustedProxies", .value_name = "N", .group = KeyGroup::kOutput,
     .target = &Config::trusted_proxies, .minimum = 0, .maximum = 100,
     .meaning = "adds client: the number of proxies in front of the server whose entries in Forwarded "
     "or X-Forwarded-For are believed; 0: none, the client is the connection's peer"},
    {.name = "clientHeader", .value_name = "NAME", .group = KeyGroup::kOutput,
     .target = &Config::client_header, .text_kind = TextKind::kHeaderName,
     .meaning = "adds client: the header to which the trusted proxies add the client's address, instead of Forwarded "
     "and X-Forwarded-For"},
    {.name = "redactHeaders", .value_name = "NAME,...", .group = KeyGroup::kOutput,
     .target = &Config::redact_headers, .text_kind = TextKind::kHeaderName,
     .meaning = "headers and trailers whose values are written as \"[redacted]\"", .reloads = true},
    {.name = "redactQuery", .value_name = "NAME,...", .group = KeyGroup::kOutput,
     .target = &Config::redact_query, .text_kind = TextKind::kName,
     .meaning = "query parameters whose values are written as \"[redacted]\" wherever a message repeats its target"
     " (referer, location and others)", .reloads = true},
    {.name = "redactBody", .value_name = "NAME,...", .group = KeyGroup::kOutput,
     .target = &Config::redact_body, .text_kind = TextKind::kName,
     .meaning = "JSON keys, form fields and parts of multipart bodies whose values are hidden; "
     "card.number is number within card. Coded bodies are decoded; a body that cannot be read is left out", .reloads = true},
    {.name = "redactPattern", .value_name = "REGEX", .group = KeyGroup::kOutput,
     .target = &Config::redact_pattern, .text_kind = TextKind::kPattern,
     .meaning = "what matches this expression (RE2) is hidden in targets, headers and bodies", .reloads = true},
    {.name = "redactMode", .value_name = "WORD", .group = KeyGroup::kOutput,
     .target = word<&Config::redact_mode>(), .words = kRedactModeWords,
     .meaning = "what stands in the place of a hidden value. mask: [redacted]; hash: 16 hexadecimal digits "
     "of its HMAC-SHA-256, the same for the same value", .reloads = true},
    {.name = "redactKeyFile", .value_name = "FILE", .group = KeyGroup::kOutput,
     .target = &Config::redact_key_file, .text_kind = TextKind::kPath,
     .meaning = "with redactMode hash: the file with the key, which only its owner may read", .reloads = true},
    {.name = "extractDir", .value_name = "DIRECTORY", .group = KeyGroup::kOutput,
     .target = &Config::extract_dir, .text_kind = TextKind::kPath,
     .meaning = "write each response body to a file in this directory"},
    {.name = "writeIncomplete", .group = KeyGroup::kOutput, .target = &Config::write_incomplete,
     .meaning = "with extractDir: incomplete bodies too"},
    {.name = "extractMaxBytes", .value_name = "BYTES", .group = KeyGroup::kOutput,
     .target = &Config::extract_max_bytes, .unit = Unit::kBytes, .minimum = 1,
     .maximum = uint64_t{1} << 50, .meaning = "with extractDir: bytes written in all"},
    {.name = "extractMaxFiles", .value_name = "N", .group = KeyGroup::kOutput,
     .target = &Config::extract_max_files, .minimum = 1, .maximum = 1000000000,
     .meaning = "with extractDir: files written in all"},

    // How TCP and IP are judged.
    {.name = "defrag", .group = KeyGroup::kTcp, .target = &Config::defrag,
     .meaning = "put IPv4 and IPv6 fragments together"},
    {.name = "verifyChecksums", .group = KeyGroup::kTcp, .target = &Config::verify_checksums,
     .meaning = "drop and count segments with a bad IP or TCP checksum; off, because "
     "offloading makes captured checksums wrong"},
    {.name = "checkTcpOptions", .group = KeyGroup::kTcp, .target = &Config::check_tcp_options,
     .meaning = "refuse segments that contradict the negotiated MSS or window"},
    {.name = "ignoreFsmErrors", .group = KeyGroup::kTcp, .target = &Config::ignore_fsm_errors,
     .meaning = "take segments that are illegal in the connection's TCP state; false: drop and "
     "count them"},
    {.name = "allowMissingInit", .group = KeyGroup::kTcp, .target = &Config::allow_missing_init,
     .meaning = "take connections whose SYN was not seen"},
    {.name = "gapPolicy", .value_name = "WORD", .group = KeyGroup::kTcp,
     .target = word<&Config::gap_policy>(), .words = kGapPolicyWords,
     .meaning = "when missing bytes are given up. evidence: when the receiver has acknowledged "
     "them; buffer: only when the buffer is full, on memory or close"},
    {.name = "gapTimeoutMs", .value_name = "TIME", .group = KeyGroup::kTcp,
     .target = &Config::gap_timeout_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = kHourMs,
     .meaning = "how long to wait for missing bytes when only one direction is captured"},
    {.name = "connectionIdleTimeoutMs", .value_name = "TIME", .group = KeyGroup::kTcp,
     .target = &Config::connection_idle_timeout_ms, .unit = Unit::kMilliseconds, .minimum = 1,
     .maximum = UINT32_MAX,
     .meaning = "packet time after which a silent connection ends; for files too"},
    {.name = "flushEvery", .value_name = "PACKETS", .group = KeyGroup::kTcp,
     .target = &Config::flush_every, .minimum = 0, .maximum = UINT32_MAX,
     .meaning = "also sweep timeouts every N packets; never changes what comes out; 0 = off"},

    // Bounds.
    {.name = "maxConcurrentConnections", .value_name = "N", .group = KeyGroup::kLimits,
     .target = &Config::max_concurrent_connections, .minimum = 1, .maximum = 100000000,
     .meaning = "connections followed at once; beyond, one that has ended or is half open is "
     "evicted, else the least recently active one"},
    {.name = "memoryLimit", .value_name = "BYTES", .group = KeyGroup::kLimits,
     .target = &Config::memory_limit, .unit = Unit::kBytes, .minimum = 16 * kMebibyte,
     .maximum = uint64_t{1} << 44, .meaning = "memory for everything that traffic can make grow"},
    {.name = "reassemblyBufferSize", .value_name = "BYTES", .group = KeyGroup::kLimits,
     .target = &Config::reassembly_buffer_size, .unit = Unit::kBytes, .minimum = 4096,
     .maximum = kGibibyte,
     .meaning = "bytes kept of one direction after missing bytes; at most memoryLimit. With several "
     "interfaces, of which one may be late, it is 64M unless given"},
    {.name = "maxHeaderBytes", .value_name = "BYTES", .group = KeyGroup::kLimits,
     .target = &Config::max_header_bytes, .unit = Unit::kBytes, .minimum = 1024,
     .maximum = 64 * kMebibyte,
     .meaning = "start line and headers of a message; beyond, it is incomplete: limit"},
    {.name = "maxHeaders", .value_name = "N", .group = KeyGroup::kLimits,
     .target = &Config::max_headers, .minimum = 1, .maximum = 100000,
     .meaning = "headers of a message; beyond, it is incomplete: limit"},
    {.name = "maxOutstandingRequests", .value_name = "N", .group = KeyGroup::kLimits,
     .target = &Config::max_outstanding_requests, .minimum = 1, .maximum = ExchangeRing::kSizeMax,
     .meaning = "requests of a connection that wait for their response; beyond, the response has "
                "no exchange"},

    // How it runs and stops.
    {.name = "shards", .value_name = "N", .group = KeyGroup::kRun, .target = &Config::shards,
     .minimum = 0, .maximum = 256, .default_text = "CPUs - 1, at least 1; files for people (pretty): 0",
     .meaning = "threads that reassemble and parse; 0 = everything on the capture thread"},
    {.name = "overload", .value_name = "WORD", .group = KeyGroup::kRun,
     .target = word<&Config::overload>(), .words = kOverloadWords,
     .default_text = "files: block; live: drop",
     .meaning = "when the reader of the output or a shard is too slow: wait, or drop and count"},
    {.name = "drainTimeoutMs", .value_name = "TIME", .group = KeyGroup::kRun,
     .target = &Config::drain_timeout_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = kHourMs,
     .meaning = "how long a stop waits for the reader of the output; the end of files waits "
     "without limit"},
    {.name = "waitForConnections", .group = KeyGroup::kRun, .target = &Config::wait_for_connections,
     .meaning = "on stop, keep capturing until the open connections have ended or 30 s are over",
     .live_only = true},
    {.name = "duration", .value_name = "TIME", .group = KeyGroup::kRun,
     .target = &Config::duration_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = 365 * 24 * kHourMs,
     .meaning = "stop after this time, as after Ctrl-C; 0 = when the input ends"},
    {.name = "count", .short_flag = "c", .value_name = "N", .group = KeyGroup::kRun,
     .target = &Config::count, .minimum = 0, .maximum = 1000000000000,
     .meaning = "stop after so many exchanges, as after Ctrl-C; with records message, so many responses; "
     "0 = when the input ends"},
    {.name = "failIfNone", .group = KeyGroup::kRun, .target = &Config::fail_if_none,
     .meaning = "exit with 1 when no message was written"},

    // What it says about itself.
    {.name = "quiet", .short_flag = "q", .group = KeyGroup::kReporting, .target = &Config::quiet,
     .meaning = "on standard error only warnings and errors: no summary, no progress", .reloads = true},
    {.name = "logLevel", .value_name = "WORD", .group = KeyGroup::kReporting,
     .target = word<&Config::log_level>(), .words = kLogLevelWords,
     .meaning = "the least important events that are written to standard error", .reloads = true},
    {.name = "logFormat", .value_name = "WORD", .group = KeyGroup::kReporting,
     .target = word<&Config::log_format>(), .words = kLogFormatWords,
     .meaning = "auto: text on a terminal, else json; with --config - always json"},
    {.name = "logSamples", .group = KeyGroup::kReporting, .target = &Config::log_samples,
     .meaning = "events may show the first bytes of a stream that is not HTTP"},
    {.name = "statsIntervalMs", .value_name = "TIME", .group = KeyGroup::kReporting,
     .target = &Config::stats_interval_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = 24 * kHourMs, .meaning = "time between two stats events; 0 = off"},
    {.name = "noPacketsWarningMs", .value_name = "TIME", .group = KeyGroup::kReporting,
     .target = &Config::no_packets_warning_ms, .unit = Unit::kMilliseconds, .minimum = 0,
     .maximum = 24 * kHourMs, .meaning = "silence that is worth a warning; 0 = off",
     .live_only = true},
    {.name = "metricsListen", .value_name = "ADDRESS:PORT", .group = KeyGroup::kReporting,
     .target = &Config::metrics_listen, .text_kind = TextKind::kListener, .default_text = "off",
     .meaning = "serve Prometheus metrics here; a port alone means 127.0.0.1"},
    {.name = "metricsSeriesMax", .value_name = "N", .group = KeyGroup::kReporting,
     .target = &Config::metrics_series_max, .minimum = 0, .maximum = 100000,
     .meaning = "with metricsListen: series that count requests by host, method and status class; "
     "what has no room is counted as host=\"other\"; 0 = off"},
    {.name = "metricsRoutes", .value_name = "PATTERN,...", .group = KeyGroup::kReporting,
     .target = &Config::metrics_routes, .text_kind = TextKind::kRoute,
     .meaning = "with metricsListen: patterns of paths, for example /api/orders/{id}, that become the label "
     "route of those series"},
    {.name = "debug", .group = KeyGroup::kReporting, .target = &Config::debug,
     .meaning = "write one line a segment into debugLog: what became of it"},
    {.name = "hexDump", .group = KeyGroup::kReporting, .target = &Config::hex_dump,
     .meaning = "the same, and below each line the segment's bytes, as they were sent"},
    {.name = "debugLog", .value_name = "FILE", .group = KeyGroup::kReporting,
     .target = &Config::debug_log, .text_kind = TextKind::kPath,
     .meaning = "the file for debug and hexDump"},
});
// clang-format on
static_assert(std::tuple_size_v<decltype(kKeys)> <= kConfigKeysMax);

}  // namespace

std::string_view group_title(KeyGroup group) {
  switch (group) {
    case KeyGroup::kInput:
      return "Input";
    case KeyGroup::kSelection:
      return "Selection";
    case KeyGroup::kOutput:
      return "Output";
    case KeyGroup::kTcp:
      return "IP and TCP";
    case KeyGroup::kLimits:
      return "Limits";
    case KeyGroup::kRun:
      return "Running and stopping";
    case KeyGroup::kReporting:
      return "Events, metrics, debugging";
  }
  return "";
}

std::span<const KeySpec> config_keys() {
  return kKeys;
}

const KeySpec* find_key(std::string_view name) {
  for (const KeySpec& key : kKeys) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

size_t key_index(std::string_view name) {
  const KeySpec* key = find_key(name);
  return key == nullptr ? kKeys.size() : static_cast<size_t>(key - kKeys.data());
}

bool is_given(const Config& config, std::string_view name) {
  const size_t index = key_index(name);
  return index < kKeys.size() && config.given[index];
}

std::string flag_name(std::string_view key_name) {
  std::string out;
  for (size_t i = 0; i < key_name.size(); ++i) {
    const char c = key_name[i];
    const bool upper = c >= 'A' && c <= 'Z';
    // The unit at the end of bufferSizeMiB is one word.
    const bool in_unit = key_name.substr(i) == "B" && key_name.ends_with("MiB");
    if (upper && !in_unit) out += '-';
    out += upper ? static_cast<char>(c - 'A' + 'a') : c;
  }
  return out;
}

bool is_boolean(const KeySpec& key) {
  return std::holds_alternative<bool Config::*>(key.target);
}

bool is_list(const KeySpec& key) {
  return std::holds_alternative<std::vector<std::string> Config::*>(key.target) ||
         std::holds_alternative<std::vector<uint16_t> Config::*>(key.target) ||
         std::holds_alternative<std::vector<Protocol> Config::*>(key.target);
}

}  // namespace tcp_sniffer
