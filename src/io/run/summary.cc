#include "io/run/summary.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string_view>
#include <vector>

#include "core/line/json_string.h"
#include "core/line/short_text.h"
#include "core/line/terminal_text.h"
#include "core/line/text_columns.h"

namespace tcp_sniffer {

namespace {

std::string number(uint64_t value) {
  std::string text = std::to_string(value);
  for (size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text;
}

std::string bytes_text(uint64_t bytes) {
  static constexpr std::string_view kUnits[] = {" B", " kB", " MB", " GB", " TB", " PB", " EB"};
  auto size = static_cast<double>(bytes);
  size_t unit = 0;
  for (; size >= 999.95 && unit + 1 < std::size(kUnits); unit++) size /= 1000;
  char text[32];
  std::snprintf(text, sizeof(text), unit == 0 ? "%.0f" : "%.1f", size);
  return text + std::string(kUnits[unit]);
}

// A heading, a figure, and a remark, which may end with a URL.
struct Line {
  std::string_view heading;
  std::string figure;
  std::string words;
  std::string url{};
};
using Lines = std::vector<Line>;

std::string counted(uint64_t count, std::string_view what) {
  return count == 0 ? "" : number(count) + " " + std::string(what);
}

// The parts that are not empty, with commas.
std::string joined(std::initializer_list<std::string> parts) {
  std::string text;
  for (const std::string& part : parts) {
    if (part.empty()) continue;
    text += (text.empty() ? "" : ", ") + part;
  }
  return text;
}

// A bound of the latencies' buckets: 0.25 ms, 2.5 s.
std::string bound_text(int64_t microseconds) {
  char text[32];
  if (microseconds < 1'000'000) {
    std::snprintf(text, sizeof(text), "%g ms", static_cast<double>(microseconds) / 1e3);
  } else {
    std::snprintf(text, sizeof(text), "%g s", static_cast<double>(microseconds) / 1e6);
  }
  return text;
}

// So many of the responses came within a time. The buckets know only their bounds.
void add_latencies(const Totals& totals, Lines& lines) {
  uint64_t all = 0;
  for (const uint64_t count : totals.latencies) all += count;
  if (all == 0) return;
  std::string words;
  for (const uint64_t percent : {50u, 90u, 99u}) {
    const uint64_t wanted = all - all * (100 - percent) / 100;
    uint64_t count = 0;
    size_t bucket = 0;
    while ((count += totals.latencies[bucket]) < wanted) bucket++;
    const bool bounded = bucket < kHistogramBoundsUs.size();
    words += (words.empty() ? "p" : ", p") + std::to_string(percent) +
             (bounded ? " up to " + bound_text(kHistogramBoundsUs[bucket])
                      : " over " + bound_text(kHistogramBoundsUs.back()));
  }
  lines.push_back({"latency", "", words});
}

void add_incomplete(const Totals& totals, Lines& lines) {
  std::string causes;
  uint64_t sum = 0;
  for (size_t i = 0; i < ShardCounters::kSize; i++) {
    if (kShardCounters[i].group != "incomplete" || totals.shards[i] == 0) continue;
    sum += totals.shards[i];
    causes += (causes.empty() ? "" : ", ") + std::string(kShardCounters[i].label) + " " +
              number(totals.shards[i]);
  }
  if (sum > 0) lines.push_back({"", number(sum), "incomplete (" + causes + ")"});
}

// Text from the wire.
std::string shown(std::string_view text) {
  ScratchLine line;
  append_for_terminal(text, line);
  return std::string(line.view());
}

std::string shown(int64_t latency_ns) {
  return std::string(latency_text(latency_ns, false).view());
}

void add_slowest(const ExchangeNotes& notes, Lines& lines) {
  bool first = true;
  for (const ExchangeNotes::Slow& slow : notes.slowest()) {
    const bool names_host = !slow.target.view().starts_with('/');
    const std::string words =
        shown(slow.method.view()) + " " + std::string(status_text(slow.status).view()) + " ";
    const std::string host = names_host ? std::string() : shown(slow.host.view());
    lines.push_back(
        {first ? "slowest" : "", shown(slow.latency_ns), words, host + shown(slow.target.view())});
    first = false;
  }
}

std::string cut_to(size_t columns, const std::string& url) {
  const MiddleCut cut = cut_middle(url, std::max(columns, kUrlColumnsMin));
  if (cut.head == cut.tail) return url;
  return url.substr(0, cut.head) + std::string(kCutSign) + url.substr(cut.tail);
}

void add_hosts(const ExchangeNotes& notes, Lines& lines) {
  constexpr size_t kShown = 5;
  uint64_t rest = notes.others().exchanges;
  std::vector<ExchangeNotes::Host> hosts = notes.busiest(ExchangeNotes::kHostsMax);
  if (hosts.empty()) return;
  size_t more = 0;
  for (size_t i = 0; i < hosts.size(); i++) {
    const ExchangeNotes::Host& host = hosts[i];
    if (i >= kShown) {
      rest += host.exchanges;
      more++;
      continue;
    }
    lines.push_back({i == 0 ? "by host" : "", number(host.exchanges),
                     joined({shown(host.name.view()), counted(host.errors, "errors (5xx)"),
                             "slowest " + shown(host.slowest_ns)})});
  }
  if (rest == 0) return;
  const bool exact = notes.others().exchanges == 0;
  lines.push_back({"", number(rest), (exact ? "" : "more than ") + number(more) + " other hosts"});
}

void add_traffic(const Totals& totals, Lines& lines) {
  const uint64_t requests = totals.of(ShardCounter::requests);
  const uint64_t final = totals.of(ShardCounter::responses) - totals.of(ShardCounter::interim);
  const uint64_t unpaired = totals.of(ShardCounter::unpaired);
  const uint64_t answered = final - std::min(final, unpaired);
  lines.push_back({"exchanges", number(requests),
                   joined({counted(totals.notes ? totals.notes->errors() : 0, "errors (5xx)"),
                           counted(requests - std::min(requests, answered), "without a response"),
                           counted(unpaired, "responses without their request")})});
  add_latencies(totals, lines);
  if (totals.notes) {
    add_slowest(*totals.notes, lines);
    add_hosts(*totals.notes, lines);
  }
  lines.push_back(
      {"messages", number(totals.written),
       joined({"written, " + bytes_text(totals.output_bytes),
               counted(totals.of(ShardCounter::messages_filtered), "filtered"),
               counted(totals.of(ShardCounter::messages_sampled_out), "not in the sample"),
               counted(totals.of(ShardCounter::messages_beyond_count), "beyond the count")})});
  add_incomplete(totals, lines);
  lines.push_back({"connections", number(totals.of(ShardCounter::connections_opened)),
                   joined({counted(totals.of(ShardCounter::tls), "TLS streams"),
                           counted(totals.of(ShardCounter::http2), "HTTP/2 streams"),
                           counted(totals.of(ShardCounter::not_http), "streams not HTTP")})});
  lines.push_back(
      {"frames", number(totals.of(FrameCounter::received)),
       joined({bytes_text(totals.of(FrameCounter::received_bytes)),
               counted(totals.of(FrameCounter::not_ip), "not IP"),
               counted(totals.of(FrameCounter::not_tcp), "not TCP"),
               counted(totals.of(FrameCounter::other_port), "of other ports"),
               counted(totals.of(FrameCounter::filtered), "filtered"),
               counted(totals.of(FrameCounter::not_sampled), "not sampled"),
               counted(totals.of(FrameCounter::malformed), "malformed"),
               counted(totals.of(FrameCounter::bad_checksum), "with a bad checksum"),
               counted(totals.of(FrameCounter::tunnel_too_deep), "too deep in tunnels")})});
  if (!totals.extracted) return;
  lines.push_back({"bodies", number(totals.extracted->files),
                   joined({"in files, " + bytes_text(totals.extracted->bytes),
                           counted(totals.extracted->incomplete, "incomplete ones left out")})});
}

void add_losses(const Totals& totals, Lines& lines) {
  const size_t before = lines.size();
  const auto add = [&](uint64_t count, std::string figure, std::string_view words) {
    if (count == 0) return;
    lines.push_back({lines.size() == before ? "lost" : "", std::move(figure), std::string(words)});
  };
  const auto add_count = [&](uint64_t count, std::string_view words) {
    add(count, number(count), words);
  };
  add_count(totals.kernel_dropped, "frames: the capture was too slow (kernel)");
  add_count(totals.interface_dropped, "frames: the interface had no room");
  add_count(totals.of(FrameCounter::dropped_overload),
            "frames: the shards were too slow (overload)");
  add_count(totals.of(FrameCounter::fragment_dropped), "fragments: the rest of them never came");
  const uint64_t overload = totals.of(ShardCounter::missing_overload);
  const uint64_t missing =
      totals.of(ShardCounter::missing) - std::min(totals.of(ShardCounter::missing), overload);
  add(missing, bytes_text(missing), "of connections: they were not captured");
  add(overload, bytes_text(overload), "of connections: they were in dropped frames");
  const uint64_t skipped = totals.of(ShardCounter::skipped_in_resync);
  add(skipped, bytes_text(skipped), "of connections: passed over to find a message");
  const uint64_t outside = totals.of(ShardCounter::out_of_window);
  add(outside, bytes_text(outside), "of connections: too far from what came before");
  add_count(totals.of(ShardCounter::connections_evicted),
            "connections: given up for others (maxConcurrentConnections, memoryLimit)");
  add_count(totals.of(ShardCounter::connections_refused),
            "connections: no room (maxConcurrentConnections, memoryLimit)");
  add_count(totals.dropped_messages(), "messages: the output was too slow, or its disk full");
  add_count(totals.rejected_messages(), "messages: rejected by Kafka");
  add_count(totals.discarded_messages() - totals.rejected_messages(),
            "messages: not read before the end");
  if (totals.extracted) {
    add_count(totals.extracted->dropped, "bodies: the disk of extractDir was too slow");
    add_count(totals.extracted->limited, "bodies: extractMaxBytes or extractMaxFiles");
    add_count(totals.extracted->errors, "bodies: their files could not be written");
  }
  if (lines.size() == before) lines.push_back({"lost", "nothing", ""});
}

}  // namespace

std::string summary_of(const Totals& totals, size_t columns) {
  Lines lines;
  add_traffic(totals, lines);
  add_losses(totals, lines);
  size_t heading_width = 0;
  size_t figure_width = 0;
  for (const Line& line : lines) {
    heading_width = std::max(heading_width, line.heading.size());
    figure_width = std::max(figure_width, line.figure.size());
  }
  std::string text;
  for (const Line& line : lines) {
    std::string row = "  " + std::string(line.heading);
    row.resize(2 + heading_width + 2 + figure_width - line.figure.size(), ' ');
    row += line.figure;
    if (!line.words.empty()) row += "  " + line.words;
    const size_t room = columns - std::min(columns, columns_of(row));
    row += columns == 0 ? line.url : cut_to(room, line.url);
    text += row + '\n';
  }
  return text;
}

std::string duration_text(double seconds) {
  char text[48];
  const long whole = std::lround(seconds);
  if (seconds < 0.9995) {
    std::snprintf(text, sizeof(text), "%.0f ms", seconds * 1000);
  } else if (seconds < 59.5) {
    std::snprintf(text, sizeof(text), "%.1f s", seconds);
  } else if (whole < 3600) {
    std::snprintf(text, sizeof(text), "%ld min %ld s", whole / 60, whole % 60);
  } else {
    std::snprintf(text, sizeof(text), "%ld h %ld min", whole / 3600, whole % 3600 / 60);
  }
  return text;
}

}  // namespace tcp_sniffer
