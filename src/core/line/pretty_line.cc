#include "core/line/pretty_line.h"

#include <algorithm>
#include <cstring>

#include "core/base/number_text.h"
#include "core/base/text_encoding.h"
#include "core/field/field_words.h"
#include "core/line/put_text.h"
#include "core/line/short_text.h"
#include "core/line/terminal_text.h"
#include "core/line/text_columns.h"
#include "core/net/ip_text.h"

namespace tcp_sniffer {
namespace {

// Widths of the columns.
struct Layout {
  size_t clock;
  size_t gap;
  size_t method;
  size_t latency;
  bool request_size;
};
constexpr Layout kWideLayout = {TimeText::kClockSize, 2, 7, 11, true};
constexpr Layout kNarrowLayout = {8, 1, 6, 8, false};
constexpr size_t kClientWidth = 15;  // an IPv4 address
constexpr size_t kSizeWidth = 8;

constexpr int64_t kSlowNs = 1000000000;

constexpr std::string_view kRed = "\x1b[31m";
constexpr std::string_view kYellow = "\x1b[33m";
constexpr std::string_view kMagenta = "\x1b[35m";

ShortText endpoint_text(const Endpoint& endpoint) {
  ShortText result;
  result.set_end(write_ip_and_port(result.text, endpoint));
  return result;
}

void append_spaces(size_t count, LineSink& sink) {
  char* out = sink.reserve(count);
  std::memset(out, ' ', count);
  sink.commit(out + count);
}

void append_right(std::string_view text, size_t width, LineSink& sink) {
  append_spaces(width - std::min(text.size(), width), sink);
  append_verbatim(text, sink);
}

std::string_view status_colour(uint16_t status) {
  if (status >= 500) return kRed;
  if (status >= 400) return kYellow;
  if (status >= 300) return "\x1b[36m";
  return "\x1b[32m";
}

// Does the target contain the host (absolute form, or authority form of CONNECT, RFC 9112
// section 3.2)?
bool names_host(std::string_view method, std::string_view target) {
  return method == "CONNECT" || target.find("://") < target.find_first_of("/?");
}

}  // namespace

void PrettyLineWriter::write(const Message& message, LineSink& sink) {
  if (message.direction == MessageDirection::kRequest) return;
  if (message.is_interim()) return;
  const bool is_http = message.protocol.empty();
  if (notes_ != nullptr && is_http) notes_->add(message);
  const ShortText status_number = status_text(message.status);
  const std::string_view status = !is_http              ? message.method
                                  : message.status == 0 ? "-"
                                                        : status_number.view();
  const ShortText latency =
      message.has_latency ? latency_text(message.latency_ns, narrow()) : ShortText{};
  const bool request_known = !message.request_method.empty();
  const ShortText request_size = request_known ? size_text(message.request_body_size) : ShortText{};
  const ShortText response_size = size_text(message.body_size);
  append_line({message.first_byte_ns, request_known ? message.request_method : "?",
               message.request_target.substr(0, kTargetMax), status,
               message.has_latency && message.latency_ns >= kSlowNs, latency.view(),
               request_size.view(), response_size.view()},
              message, false, sink);
}

void PrettyLineWriter::write_unanswered(const Message& request, LineSink& sink) {
  const ShortText request_size = size_text(request.body_size);
  append_line({request.first_byte_ns,
               request.method,
               request.target.substr(0, kTargetMax),
               "...",
               false,
               {},
               request_size.view(),
               {}},
              request, true, sink);
}

void PrettyLineWriter::append_line(const Columns& columns, const Message& message, bool unanswered,
                                   LineSink& sink) {
  append_day(columns.time_ns, sink);
  const Layout& layout = narrow() ? kNarrowLayout : kWideLayout;
  const size_t line_at = sink.size();
  char clock[TimeText::kClockSize];
  time_.write_clock(clock, columns.time_ns);
  append_verbatim({clock, layout.clock}, sink);
  append_spaces(layout.gap, sink);
  append_client(message, sink);
  append_spaces(layout.gap, sink);
  const size_t method_at = sink.size();
  append_method(columns.method, sink);
  const size_t method_columns = columns_of({sink.begin() + method_at, sink.size() - method_at});
  append_spaces(layout.method - std::min(method_columns, layout.method) + layout.gap, sink);
  append_colour(unanswered ? kRed : status_colour(message.status), sink);
  append_right(columns.status, 3, sink);
  append_colour(kReset, sink);
  append_spaces(1, sink);
  if (columns.slow) append_colour(kYellow, sink);
  append_right(columns.latency, layout.latency, sink);
  if (columns.slow) append_colour(kReset, sink);
  append_spaces(layout.gap, sink);
  if (layout.request_size) {
    append_right(columns.request_size, kSizeWidth, sink);
    append_spaces(layout.gap, sink);
  }
  append_right(columns.response_size, kSizeWidth, sink);
  append_spaces(layout.gap, sink);
  const size_t url_at = sink.size();
  append_url(columns, message, sink);
  const size_t url_end = sink.size();
  append_remarks(message, unanswered, sink);
  fit_url(line_at, url_at, url_end, sink);
  append_verbatim("\n", sink);
}

// The day, if no writer of this output has announced it or a later one.
void PrettyLineWriter::append_day(int64_t time_ns, LineSink& sink) {
  if (options_.day == nullptr) return;
  const int64_t day = time_.day_of(time_ns);
  int64_t shown = options_.day->load(std::memory_order_relaxed);
  do {
    if (day <= shown) return;
  } while (!options_.day->compare_exchange_weak(shown, day, std::memory_order_relaxed));
  sink.commit(time_.write_day(sink.reserve(TimeText::kDaySize), time_ns));
  const int32_t offset_s = time_.offset_at(time_ns);
  if (options_.utc_offset_s == nullptr || offset_s == 0) {
    append_verbatim(", UTC\n", sink);
    return;
  }
  const auto minutes = static_cast<uint32_t>((offset_s < 0 ? -offset_s : offset_s) / 60);
  append_verbatim(offset_s < 0 ? ", local time (UTC-" : ", local time (UTC+", sink);
  char* out = write_two_digits(sink.reserve(5), minutes / 60 % 100);
  *out++ = ':';
  sink.commit(write_two_digits(out, minutes % 60));
  append_verbatim(")\n", sink);
}

// Its address, without the port.
void PrettyLineWriter::append_client(const Message& message, LineSink& sink) {
  const IpAddress& client = message.client.is_known      ? message.client.ip
                            : message.proxied != nullptr ? message.proxied->source.ip
                                                         : message.destination.ip;
  ShortText address;
  address.set_end(write_ip(address.text, client));
  append_verbatim(address.view(), sink);
  append_spaces(kClientWidth - std::min(address.size, kClientWidth), sink);
}

void PrettyLineWriter::append_method(std::string_view method, LineSink& sink) {
  const bool changes =
      method == "POST" || method == "PUT" || method == "PATCH" || method == "DELETE";
  if (changes) append_colour(kMagenta, sink);
  append_shown(method, sink);
  if (changes) append_colour(kReset, sink);
}

// Cuts the URL so that the line fits the terminal.
void PrettyLineWriter::fit_url(size_t line_at, size_t url_at, size_t url_end,
                               LineSink& sink) const {
  // No character has more columns than bytes.
  if (options_.columns == 0 || sink.size() - line_at <= options_.columns) return;
  const size_t columns = columns_of({sink.begin() + line_at, sink.size() - line_at});
  if (columns <= options_.columns) return;
  const std::string_view url(sink.begin() + url_at, url_end - url_at);
  const size_t others = columns - columns_of(url);
  const size_t room = options_.columns - std::min<size_t>(options_.columns, others);
  const MiddleCut cut = cut_middle(url, std::max(room, kUrlColumnsMin));
  if (cut.head == cut.tail) return;
  char* const end = sink.reserve(kCutSign.size());
  char* const text = end - sink.size() + url_at;
  const auto behind = static_cast<size_t>(end - (text + cut.tail));
  std::memmove(text + cut.head + kCutSign.size(), text + cut.tail, behind);
  put(text + cut.head, kCutSign);
  sink.commit(text + cut.head + kCutSign.size() + behind);
}

void PrettyLineWriter::append_url(const Columns& columns, const Message& message, LineSink& sink) {
  if (!names_host(columns.method, columns.target)) {
    if (message.request_host.empty()) {
      append_verbatim(endpoint_text(message.receiver).view(), sink);
    } else {
      append_shown(message.request_host, sink);
    }
    if (!columns.target.starts_with('/') && !columns.target.empty()) append_spaces(1, sink);
  }
  append_shown(columns.target, sink);
}

// Text from the wire: as in JSON, and without what turns or hides the text around it.
void PrettyLineWriter::append_shown(std::string_view text, LineSink& sink) {
  if (!is_utf8(text)) return strings_.write_bare(text, sink);  // byte by byte
  while (!text.empty()) {
    const TerminalHarm harm = find_terminal_harm(text);
    strings_.write_bare(text.substr(0, harm.at), sink);
    if (harm.size == 0) return;
    sink.commit(write_hex(put(sink.reserve(8), "\\u"), harm.code, 4));
    text.remove_prefix(harm.at + harm.size);
  }
}

void PrettyLineWriter::append_remarks(const Message& message, bool unanswered, LineSink& sink) {
  const bool incomplete = message.incomplete != Incomplete::kNo;
  if (!unanswered && !incomplete && !message.after_gap) return;
  append_colour(kRed, sink);
  if (unanswered) append_verbatim("  unanswered", sink);
  if (incomplete) {
    append_verbatim("  incomplete: ", sink);
    append_verbatim(incomplete_word(message.incomplete), sink);
    if (message.missing_bytes != 0) {
      append_verbatim(", missing ", sink);
      append_verbatim(size_text(message.missing_bytes).view(), sink);
    }
  }
  if (message.after_gap) append_verbatim("  after a gap", sink);
  append_colour(kReset, sink);
}

void PrettyLineWriter::append_colour(std::string_view code, LineSink& sink) const {
  if (options_.colours) append_verbatim(code, sink);
}

}  // namespace tcp_sniffer
