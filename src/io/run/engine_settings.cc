#include "io/run/engine_settings.h"
#include "io/base/local_time.h"

#include <algorithm>

#include "core/base/limits.h"
#include "core/field/fields.h"
#include "core/line/pretty_body.h"
#include "core/line/selected_line.h"
#include "core/redaction/names.h"
#include "io/config/config_check.h"
#include "io/file/file_team.h"
#include "shard/census.h"
#include "shard/pin_thread.h"

namespace tcp_sniffer {

namespace {

constexpr int64_t kNsPerMs = 1'000'000;

uint64_t fragment_memory(const Config& config) {
  return std::min<uint64_t>(config.memory_limit / 16, uint64_t{32} << 20);
}

// Enough to bridge a pause of the disk.
uint64_t extract_memory(const Config& config) {
  if (config.extract_dir.empty()) return 0;
  return std::min<uint64_t>(config.memory_limit / 16, uint64_t{64} << 20);
}

// For lines that librdkafka has. Enough to bridge the choice of a new leader.
uint64_t kafka_memory(const Config& config) {
  return is_kafka(config.output) ? config.memory_limit / 8 : 0;
}

// For lines that wait for the reader of the output.
uint64_t line_memory(const Config& config) {
  return config.memory_limit / 16;
}

uint32_t line_blocks(const Config& config, uint32_t shards) {
  const uint64_t blocks = line_memory(config) / shards / kLineBlockBytes;
  // A file waits.
  const bool waits = !config.live() && config.overload == Overload::kBlock;
  const uint64_t most = waits ? LineOutput::kBlocksForWaiting : uint64_t{1} << 20;
  return static_cast<uint32_t>(std::clamp<uint64_t>(blocks, LineOutput::kBlocksMin, most));
}

// A debug log wants every byte.
bool may_withhold(const Config& config) {
  return config.live() && !config.debug && !config.hex_dump;
}

LineOptions::Format line_format(OutputFormat format) {
  switch (format) {
    case OutputFormat::kFramed:
      return LineOptions::kFramed;
    case OutputFormat::kPacked:
      return LineOptions::kPacked;
    case OutputFormat::kPretty:
      return LineOptions::kPretty;
    case OutputFormat::kTsv:
      return LineOptions::kTsv;
    case OutputFormat::kCsv:
      return LineOptions::kCsv;
    case OutputFormat::kNdjson:
      break;
  }
  return LineOptions::kNdjson;
}

// At the end of the run, for people.
bool shows_summary(const Config& config) {
  return config.log_format == LogFormat::kText && config.log_level <= LogLevel::kInfo;
}

MessageFraming framing_of(OutputFormat format) {
  if (format == OutputFormat::kFramed) return MessageFraming::kFrames;
  return format == OutputFormat::kPacked ? MessageFraming::kRecords : MessageFraming::kLines;
}

std::vector<FieldRef> selected_fields(const Config& config) {
  std::vector<FieldRef> fields;
  for (const std::string& name : config.select) {
    auto field = parse_field(name);
    if (auto* known = std::get_if<FieldRef>(&field)) fields.push_back(std::move(*known));
  }
  return fields;
}

ChoiceRules choice_rules(const Config& config) {
  return {.where = config.where,
          .sample = config.sample_exchanges,
          .sample_seed = config.sample_seed,
          .always_keep = config.always_keep};
}

bool names_client(const FieldRef& ref) {
  return ref.field == Field::kClient;
}

ClientRules client_rules(const Config& config, bool is_asked_for) {
  // What must not be shown in a header must not be shown as the client.
  const HeaderNames hidden(config.redact_headers);
  ClientRules rules;
  rules.wanted =
      is_asked_for || is_given(config, "trustedProxies") || is_given(config, "clientHeader");
  rules.trusted_proxies = static_cast<uint32_t>(config.trusted_proxies);
  if (hidden.cover(config.client_header)) rules.trusted_proxies = 0;
  rules.reads_header = !config.client_header.empty();
  rules.header = config.client_header;
  rules.reads_forwarded = !hidden.cover("forwarded");
  rules.reads_x_forwarded_for = !hidden.cover("x-forwarded-for");
  return rules;
}

}  // namespace

DispatcherSettings dispatcher_settings(const Config& config, uint64_t hash_secret) {
  DispatcherSettings settings;
  settings.decode.tunnels = config.tunnels;
  settings.decode.tunnel_depth_max = static_cast<uint8_t>(config.tunnel_depth);
  settings.decode.key_tunnel = config.key_tunnel;
  settings.decode.tunnel_secret = hash_secret;
  settings.decode.key_vlan = config.key_vlan;
  settings.decode.verify_checksums = config.verify_checksums;
  settings.decode.defrag = config.defrag;
  settings.defragment.memory_bytes_max = static_cast<size_t>(fragment_memory(config));
  settings.defragment.key_vlan = config.key_vlan;
  settings.defragment.hash_seed = hash_secret;
  settings.ports = PortSet(config.ports);
  settings.sample_rate = config.sample_rate;
  settings.sample_seed = config.sample_seed;
  settings.hash_secret = hash_secret;
  settings.is_alone = config.live() && config.shards == 0 && config.capture_threads > 1;
  settings.flush_every = config.flush_every;
  settings.may_wait = config.overload == Overload::kBlock;
  settings.may_withhold = may_withhold(config);
  return settings;
}

ShardSettings shard_settings(const Config& config, uint32_t shards) {
  ShardSettings settings;
  settings.protocols.http.body_max = config.max_body_size;
  const bool extracting = !config.extract_dir.empty();
  const std::vector<FieldRef> selected = selected_fields(config);
  const bool pretty = config.format == OutputFormat::kPretty;
  // Bodies that are not shown are not kept: `pretty` shows sizes only, or a part.
  const bool pretty_bodies = pretty && config.verbose > 1;
  const bool shows_bodies = selected.empty()
                                ? !pretty || pretty_bodies
                                : std::any_of(selected.begin(), selected.end(), needs_body);
  settings.choice = choice_rules(config);
  const ExchangeChoice choice(settings.choice);
  const bool asks_bodies = choice.needs_body();
  uint64_t& body_max = settings.protocols.http.body_max;
  if (!shows_bodies && !asks_bodies && !extracting) body_max = 0;
  if (pretty_bodies && !asks_bodies && !extracting) {
    body_max = std::min<uint64_t>(body_max, PrettyBodyWriter::kBytesMax);
  }
  settings.protocols.http.drop_binary_bodies =
      config.format != OutputFormat::kFramed && config.binary_body == BinaryBody::kOmit &&
      !pretty_bodies && !config.decode_bodies && !redacts_bodies(config) && !extracting;
  if (config.format != OutputFormat::kPretty) {
    settings.protocols.http.part_after_ns =
        static_cast<int64_t>(config.partial_after_ms) * kNsPerMs;
    settings.protocols.http.keep_parts = extracting;
  }
  settings.protocols.http.header_bytes_max = static_cast<uint32_t>(config.max_header_bytes);
  settings.protocols.http.headers_max = static_cast<uint32_t>(config.max_headers);
  settings.protocols.http.outstanding_max = static_cast<uint32_t>(config.max_outstanding_requests);
  settings.protocols.http.client = client_rules(
      config, choice.needs_client() || std::any_of(selected.begin(), selected.end(), names_client));
  // The line of an exchange has its request.
  const bool by_exchange = pretty ? config.verbose > 0 : config.records == Records::kExchange;
  if (!by_exchange && std::any_of(selected.begin(), selected.end(), needs_request_text)) {
    settings.protocols.http.request_target_max = settings.protocols.http.header_bytes_max;
  } else if (pretty && !by_exchange) {
    settings.protocols.http.request_target_max =
        redacts(config) ? settings.protocols.http.header_bytes_max : kPrettyTargetMax;
  }
  settings.protocols.spoken = {};
  for (const Protocol protocol : config.protocols) {
    settings.protocols.spoken[static_cast<size_t>(protocol)] = true;
  }
  settings.notes_unread = may_withhold(config);
  settings.reassembly.by_evidence = config.gap_policy == GapPolicy::kEvidence;
  settings.reassembly.gap_timeout_ns = static_cast<int64_t>(config.gap_timeout_ms) * kNsPerMs;
  settings.reassembly.buffer_max = config.reassembly_buffer_size;
  if (config.interfaces.size() > 1) {
    settings.reassembly.acked_wait_ns = kLateLegWaitNs;
    settings.reassembly.late_wait_ns = kLateLegWaitNs;
  }
  // Not where blocks have notes (LineOutput), or requests wait for their responses.
  settings.protocols.http.hands_bodies_over = config.format == OutputFormat::kPacked &&
                                              !by_exchange && !settings.protocols.gives_parts() &&
                                              !settings.choice.any() && !is_kafka(config.output);
  settings.lines.format = line_format(config.format);
  settings.lines.by_exchange = by_exchange;
  settings.lines.extended = config.fields == FieldSet::kExtended;
  settings.lines.raw_headers = config.raw_headers;
  settings.lines.binary_base64 = config.binary_body == BinaryBody::kBase64;
  settings.lines.select = selected;
  settings.lines.pretty.colours = config.color == Color::kAlways;
  settings.lines.pretty.columns = config.columns;
  settings.lines.pretty.detail = static_cast<uint8_t>(config.verbose);
  settings.lines.pretty.takes_notes = pretty && shows_summary(config);
  settings.lines.pretty.utc_offset_s = config.utc ? nullptr : local_offset_s;
  settings.redaction.headers = config.redact_headers;
  settings.redaction.query = config.redact_query;
  settings.redaction.body = config.redact_body;
  settings.redaction.patterns = config.redact_pattern;
  settings.redaction.hash_key = config.redact_key;
  // People cannot read coded bodies.
  settings.bodies.decode = (config.decode_bodies || pretty_bodies) && body_max > 0;
  settings.bodies.decoded_max = body_max;
  settings.ports = PortSet(config.ports);
  settings.idle_timeout_ns = static_cast<int64_t>(config.connection_idle_timeout_ms) * kNsPerMs;
  settings.connections_max = config.max_concurrent_connections;
  settings.memory_bytes_max =
      static_cast<size_t>((config.memory_limit - fragment_memory(config) - extract_memory(config) -
                           line_memory(config) - kafka_memory(config)) /
                          shards);
  settings.line_blocks_max = line_blocks(config, shards);
  settings.marks_lines = is_kafka(config.output);
  settings.allow_missing_init = config.allow_missing_init;
  settings.ignore_fsm_errors = config.ignore_fsm_errors;
  settings.check_tcp_options = config.check_tcp_options;
  settings.number_frames = !config.live();
  return settings;
}

std::optional<RequestSeries::Settings> series_settings(const Config& config) {
  if (config.metrics_listen.empty() || config.metrics_series_max == 0) return {};
  return RequestSeries::Settings{.series_max = static_cast<uint32_t>(config.metrics_series_max),
                                 .routes = config.metrics_routes,
                                 .hides_hosts = HeaderNames(config.redact_headers).cover("host"),
                                 .hide_matches = config.redact_pattern};
}

uint32_t capture_count(const Config& config) {
  if (!config.live()) return 1;
  const size_t interfaces = std::max<size_t>(config.interfaces.size(), 1);
  return static_cast<uint32_t>(interfaces * config.capture_threads);
}

int cpu_of(const Config& config, size_t thread) {
  return thread < config.pin_cpus.size() ? int{config.pin_cpus[thread]} : -1;
}

bool may_read_in_team(const Config& config) {
  return !config.live() && !config.follow && config.shards > 0 &&
         config.overload == Overload::kBlock && config.flush_every == 0;
}

uint32_t team_threads(const Config& config) {
  return std::min(
      {static_cast<uint32_t>(config.shards) + 1, usable_cpu_count(), FileTeam::kThreadsMax});
}

uint32_t shard_count(const Config& config, bool in_team) {
  const auto shards = static_cast<uint32_t>(config.shards);
  if (in_team) return std::min(shards + 1, kShardsMax);
  if (shards > 0) return shards;
  return capture_count(config);
}

int block_timeout_ms(const Config& config) {
  return config.overload == Overload::kBlock ? 20 : LiveOptions().block_timeout_ms;
}

BodyExtractor::Settings extract_settings(const Config& config) {
  BodyExtractor::Settings settings;
  settings.directory = config.extract_dir;
  settings.write_incomplete = config.write_incomplete;
  settings.bytes_max = config.extract_max_bytes;
  settings.files_max = config.extract_max_files;
  settings.may_wait = config.overload == Overload::kBlock;
  settings.queue_bytes_max = extract_memory(config);
  return settings;
}

namespace {

int writer_cpu(const Config& config) {
  return cpu_of(config, capture_count(config) + config.shards);
}

}  // namespace

OutputWriter::Settings writer_settings(const Config& config) {
  OutputWriter::Settings settings;
  settings.path = config.output;
  settings.framing = framing_of(config.format);
  if (config.format == OutputFormat::kTsv || config.format == OutputFormat::kCsv) {
    settings.head = SelectedLineWriter::head(selected_fields(config), line_format(config.format));
  }
  if (config.overload == Overload::kDrop) {
    settings.when_full = OutputWriter::WhenFull::kDrop;
  } else if (config.live()) {
    settings.when_full = OutputWriter::WhenFull::kWait;
  }
  settings.cpu = writer_cpu(config);
  return settings;
}

KafkaWriter::Settings kafka_settings(const Config& config) {
  KafkaWriter::Settings settings;
  read_kafka_target(config.output, settings.kafka.target);  // it was checked
  settings.kafka.sensor = config.sensor_name;
  settings.kafka.properties = config.kafka_settings;
  settings.kafka.queue_bytes_max = kafka_memory(config);
  if (!config.live() && !config.follow) {
    settings.connect_timeout = std::chrono::milliseconds(config.kafka_connect_timeout_ms);
  }
  settings.framing = framing_of(config.format);
  settings.cpu = writer_cpu(config);
  return settings;
}

LiveOptions live_options(const Config& config, const std::string& interface) {
  LiveOptions options;
  options.interface = interface;
  options.snaplen = static_cast<uint32_t>(config.snaplen);
  options.buffer_bytes = config.buffer_size_mib << 20;
  options.promiscuous = config.promiscuous;
  options.block_timeout_ms = block_timeout_ms(config);
  return options;
}

CaptureFilter::Options filter_options(const Config& config) {
  CaptureFilter::Options options;
  options.ports = config.ports;
  options.user = config.filter;
  options.tunnels = config.tunnels;
  options.use = config.live() ? CaptureFilter::Use::kLive : CaptureFilter::Use::kFiles;
  return options;
}

}  // namespace tcp_sniffer
