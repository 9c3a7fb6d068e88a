#include "options.h"

#include <CLI/CLI.hpp>
#include <map>
#include <string>

#include "common/option_checks.h"

namespace tcp_sniffer::pcapgen {
namespace {

constexpr std::size_t kPortsMax = 1000;
constexpr std::size_t kTagsMax = 2;
constexpr double kRateMin = 1e3;
constexpr double kRateMax = 1e12;

constexpr const char* kDescription =
    "Writes a capture of HTTP/1.1 traffic whose messages are known. Equal options give equal "
    "files.\n"
    "\n"
    "Beside the capture it writes FILE.expected.json: what is in the capture, counted.\n"
    "\n"
    "Workloads:\n"
    "  bulk   60/30/10 % API JSON (0.3-4 KB), pages (10-60 KB), files (0.2-1 MB);\n"
    "         30 requests a connection\n"
    "  api    about 1.5 KB an exchange, 500 a connection, 8 % POST\n"
    "  tiny   like api, with two to five short fields and bodies of some 15 bytes\n"
    "  short  one exchange a connection\n"
    "  idle   many open connections, a message now and then, never closed\n"
    "  mixed  all of these, with the disturbances of real networks\n"
    "\n"
    "Sizes are written as 500M, 1G or 65536, in powers of 1024; rates in powers of 1000.\n";

const std::map<std::string, Workload> kWorkloads = {
    {"bulk", Workload::kBulk},   {"api", Workload::kApi},   {"tiny", Workload::kTiny},
    {"short", Workload::kShort}, {"idle", Workload::kIdle}, {"mixed", Workload::kMixed}};

// The options of one group of the help text.
class Group {
 public:
  Group(CLI::App& app, std::string title) : app_(app), title_(std::move(title)) {}

  template <typename Value>
  CLI::Option* add(const char* names, Value& value, const char* meaning) {
    return app_.add_option(names, value, meaning)->group(title_);
  }
  void number(const char* names, std::uint64_t& value, std::uint64_t least, std::uint64_t most,
              const char* meaning) {
    add(names, value, meaning)->check(whole(least, most))->capture_default_str();
  }
  void size(const char* names, std::uint64_t& value, const char* meaning) {
    constexpr std::uint64_t kSizeMax = 1ULL << 60U;
    add(names, value, meaning)
        ->transform(CLI::AsSizeValue(false).description(""))
        ->check(whole(1, kSizeMax).description(""))
        ->type_name("SIZE")
        ->capture_default_str();
  }
  void share(const char* name, double& value, const char* meaning) {
    add(name, value, meaning)->check(fraction())->capture_default_str();
  }
  void list(const char* name, std::vector<std::uint16_t>& value, std::uint16_t most,
            const char* meaning) {
    add(name, value, meaning)->delimiter(',')->allow_extra_args(false)->check(whole(1, most));
  }
  void flag(const char* name, bool& value, const char* meaning) {
    app_.add_flag(name, value, meaning)->group(title_);
  }

