// Engine: the configuration file is read again while the run goes on (SIGHUP).

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <variant>

#include "io/run/engine.h"

namespace tcp_sniffer {

namespace {

std::string joined(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

}  // namespace

// A SIGHUP that came during the start, which may have waited long for a reader. The output was
// opened after most of it; it is opened again all the same, because it may have been renamed since.
void Engine::reload_before_the_first_packet() {
  const uint32_t came = signals_.hang_ups();
  if (came == hang_ups_seen_ || config_file_ == nullptr || terminal_is_gone()) return;
  hang_ups_seen_ = came;
  if (!config_.output.empty() && outputs_.file() != nullptr) outputs_.file()->reopen();
  reload();
}

// Begins and ends here: when it returns, each shard takes what has changed before its next packet.
void Engine::reload() {
  const auto result = config_file_->read_again(config_);
  if (const auto* wrong = std::get_if<Problem>(&result)) return report_reload_failed(*wrong);
  take_over(std::get<Reload>(result));
}

// Events on their way to the log are shown as the keys before had it; then nothing that the new
// ones hide is.
void Engine::take_over(const Reload& reload) {
  reporter_->report_events();
  const LogLevel level_before = config_.log_level;
  copy_reloaded(reload.config, config_);
  if (!reload.changed.empty()) shards_->change(config_);
  // The event is written if it would be by either level.
  log_.set_level(std::min(level_before, config_.log_level));
  report_reload(reload);
  log_.set_level(config_.log_level);
}

void Engine::report_reload(const Reload& reload) const {
  if (!reload.ignored.empty()) {
    const bool has_columns =
        std::find(reload.ignored.begin(), reload.ignored.end(), "select") != reload.ignored.end();
    EventFields fields;
    fields["file"] = config_file_->path();
    fields["keys"] = reload.ignored;
    log_.emit(LogLevel::kWarn, event::kReloadIgnored,
              "these keys keep their values until the next start: " + joined(reload.ignored) +
                  (has_columns ? " (select: the table has its row of names)" : ""),
              fields);
  }
  EventFields fields;
  fields["file"] = config_file_->path();
  fields["changed"] = reload.changed;
  log_.emit(LogLevel::kInfo, event::kReloaded,
            reload.changed.empty()
                ? "the configuration was read again: nothing has changed"
                : "the configuration was read again, with new values: " + joined(reload.changed),
            fields);
}

void Engine::report_reload_failed(const Problem& wrong) const {
  EventFields fields;
  fields["file"] = config_file_->path();
  fields["error"] = wrong.message();
  log_.emit(LogLevel::kWarn, event::kReloadFailed,
            "the configuration was read again and is rejected; the run goes on as before", fields);
}

}  // namespace tcp_sniffer
