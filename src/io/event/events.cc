#include "io/event/events.h"

#include <algorithm>
#include <iterator>
#include <nlohmann/json.hpp>

#include "core/line/time_text.h"
#include "io/base/printable.h"

namespace tcp_sniffer {
namespace {

bool always_passes(std::string_view name) {
  constexpr std::string_view kPassing[] = {
      event::kStarted,  event::kStats,         event::kStopped,     event::kFatal,
      event::kReloaded, event::kReloadIgnored, event::kReloadFailed};
  return std::find(std::begin(kPassing), std::end(kPassing), name) != std::end(kPassing);
}

std::string dump_ascii(const EventFields& value) {
  return value.dump(-1, ' ', true, EventFields::error_handler_t::replace);
}

// ` key=value`, nested objects as ` outer.inner=value`.
void append_text_fields(std::string& out, const std::string& prefix, const EventFields& fields) {
  for (const auto& [name, value] : fields.items()) {
    std::string path = prefix;
    if (!path.empty()) path += '.';
    path += name;
    if (value.is_object()) {
      append_text_fields(out, path, value);
      continue;
    }
    out += ' ';
    append_printable(out, path);
    out += '=';
    if (value.is_string()) {
      const auto& text = value.get_ref<const std::string&>();
      out += quote_text(text, text.size());
    } else {
      out += dump_ascii(value);
    }
  }
}

std::string format_text(LogLevel level, std::string_view name, std::string_view message,
                        const EventFields& fields, int64_t time_us) {
  std::string line = utc_timestamp(time_us);
  line.append(" ").append(level_name(level)).append(" ").append(name).append(": ");
  append_printable(line, message);
  if (fields.is_object()) append_text_fields(line, "", fields);
  return line += '\n';
}

std::string format_json(LogLevel level, std::string_view name, std::string_view message,
                        const EventFields& fields, int64_t time_us) {
  EventFields line = EventFields::object();
  line["timestamp"] = utc_timestamp(time_us);
  line["level"] = level_name(level);
  line["event"] = name;
  line["message"] = message;
  if (fields.is_object()) {
    for (const auto& [key, value] : fields.items()) line[key] = value;
  }
  return dump_ascii(line) += '\n';
}

}  // namespace

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return "debug";
    case LogLevel::kInfo:
      return "info";
    case LogLevel::kWarn:
      return "warn";
    case LogLevel::kError:
      return "error";
  }
  return "error";
}

std::string utc_timestamp(int64_t time_us) {
  TimeText time;
  char text[TimeText::kSize];
  return {text, time.write(text, time_us * 1000)};
}

std::string format_event(LogFormat format, LogLevel level, std::string_view name,
                         std::string_view message, const EventFields& fields, int64_t time_us) {
  return format == LogFormat::kText ? format_text(level, name, message, fields, time_us)
                                    : format_json(level, name, message, fields, time_us);
}

EventRateLimiter::Verdict EventRateLimiter::admit(std::string_view name, uint64_t now_ns) {
  if (always_passes(name)) return {};
  auto found = windows_.find(name);
  if (found == windows_.end()) found = windows_.emplace(name, Window{.began_ns = now_ns}).first;
  Window& window = found->second;
  if (now_ns - window.began_ns >= window_ns_) {
    window.began_ns = now_ns;
    window.passed = 0;
  }
  if (window.passed >= events_max_) {
    ++window.suppressed;
    return {.pass = false};
  }
  ++window.passed;
  const uint64_t suppressed = window.suppressed;
  window.suppressed = 0;
  return {.suppressed = suppressed};
}

std::map<std::string, uint64_t> EventRateLimiter::take_suppressed() {
  std::map<std::string, uint64_t> counts;
  for (auto& [name, window] : windows_) {
    if (window.suppressed > 0) counts[name] = window.suppressed;
    window.suppressed = 0;
  }
  return counts;
}

}  // namespace tcp_sniffer
