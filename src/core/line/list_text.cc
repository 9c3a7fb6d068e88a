#include "core/line/list_text.h"

#include "core/base/number_text.h"
#include "core/line/connection_text.h"
#include "core/line/json_string.h"

namespace tcp_sniffer {
namespace {

// Two endpoints, or two numbers, with what stands between them.
constexpr size_t kPartMax = 512;

// After each item of a list stands a comma.
void close_list(LineSink& sink) {
  cut_line(sink, sink.size() - 1);
  append_verbatim("]", sink);
}

}  // namespace

void append_proxied(const ProxiedEndpoints& proxied, LineSink& sink) {
  append_verbatim("{\"source\":", sink);
  sink.commit(write_endpoint(sink.reserve(kPartMax), proxied.source));
  append_verbatim(",\"destination\":", sink);
  sink.commit(write_endpoint(sink.reserve(kPartMax), proxied.destination));
  append_verbatim(proxied.tls ? ",\"tls\":true}" : "}", sink);
}

void append_body_gaps(std::span<const BodyGap> gaps, LineSink& sink) {
  append_verbatim("[", sink);
  for (const BodyGap& gap : gaps) {
    char* out = sink.reserve(kPartMax);
    *out++ = '[';
    out = write_unsigned(out, gap.offset);
    *out++ = ',';
    out = write_unsigned(out, gap.length);
    *out++ = ']';
    *out++ = ',';
    sink.commit(out);
  }
  close_list(sink);
}

void append_anomalies(Anomalies anomalies, LineSink& sink) {
  append_verbatim("[", sink);
  for (size_t i = 0; i < kAnomalies; ++i) {
    const auto anomaly = static_cast<Anomaly>(i);
    if (!anomalies.has(anomaly)) continue;
    append_verbatim("\"", sink);
    append_verbatim(anomaly_word(anomaly), sink);
    append_verbatim("\",", sink);
  }
  close_list(sink);
}

}  // namespace tcp_sniffer
