#include "io/run/live_watch.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "io/capture/live_source.h"

namespace tcp_sniffer {

// The kernel takes the handles up again with the interface, so this is news and no failure.
void LiveWatch::report_interface(const LiveSource& source, bool has_failed) {
  EventFields fields;
  fields["interface"] = source.interface();
  if (source.is_removed()) {
    if (std::exchange(removal_reported_, true)) return;
    interface_up_ = false;
    fields["error"] = source.removal().message();
    host_.log.emit(LogLevel::kWarn, event::kInterfaceDown,
                   "the interface was removed; the capture of the others goes on, and that of this "
                   "one when it is back",
                   fields);
    return;
  }
  removal_reported_ = false;
  if (has_failed) {
    // Alone, it ends the run.
    if (!one_of_several_ || std::exchange(failure_reported_, true)) return;
    fields["error"] = source.problem().message();
    host_.log.emit(LogLevel::kWarn, event::kInterfaceDown,
                   "the capture of this interface has ended; that of the others goes on", fields);
    return;
  }
  const bool up = source.interface_is_up();
  if (up == interface_up_) return;
  interface_up_ = up;
  if (up) {
    host_.log.emit(LogLevel::kInfo, event::kInterfaceUp, "the interface is up again", fields);
  } else {
    host_.log.emit(LogLevel::kWarn, event::kInterfaceDown,
                   "the interface went down; the capture goes on when it is back", fields);
  }
}

// Looked at once in a run.
void LiveWatch::report_no_packets(std::chrono::steady_clock::time_point now,
                                  const LiveSource& source, uint64_t packets) {
  const std::chrono::milliseconds patience(host_.config.no_packets_warning_ms);
  if (looked_for_packets_ || patience.count() == 0 || now - host_.started_at < patience) return;
  looked_for_packets_ = true;
  if (packets > 0) return;
  EventFields fields;
  fields["interface"] = source.interface();
  fields["filter"] = source.filter_text();
  host_.log.emit(
      LogLevel::kWarn, event::kNoPackets,
      "no TCP packet of these ports has come: are they, and the interface, the right ones?",
      fields);
}

}  // namespace tcp_sniffer
