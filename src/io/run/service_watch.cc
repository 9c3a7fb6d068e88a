#include "io/run/service_watch.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "io/base/service_notify.h"

namespace tcp_sniffer {

namespace {

// Between two looks, if the watchdog does not want to hear from the process more often.
constexpr std::chrono::microseconds kLookEvery{2'000'000};
// systemd asks for half of its time. A quarter leaves room for the control thread's own pace.
constexpr int kLooksInWatchdog = 4;
// What is asked for at each look, until the next one.
constexpr std::string_view kMoreTime = "\nEXTEND_TIMEOUT_USEC=15000000";

std::string names_text(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

void append_loss(std::string& text, uint64_t count, std::string_view what) {
  if (count == 0) return;
  text += text.empty() ? "" : ", ";
  text += std::to_string(count).append(" ").append(what);
}

std::string loss_text(const Losses& losses) {
  std::string text;
  append_loss(text, losses.kernel + losses.interface + losses.frames, "frames");
  append_loss(text, losses.connections, "segments without a connection");
  append_loss(text, losses.messages, "messages");
  append_loss(text, losses.bodies, "body files");
  return text.empty() ? "nothing lost" : "lost: " + text;
}

}  // namespace

ServiceWatch::ServiceWatch(EventLog& log)
    : log_(log),
      managed_(has_service_manager()),
      watchdog_(service_watchdog()),
      interval_(watchdog_ ? std::min(kLookEvery, *watchdog_ / kLooksInWatchdog) : kLookEvery) {}

void ServiceWatch::wait_for(std::string_view what, Clock::time_point now) {
  next_look_ = now + interval_;
  service_notify(std::string("STATUS=waiting for ").append(what).append(kMoreTime));
}

void ServiceWatch::ready() {
  looked_at_ = Clock::now();
  next_look_ = looked_at_ + interval_;
  if (managed_) service_notify("READY=1\nSTATUS=capturing");
}

void ServiceWatch::begin_reload() const {
  if (managed_) service_notify(reloading_lines());
}

void ServiceWatch::end_reload() const {
  if (managed_) service_notify("READY=1");
}

void ServiceWatch::stopping() {
  if (stopping_) return;
  stopping_ = true;
  if (managed_) service_notify(std::string("STOPPING=1").append(kMoreTime));
}

void ServiceWatch::look(const Totals& totals, const std::vector<ThreadSight>& threads,
                        Clock::time_point now) {
  next_look_ = now + interval_;
  std::string lines = "STATUS=" + status(totals, now);
  report_still(threads_.look(threads, now));
  if (still_.empty()) {
    if (watchdog_) lines += "\nWATCHDOG=1";
    if (stopping_) lines += kMoreTime;
  } else {
    lines += "; no progress: " + names_text(still_);
  }
  service_notify(lines);
}

std::string ServiceWatch::status(const Totals& totals, Clock::time_point now) {
  const double seconds = std::chrono::duration<double>(now - looked_at_).count();
  const auto messages = static_cast<double>(totals.written - written_);
  written_ = totals.written;
  looked_at_ = now;
  const double rate = seconds > 0 ? std::round(messages / seconds) : 0;
  std::string text = stopping_ ? "stopping; " : "";
  text += std::to_string(static_cast<uint64_t>(rate)) + " messages/s, ";
  return text + loss_text(losses_of(totals));
}

void ServiceWatch::report_still(const std::vector<std::string>& still) {
  if (still == still_) return;
  still_ = still;
  if (still_.empty()) return;
  EventFields fields;
  fields["threads"] = still_;
  log_.emit(LogLevel::kError, event::kThreadsStuck,
            "threads make no progress: the service manager is not told that all is well", fields);
}

}  // namespace tcp_sniffer
