#include "options.h"

#include <getopt.h>

#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>
#include <string_view>
#include <system_error>

namespace tcp_sniffer::pcapgen {
namespace {

constexpr std::uint64_t kMaximum = UINT64_MAX;

enum Code : int {
  kHelp = 256,
  kExpected,
  kLines,
  kConnections,
  kExchanges,
  kPorts,
  kMtu,
  kIpv6,
  kVlan,
  kRate,
  kNanosecond,
  kNoChecksums,
  kNoTcpTimestamps,
  kFragments,
  kLoss,
  kReorder,
  kReorderDistance,
  kDuplicate,
  kRetransmit,
  kHoles,
  kChunked,
  kGzip,
  kPost,
  kBodyless,
  kUntilClose,
  kResets,
  kPipeline,
  kSynFlood,
  kPortScan,
  kNoise,
  kGarbage,
  kGarbageBytes,
};

constexpr option kLongOptions[] = {
    {"help", no_argument, nullptr, kHelp},
    {"workload", required_argument, nullptr, 'w'},
    {"output", required_argument, nullptr, 'o'},
    {"size", required_argument, nullptr, 's'},
    {"seed", required_argument, nullptr, 'S'},
    {"concurrency", required_argument, nullptr, 'c'},
    {"expected", required_argument, nullptr, kExpected},
    {"lines", no_argument, nullptr, kLines},
    {"connections", required_argument, nullptr, kConnections},
    {"exchanges", required_argument, nullptr, kExchanges},
    {"ports", required_argument, nullptr, kPorts},
    {"mtu", required_argument, nullptr, kMtu},
    {"ipv6", required_argument, nullptr, kIpv6},
    {"vlan", required_argument, nullptr, kVlan},
    {"rate", required_argument, nullptr, kRate},
    {"nanosecond", no_argument, nullptr, kNanosecond},
    {"no-checksums", no_argument, nullptr, kNoChecksums},
    {"no-tcp-timestamps", no_argument, nullptr, kNoTcpTimestamps},
    {"fragments", required_argument, nullptr, kFragments},
    {"loss", required_argument, nullptr, kLoss},
    {"reorder", required_argument, nullptr, kReorder},
    {"reorder-distance", required_argument, nullptr, kReorderDistance},
    {"duplicate", required_argument, nullptr, kDuplicate},
    {"retransmit", required_argument, nullptr, kRetransmit},
    {"holes", required_argument, nullptr, kHoles},
    {"chunked", required_argument, nullptr, kChunked},
    {"gzip", required_argument, nullptr, kGzip},
    {"post", required_argument, nullptr, kPost},
    {"bodyless", required_argument, nullptr, kBodyless},
    {"until-close", required_argument, nullptr, kUntilClose},
    {"resets", required_argument, nullptr, kResets},
    {"pipeline", required_argument, nullptr, kPipeline},
    {"syn-flood", required_argument, nullptr, kSynFlood},
    {"port-scan", required_argument, nullptr, kPortScan},
    {"noise", required_argument, nullptr, kNoise},
    {"garbage", required_argument, nullptr, kGarbage},
    {"garbage-bytes", required_argument, nullptr, kGarbageBytes},
    {nullptr, 0, nullptr, 0},
};

// Takes one value at a time and keeps the first error.
class Reader {
 public:
  std::string error;

  void fail(std::string_view name, std::string_view value, std::string_view allowed) {
    if (!error.empty()) return;
    error =
        "--" + std::string(name) + ": '" + std::string(value) + "' is not " + std::string(allowed);
  }

  void integer(std::string_view name, std::string_view value, std::uint64_t low, std::uint64_t high,
               std::uint64_t& out) {
    std::uint64_t parsed = 0;
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (status != std::errc{} || end != value.data() + value.size() || parsed < low ||
        parsed > high) {
      const std::string upper = high == kMaximum ? "up" : "to " + std::to_string(high);
      fail(name, value, "a whole number from " + std::to_string(low) + " " + upper);
      return;
    }
    out = parsed;
  }

  void fraction(std::string_view name, std::string_view value, double& out) {
    double parsed = 0;
    const auto [end, status] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (status != std::errc{} || end != value.data() + value.size() ||
        !(parsed >= 0 && parsed <= 1)) {
      fail(name, value, "a fraction from 0 to 1");
      return;
    }
    out = parsed;
  }