 private:
  CLI::App& app_;
  const std::string title_;
};

void add_capture(CLI::App& app, Options& options) {
  Group group(app, "Capture");
  group.add("-o,--output", options.output, "the capture (pcap); - is standard output");
  group
      .add("-w,--workload", options.workload,
           "bulk (unless given), api, tiny, short, idle or mixed")
      ->transform(CLI::CheckedTransformer(kWorkloads).description(""))
      ->type_name("NAME");
  group.size("-s,--size", options.size_bytes,
             "about so many bytes: exchanges that are open then still come to their end; "
             "idle: no meaning");
  group.add("-S,--seed", options.seed, "of everything random")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  group.number("-c,--concurrency", options.concurrency, 1, 1'000'000,
               "connections open at a time; mixed: 1000 unless given");
  group.number("--connections", options.connections_max, 1, 1'000'000'000,
               "at most so many connections, 0: any number; idle: exactly so many, 1000000 unless "
               "given");
  group.number("--exchanges", options.exchanges, 1, 1'000'000'000,
               "exchanges a connection, 0: the workload's own number; idle: over the whole "
               "capture, 2 unless given");
  group.add("--expected", options.expected, "the counts go here instead");
  group.flag("--lines", options.lines,
             "also write FILE.expected.ndjson: one JSON object a message");
}

void add_network(CLI::App& app, Options& options) {
  Group group(app, "Network");
  group.list("--ports", options.ports, 65535, "server ports, 80 unless given");
  group.number("--mtu", options.mtu, 256, 9216, "bytes of an IP packet");
  group.share("--ipv6", options.ipv6, "of the connections");
  group.list("--vlan", options.vlans, 4094, "an 802.1Q tag, or two: 802.1ad and 802.1Q");
  group.add("--rate", options.rate_bits, "packet time advances at so many bit/s, 1K to 1T")
      ->transform(CLI::AsSizeValue(true).description(""))
      ->type_name("BITS")
      ->capture_default_str();
  group.flag("--nanosecond", options.nanosecond, "nanosecond time stamps in the file");
  group.flag("--no-checksums{false}", options.checksums,
             "leave the TCP checksum 0, as offloading does");
  group.flag("--no-tcp-timestamps{false}", options.tcp_timestamps,
             "without the TCP timestamps option");
}

void add_disturbances(CLI::App& app, Options& options) {
  Group group(app, "Disturbances (fractions of the packets; 0 unless given but in mixed)");
  group.share("--fragments", options.fragments,
              "of the packets with payload are sent as IP fragments");
  group.share("--loss", options.loss, "missing in the capture though the receiver got them");
  group.share("--reorder", options.reorder, "captured later than sent");
  group.number("--reorder-distance", options.reorder_distance, 1, 10000,
               "by up to so many packets of their connection");
  group.share("--duplicate", options.duplicate,
              "captured twice, half of them later and with other borders");
  group.share("--retransmit", options.retransmit,
              "lost before the capture, retransmitted after duplicate ACKs");
  group.number("--holes", options.holes, 0, 4096,
               "every flight of 2N segments opens N holes before one is filled");
}

void add_http(CLI::App& app, Options& options) {
  Group group(app, "HTTP");
  group.share("--chunked", options.chunked, "of the responses with a body");
  group.share("--gzip", options.gzip, "of the text responses");
  group.share("--post", options.post,
              "of the requests; api, tiny, short 0.08, mixed 0.1 unless given");
  group.share("--bodyless", options.bodyless, "of the exchanges: HEAD, 204 or 304");
  group.share("--until-close", options.until_close,
              "of the last responses: the body ends with the connection");
  group.number("--pipeline", options.pipeline, 1, 200, "up to so many requests before a response");
  group.share("--resets", options.resets, "of the connections end with RST");
}

void add_bystanders(CLI::App& app, Options& options) {
  Group group(app, "Besides (fractions of the packets, garbage: of the connections)");
  group.share("--syn-flood", options.syn_flood, "SYNs from random addresses");
  group.share("--port-scan", options.port_scan, "SYNs to one port after the other, and their RSTs");
  group.share("--noise", options.noise, "ARP, UDP, ICMP and cut-off frames");
  group.share("--garbage", options.garbage, "connections that speak something else than HTTP");
  group.size("--garbage-bytes", options.garbage_bytes, "bytes in such a connection");
}

// A workload's own character, as far as the command line does not say otherwise.
void set_workload_defaults(const CLI::App& app, Options& options) {
  const auto unless_given = [&](const char* name, auto& value, auto own) {
    if (app.count(name) == 0) value = own;
  };
  switch (options.workload) {
    case Workload::kApi:
    case Workload::kTiny:
    case Workload::kShort:
      unless_given("--post", options.post, 0.08);
      break;
    case Workload::kIdle:
      unless_given("--connections", options.connections_max, 1'000'000U);
      unless_given("--exchanges", options.exchanges, 2U);
      break;
    case Workload::kMixed:
      unless_given("--concurrency", options.concurrency, 1000U);
      unless_given("--post", options.post, 0.1);
      unless_given("--ipv6", options.ipv6, 0.2);
      unless_given("--chunked", options.chunked, 0.3);
      unless_given("--gzip", options.gzip, 0.3);
      unless_given("--bodyless", options.bodyless, 0.05);
      unless_given("--until-close", options.until_close, 0.02);
      unless_given("--resets", options.resets, 0.02);
      unless_given("--pipeline", options.pipeline, 3U);
      unless_given("--reorder", options.reorder, 0.002);
      unless_given("--duplicate", options.duplicate, 0.001);
      unless_given("--retransmit", options.retransmit, 0.002);
      unless_given("--syn-flood", options.syn_flood, 0.01);
      unless_given("--port-scan", options.port_scan, 0.005);
      unless_given("--noise", options.noise, 0.01);
      unless_given("--garbage", options.garbage, 0.01);
      break;
    case Workload::kBulk:
      break;
  }
}

std::string contradictions(const Options& options) {
  // Checked here, because CLI11 would name this before an option that it does not know.
  if (options.output.empty()) return "--output: a file is needed, or '-' for standard output";
  if (options.output == "-" && options.lines && options.expected.empty()) {
    return "--lines: standard output carries the capture; say --expected=FILE as well";
  }
  if (options.workload == Workload::kIdle && options.garbage > 0) {
    return "--garbage: the idle workload has none";
  }
  if (options.loss >= 1) return "--loss: '1' would leave an empty capture";
  if (!(options.rate_bits >= kRateMin && options.rate_bits <= kRateMax)) {
    return "--rate: not from 1K to 1T";
  }
  if (options.ports.size() > kPortsMax) return "--ports: more than " + std::to_string(kPortsMax);
  if (options.vlans.size() > kTagsMax) return "--vlan: more than " + std::to_string(kTagsMax);
  return {};
}

}  // namespace

const char* workload_name(Workload workload) {
  for (const auto& [name, value] : kWorkloads) {
    if (value == workload) return name.c_str();
  }
  return "";
}

ParsedOptions parse_options(int argc, const char* const* argv) {
  ParsedOptions result;
  Options& options = result.options;
  CLI::App app(kDescription, "pcapgen");
  for (const auto add : {add_capture, add_network, add_disturbances, add_http, add_bystanders}) {
    add(app, options);
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.help = app.help();
    return result;
  } catch (const CLI::ParseError& error) {
    result.error = error.what();
    return result;
  }
  set_workload_defaults(app, options);
  result.error = contradictions(options);
  return result;
}

}  // namespace tcp_sniffer::pcapgen
