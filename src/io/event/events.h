#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "io/config/config.h"

namespace tcp_sniffer {

// The names of the events on standard error; docs/events.md describes them.
namespace event {
inline constexpr std::string_view kStarted = "started";
inline constexpr std::string_view kNoPackets = "no_packets";
inline constexpr std::string_view kStats = "stats";
inline constexpr std::string_view kConnectionEvicted = "connection_evicted";
inline constexpr std::string_view kReassemblyGap = "reassembly_gap";
inline constexpr std::string_view kNotHttp = "not_http";
inline constexpr std::string_view kParseError = "parse_error";
inline constexpr std::string_view kLoss = "loss";
inline constexpr std::string_view kDrainIncomplete = "drain_incomplete";
inline constexpr std::string_view kStopped = "stopped";
inline constexpr std::string_view kFatal = "fatal";
inline constexpr std::string_view kInterfaceDown = "interface_down";
inline constexpr std::string_view kInterfaceUp = "interface_up";
// What cannot be decoded.
inline constexpr std::string_view kUnsupportedLinkType = "unsupported_link_type";
// A capture file that begins before the one before it ended.
inline constexpr std::string_view kFileOutOfOrder = "file_out_of_order";
// Captures that are followed.
inline constexpr std::string_view kFollowBegun = "follow_begun";
inline constexpr std::string_view kFollowEnded = "follow_ended";
inline constexpr std::string_view kFollowSkipped = "follow_skipped";
inline constexpr std::string_view kFollowMissed = "follow_missed";
inline constexpr std::string_view kFollowWaiting = "follow_waiting";
inline constexpr std::string_view kFollowUnwatched = "follow_unwatched";
inline constexpr std::string_view kFollowListening = "follow_listening";
inline constexpr std::string_view kFollowUnconnected = "follow_unconnected";
inline constexpr std::string_view kLimit = "limit";
inline constexpr std::string_view kNoReader = "no_reader";
// Under a service manager with a watchdog: threads that stand still.
inline constexpr std::string_view kThreadsStuck = "threads_stuck";
// The configuration file was read again.
inline constexpr std::string_view kReloaded = "reloaded";
inline constexpr std::string_view kReloadIgnored = "reload_ignored";
inline constexpr std::string_view kReloadFailed = "reload_failed";
// Files that could not be opened or written.
inline constexpr std::string_view kOutputReopenFailed = "output_reopen_failed";
inline constexpr std::string_view kOutputMended = "output_mended";
inline constexpr std::string_view kOutputFull = "output_full";
inline constexpr std::string_view kOutputResumed = "output_resumed";
inline constexpr std::string_view kExtractFailed = "extract_failed";
// An output to Kafka.
inline constexpr std::string_view kKafkaError = "kafka_error";
inline constexpr std::string_view kKafkaFailed = "kafka_failed";
inline constexpr std::string_view kKafkaBrokerDown = "kafka_broker_down";
inline constexpr std::string_view kKafkaBrokerUp = "kafka_broker_up";
inline constexpr std::string_view kKafkaLeaderChanged = "kafka_leader_changed";
inline constexpr std::string_view kKafkaLog = "kafka_log";
inline constexpr std::string_view kDebugLogFailed = "debug_log_failed";
// How many events the log itself held back or lost.
inline constexpr std::string_view kEventsSuppressed = "events_suppressed";
inline constexpr std::string_view kEventsDropped = "events_dropped";
}  // namespace event

// The fields of one event, an object whose order is kept. Values from the wire go in as strings:
// both forms escape them.
using EventFields = nlohmann::ordered_json;

std::string_view level_name(LogLevel level);

// `2025-02-21T12:00:00.000000Z` from microseconds since 1970 UTC.
std::string utc_timestamp(int64_t time_us);

// One event as a line with its line feed: a JSON object in ASCII, or text for people. Neither
// contains a control character, whatever the message and the fields hold; bytes that are not
// UTF-8 are replaced by U+FFFD (JSON) or shown as \xNN (text).
std::string format_event(LogFormat format, LogLevel level, std::string_view name,
                         std::string_view message, const EventFields& fields, int64_t time_us);

// Lets `events_max` events of one name pass in a window, which begins with the first of them, and
// counts the rest. Events that come at most once, or when the user asked for them, always pass.
// Not thread-safe; takes the time as an argument.
class EventRateLimiter {
 public:
  EventRateLimiter(uint64_t events_max, uint64_t window_ns)
      : events_max_(events_max), window_ns_(window_ns) {}

  struct Verdict {
    bool pass = true;
    uint64_t suppressed = 0;  // held back since the last one that passed; reported once
  };
  Verdict admit(std::string_view name, uint64_t now_ns);

  // What was held back and not yet reported, by name; counts as reported then.
  std::map<std::string, uint64_t> take_suppressed();

 private:
  struct Window {
    uint64_t began_ns = 0;
    uint64_t passed = 0;
    uint64_t suppressed = 0;
  };

  const uint64_t events_max_;
  const uint64_t window_ns_;
  // Event names are the program's own words, so that this stays small.
  std::map<std::string, Window, std::less<>> windows_;
};

}  // namespace tcp_sniffer