  // A number with an optional suffix: K, M, G, T, in powers of `base`.
  std::optional<double> scaled(std::string_view value, double base) {
    double parsed = 0;
    const char* const last = value.data() + value.size();
    const auto [end, status] = std::from_chars(value.data(), last, parsed);
    if (status != std::errc{} || !std::isfinite(parsed) || parsed < 0 || last - end > 1) {
      return std::nullopt;
    }
    if (end == last) return parsed;
    constexpr std::string_view kSuffixes = "KMGT";
    const auto power =
        kSuffixes.find(static_cast<char>(std::toupper(static_cast<unsigned char>(*end))));
    if (power == std::string_view::npos) return std::nullopt;
    return parsed * std::pow(base, static_cast<double>(power + 1));
  }

  void size(std::string_view name, std::string_view value, std::uint64_t& out) {
    const std::optional<double> parsed = scaled(value, 1024);
    if (!parsed || *parsed < 1 || *parsed > 0x1p60) {
      fail(name, value, "a size such as 500M, 1G or 65536");
      return;
    }
    out = static_cast<std::uint64_t>(*parsed);
  }

  void rate(std::string_view name, std::string_view value, double& out) {
    const std::optional<double> parsed = scaled(value, 1000);
    if (!parsed || *parsed < 1000 || *parsed > 1e12) {
      fail(name, value, "a rate in bit/s from 1K to 1T");
      return;
    }
    out = *parsed;
  }

  void list(std::string_view name, std::string_view value, std::uint64_t high,
            std::size_t entries_max, std::vector<std::uint16_t>& out) {
    out.clear();
    const std::string_view whole = value;
    while (error.empty()) {
      const std::size_t comma = value.find(',');
      std::uint64_t entry = 0;
      integer(name, value.substr(0, comma), 1, high, entry);
      out.push_back(static_cast<std::uint16_t>(entry));
      if (comma == std::string_view::npos) break;
      value.remove_prefix(comma + 1);
    }
    if (out.size() > entries_max) {
      fail(name, whole, "a list of at most " + std::to_string(entries_max) + " numbers");
    }
  }
};

std::optional<Workload> workload_from(std::string_view name) {
  for (const Workload workload :
       {Workload::kBulk, Workload::kApi, Workload::kShort, Workload::kIdle, Workload::kMixed}) {
    if (name == workload_name(workload)) return workload;
  }
  return std::nullopt;
}

// A workload's own character; what the command line says comes later and wins.
void set_workload_defaults(Options& options) {
  switch (options.workload) {
    case Workload::kApi:
    case Workload::kShort:
      options.post = 0.08;
      break;
    case Workload::kIdle:
      options.connections_max = 1'000'000;
      options.exchanges = 2;
      break;
    case Workload::kMixed:
      options.concurrency = 1000;
      options.post = 0.1;
      options.ipv6 = 0.2;
      options.chunked = 0.3;
      options.gzip = 0.3;
      options.bodyless = 0.05;
      options.until_close = 0.02;
      options.resets = 0.02;
      options.pipeline = 3;
      options.reorder = 0.002;
      options.duplicate = 0.001;
      options.retransmit = 0.002;
      options.syn_flood = 0.01;
      options.port_scan = 0.005;
      options.noise = 0.01;
      options.garbage = 0.01;
      break;
    case Workload::kBulk:
      break;
  }
}

void apply(int code, std::string_view name, std::string_view value, Options& options,
           Reader& reader) {
  switch (code) {
    case 'o':
      options.output = value;
      break;
    case 's':
      reader.size(name, value, options.size_bytes);
      break;
    case 'S':
      reader.integer(name, value, 0, kMaximum, options.seed);
      break;
    case 'c':
      reader.integer(name, value, 1, 1'000'000, options.concurrency);
      break;
    case kExpected:
      options.expected = value;
      break;
    case kLines:
      options.lines = true;
      break;
    case kConnections:
      reader.integer(name, value, 1, 1'000'000'000, options.connections_max);
      break;
    case kExchanges:
      reader.integer(name, value, 1, 1'000'000'000, options.exchanges);
      break;
    case kPorts:
      reader.list(name, value, 65535, 1000, options.ports);
      break;
    case kMtu:
      reader.integer(name, value, 256, 9216, options.mtu);
      break;
    case kIpv6:
      reader.fraction(name, value, options.ipv6);
      break;
    case kVlan:
      reader.list(name, value, 4094, 2, options.vlans);
      break;
    case kRate:
      reader.rate(name, value, options.rate_bits);
      break;
    case kNanosecond:
      options.nanosecond = true;
      break;
    case kNoChecksums:
      options.checksums = false;
      break;
    case kNoTcpTimestamps:
      options.tcp_timestamps = false;
      break;
    case kFragments:
      reader.fraction(name, value, options.fragments);
      break;
    case kLoss:
      reader.fraction(name, value, options.loss);
      break;
    case kReorder:
      reader.fraction(name, value, options.reorder);
      break;
    case kReorderDistance:
      reader.integer(name, value, 1, 10000, options.reorder_distance);
      break;
    case kDuplicate:
      reader.fraction(name, value, options.duplicate);
      break;
    case kRetransmit:
      reader.fraction(name, value, options.retransmit);
      break;
    case kHoles:
      reader.integer(name, value, 0, 4096, options.holes);
      break;
    case kChunked:
      reader.fraction(name, value, options.chunked);
      break;
    case kGzip:
      reader.fraction(name, value, options.gzip);
      break;
    case kPost:
      reader.fraction(name, value, options.post);
      break;
    case kBodyless:
      reader.fraction(name, value, options.bodyless);
      break;
    case kUntilClose:
      reader.fraction(name, value, options.until_close);
      break;
    case kResets:
      reader.fraction(name, value, options.resets);
      break;
    case kPipeline:
      reader.integer(name, value, 1, 200, options.pipeline);
      break;
    case kSynFlood:
      reader.fraction(name, value, options.syn_flood);
      break;
    case kPortScan:
      reader.fraction(name, value, options.port_scan);
      break;
    case kNoise:
      reader.fraction(name, value, options.noise);
      break;
    case kGarbage:
      reader.fraction(name, value, options.garbage);
      break;
    case kGarbageBytes:
      reader.size(name, value, options.garbage_bytes);
      break;
    default:
      break;
  }
}

const char* long_name(int code) {
  for (const option* entry = kLongOptions; entry->name != nullptr; ++entry) {
    if (entry->val == code) return entry->name;
  }
  return "";
}

template <typename Visit>
bool each_option(int argc, char** argv, Visit visit) {
  optind = 0;  // glibc: begin again
  opterr = 1;
  while (true) {
    const int code = getopt_long(argc, argv, "hw:o:s:S:c:", kLongOptions, nullptr);
    if (code == -1) return true;
    if (code == '?') return false;
    visit(code == 'h' ? static_cast<int>(kHelp) : code,
          optarg == nullptr ? std::string_view{} : optarg);
  }
}

std::string contradictions(const Options& options) {
  if (options.output.empty()) return "--output: a file is needed, or '-' for standard output";
  if (options.output == "-" && options.lines && options.expected.empty()) {
    return "--lines: standard output carries the capture; say --expected=FILE as well";
  }
  if (options.workload == Workload::kIdle && options.garbage > 0) {
    return "--garbage: the idle workload has none";
  }
  if (options.loss >= 1) return "--loss: '1' would leave an empty capture";
  return {};
}

}  // namespace

const char* workload_name(Workload workload) {
  switch (workload) {
    case Workload::kBulk:
      return "bulk";
    case Workload::kApi:
      return "api";
    case Workload::kShort:
      return "short";
    case Workload::kIdle:
      return "idle";
    case Workload::kMixed:
      return "mixed";
  }
  return "";
}

ParsedOptions parse_options(int argc, char** argv) {
  ParsedOptions result;
  Reader reader;
  const bool known = each_option(argc, argv, [&](int code, std::string_view value) {
    if (code == kHelp) result.help = true;
    if (code != 'w') return;
    if (const auto workload = workload_from(value)) {
      result.options.workload = *workload;
    } else {
      reader.fail("workload", value, "one of bulk, api, short, idle, mixed");
    }
  });
  if (!known) {
    result.error = "unknown or incomplete option";
    return result;
  }
  if (result.help) return result;
  set_workload_defaults(result.options);
  each_option(argc, argv, [&](int code, std::string_view value) {
    apply(code, long_name(code), value, result.options, reader);
  });
  if (optind < argc) reader.fail("output", argv[optind], "an option; name the file with -o FILE");
  result.error = reader.error.empty() ? contradictions(result.options) : reader.error;
  return result;
}

}  // namespace tcp_sniffer::pcapgen
