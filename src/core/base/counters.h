#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace tcp_sniffer {

// The ledger. One line a counter: X(name, "group", "name in the events", "meaning").
// A counter marked (g) is a gauge. Every drop has a counter and every counter one writer.

// Written by a capture thread: the fate of every frame.
#define TCP_SNIFFER_FRAME_COUNTERS(X)                                                              \
  X(received, "frames", "received", "frames taken from the source")                                \
  X(not_ip, "frames", "not_ip", "frames without an IP packet that could be read")                  \
  X(not_tcp, "frames", "not_tcp", "IP packets that carry no TCP")                                  \
  X(other_port, "frames", "other_port", "TCP segments between other ports")                        \
  X(filtered, "frames", "filtered", "frames which the user's filter leaves out")                   \
  X(not_sampled, "frames", "not_sampled", "segments of connections outside the sample")            \
  X(malformed, "frames", "malformed", "packets that contradict themselves")                        \
  X(bad_checksum, "frames", "bad_checksum", "packets with a wrong IP or TCP checksum")             \
  X(fragment_merged, "frames", "fragment_merged", "fragments that went into a datagram")           \
  X(fragment_dropped, "frames", "fragment_dropped", "fragments of datagrams never completed")      \
  X(fragment_held, "frames", "fragment_held", "fragments waiting for the rest (g)")                \
  X(tunnel_too_deep, "frames", "tunnel_too_deep", "packets inside more tunnels than followed")     \
  X(dropped_overload, "frames", "dropped_overload", "segments no shard had room for")              \
  X(dispatched, "frames", "dispatched", "segments given to a shard")                               \
  X(received_bytes, "capture", "bytes", "captured bytes of all frames")                            \
  X(dropped_overload_bytes, "capture", "dropped_overload_bytes", "payload of dropped segments")    \
  X(dropped_untold, "capture", "dropped_untold", "dropped segments that no note to a shard names") \
  X(fragments_apart, "capture", "fragments_apart",                                                 \
    "segments of IPv6 fragments in a thread that may not have their connection")                   \
  X(uncopied_bytes, "capture", "uncopied_bytes",                                                   \
    "payload that is not needed and was not copied for its shard")                                 \
  X(clock_jumps, "capture", "clock_jumps", "jumps of packet time that were believed")              \
  X(opened_vlan, "encapsulation", "vlan", "VLAN tags opened around segments")                      \
  X(opened_mpls, "encapsulation", "mpls", "MPLS label stacks opened around segments")              \
  X(opened_pppoe, "encapsulation", "pppoe", "PPPoE sessions opened around segments")               \
  X(opened_ppp, "encapsulation", "ppp", "PPP frames opened around segments")                       \
  X(opened_wifi, "encapsulation", "wifi", "802.11 frames opened around segments")                  \
  X(opened_ip_in_ip, "encapsulation", "ip_in_ip",                                                  \
    "IP in IP, 6in4 included opened around segments")                                              \
  X(opened_ether_ip, "encapsulation", "ether_ip", "EtherIP opened around segments")                \
  X(opened_gre, "encapsulation", "gre", "GRE opened around segments")                              \
  X(opened_pptp, "encapsulation", "pptp", "GRE version 1 of PPTP opened around segments")          \
  X(opened_erspan, "encapsulation", "erspan", "ERSPAN opened around segments")                     \
  X(opened_vxlan, "encapsulation", "vxlan", "VXLAN opened around segments")                        \
  X(opened_geneve, "encapsulation", "geneve", "GENEVE opened around segments")                     \
  X(opened_gtp, "encapsulation", "gtp", "GTP-U opened around segments")                            \
  X(opened_teredo, "encapsulation", "teredo", "Teredo opened around segments")                     \
  X(opened_l2tp, "encapsulation", "l2tp", "L2TP opened around segments")                           \
  X(opened_ayiya, "encapsulation", "ayiya", "AYIYA opened around segments")

// Written by a shard.
#define TCP_SNIFFER_SHARD_COUNTERS(X)                                                             \
  X(segments, "tcp", "segments", "segments processed")                                            \
  X(captured, "bytes", "captured", "payload bytes of processed segments")                         \
  X(parsed, "bytes", "parsed", "payload bytes that are part of a message")                        \
  X(tunnel, "bytes", "tunnel", "payload bytes after CONNECT or Upgrade")                          \
  X(ignored_stream, "bytes", "ignored_stream", "payload bytes of streams that are not HTTP")      \
  X(skipped_in_resync, "bytes", "skipped_in_resync", "bytes passed over to find a message")       \
  X(bridged_late, "bytes", "bridged_late", "bytes that came after their hole was given up")       \
  X(duplicate, "bytes", "duplicate", "bytes that had come before")                                \
  X(out_of_window, "bytes", "out_of_window", "bytes too far from the stream's head")              \
  X(refused, "bytes", "refused", "bytes of segments an option refused")                           \
  X(evicted, "bytes", "evicted", "buffered bytes given up for memory or a free slot")             \
  X(buffered, "bytes", "buffered", "bytes waiting in reorder buffers (g)")                        \
  X(missing, "bytes", "missing", "bytes that never came")                                         \
  X(missing_overload, "bytes", "missing_overload", "of them, those dropped by this program")      \
  X(conflicting, "bytes", "conflicting", "overlapping bytes that differ from the first copy")     \
  X(connections_opened, "connections", "opened", "connections begun")                             \
  X(connections_midstream, "connections", "midstream", "connections met without their SYN")       \
  X(connections_closed, "connections", "closed", "connections ended by FIN or RST")               \
  X(connections_idle, "connections", "idle", "connections ended by the idle timeout")             \
  X(connections_evicted, "connections", "evicted", "connections given up for room")               \
  X(connections_reused, "connections", "reused", "connections ended by a new SYN on their ports") \
  X(connections_drained, "connections", "drained", "connections open at the end of the capture")  \
  X(connections_refused, "connections", "refused", "connections without a place or memory")       \
  X(connections_one_sided, "connections", "one_sided", "ended connections seen from one side")    \
  X(connections_proxied, "connections", "proxied", "connections that began with a PROXY header")  \
  X(connections_open, "connections", "open", "connections now (g)")                               \
  X(connections_half_open, "connections", "half_open", "of them with a SYN only (g)")             \
  X(tombstone_segments, "tcp", "after_close", "segments of connections already ended")            \
  X(tombstones_forgotten, "tcp", "forgotten_early",                                               \
    "ended connections forgotten before their time")                                              \
  X(duplicate_frames, "tcp", "duplicate_frames", "segments captured twice, as mirror ports do")   \
  X(gaps, "tcp", "gaps", "holes given up")                                                        \
  X(reorder_buffers, "memory", "reorder_buffers", "reorder buffers in use (g)")                   \
  X(memory_bytes, "memory", "bytes", "bytes of buffers and messages in use (g)")                  \
  X(memory_refusals, "memory", "refusals", "times the memory limit said no")                      \
  X(rotations, "tcp", "rotations", "reorder buffers moved or enlarged")                           \
  X(fsm_refused, "tcp", "fsm_refused", "segments illegal in their connection's state")            \
  X(options_refused, "tcp", "options_refused", "segments against the negotiated MSS or window")   \
  X(missing_init_refused, "tcp", "missing_init_refused", "segments of connections without SYN")   \
  X(messages_parsed, "messages", "parsed", "messages put together")                               \
  X(messages_written, "messages", "written", "messages handed to the output")                     \
  X(messages_dropped_overload, "messages", "dropped_overload",                                    \
    "messages the output had no room for")                                                        \
  X(messages_discarded, "messages", "discarded", "messages that were not read before the end")    \
  X(messages_beyond_count, "messages", "beyond_count",                                            \
    "messages after the exchanges that count asked for")                                          \
  X(messages_held, "messages", "held", "messages that wait for the rest of their exchange (g)")   \
  X(messages_filtered, "messages", "filtered", "messages of exchanges that where does not want")  \
  X(messages_sampled_out, "messages", "sampled_out", "messages of exchanges outside the sample")  \
  X(messages_parts, "messages", "parts", "parts of messages whose end was still to come")         \
  X(requests, "messages", "requests", "requests among the parsed")                                \
  X(responses, "messages", "responses", "responses among the parsed, interim ones included")      \
  X(interim, "messages", "interim", "1xx responses")                                              \
  X(after_gap, "messages", "after_gap", "messages found by searching")                            \
  X(lost_before_start_line, "messages", "lost_before_start_line",                                 \
    "messages cut before their start line ended")                                                 \
  X(unpaired, "messages", "unpaired", "responses whose request is not known")                     \
  X(commands_forgotten, "messages", "commands_forgotten",                                         \
    "commands beyond those a connection remembers")                                               \
  X(exchanges_whole, "exchanges", "whole", "lines of exchanges that have all they should")        \
  X(exchanges_request_not_captured, "exchanges", "request_not_captured",                          \
    "lines of responses without their request")                                                   \
  X(exchanges_response_not_captured, "exchanges", "response_not_captured",                        \
    "lines of requests whose response is not known")                                              \
  X(exchanges_no_response, "exchanges", "no_response", "lines of requests that nobody answered")  \
  X(exchanges_left_early, "exchanges", "left_early",                                              \
    "requests that did not wait for their response, for a limit")                                 \
  X(incomplete_gap, "incomplete", "gap", "messages with bytes the capture lost")                  \
  X(incomplete_closed, "incomplete", "closed", "messages cut by the end of their connection")     \
  X(incomplete_evicted, "incomplete", "evicted", "messages cut by eviction")                      \
  X(incomplete_idle, "incomplete", "idle", "messages cut by the idle timeout")                    \
  X(incomplete_shutdown, "incomplete", "shutdown", "messages cut by the end of the capture")      \
  X(incomplete_snaplen, "incomplete", "snaplen", "messages cut by the snapshot length")           \
  X(incomplete_limit, "incomplete", "limit", "messages beyond a limit")                           \
  X(incomplete_parse_error, "incomplete", "parseError", "messages whose body could not be read")  \
  X(limits_reached, "http", "limits_reached", "times a message was beyond a limit of the keys")   \
  X(requests_forgotten, "http", "requests_forgotten", "requests beyond maxOutstandingRequests")   \
  X(parse_errors, "http", "parse_errors", "places where a stream stopped being HTTP")             \
  X(not_http, "http", "not_http", "streams that are not HTTP")                                    \
  X(tls, "http", "tls", "streams that begin with TLS")                                            \
  X(http2, "http", "http2", "streams that begin with the HTTP/2 preface")                         \
  X(http09, "http", "http09", "messages of HTTP/0.9")                                             \
  X(tunnels, "http", "tunnels", "connections that became tunnels")                                \
  X(bodies_decoded, "bodies", "decoded", "bodies whose content coding was undone")                \
  X(bodies_broken, "bodies", "broken", "coded bodies that were truncated or corrupt")             \
  X(bodies_limited, "bodies", "limited", "coded bodies beyond a limit of ratio, memory or depth") \
  X(bodies_too_slow, "bodies", "too_slow", "coded bodies that took too long to decode")           \
  X(bodies_searched, "bodies", "searched", "bodies searched for what is to be redacted")          \
  X(bodies_redacted, "bodies", "redacted", "of them, those in which something was hidden")        \
  X(bodies_unchanged, "bodies", "unchanged", "of them, those that held nothing to hide")          \
  X(bodies_withheld, "bodies", "withheld", "of them, those that could not be read")               \
  X(line_bytes, "output", "bytes", "bytes of the lines handed to the output")                     \
  X(events_dropped, "events", "dropped", "events for which there was no room")

#define X(name, group, label, meaning) name,
enum class FrameCounter : uint8_t { TCP_SNIFFER_FRAME_COUNTERS(X) kCount };
enum class ShardCounter : uint8_t { TCP_SNIFFER_SHARD_COUNTERS(X) kCount };
#undef X

struct CounterInfo {
  std::string_view name;   // unique within its kind
  std::string_view group;  // object it appears in, in the events
  std::string_view label;  // key inside that object
  std::string_view meaning;
};

#define X(name, group, label, meaning) CounterInfo{#name, group, label, meaning},
inline constexpr std::array kFrameCounters = {TCP_SNIFFER_FRAME_COUNTERS(X)};
inline constexpr std::array kShardCounters = {TCP_SNIFFER_SHARD_COUNTERS(X)};
#undef X

// Counters of one thread: plain numbers that only the owner touches, and the copy that others may
// read. `publish` is called once a block, not once a packet.
template <class Counter>
class Counters {
 public:
  static constexpr size_t kSize = static_cast<size_t>(Counter::kCount);

  void add(Counter counter, uint64_t amount = 1) { own_[index(counter)] += amount; }
  void subtract(Counter counter, uint64_t amount = 1) { own_[index(counter)] -= amount; }
  void set(Counter counter, uint64_t value) { own_[index(counter)] = value; }
  uint64_t get(Counter counter) const { return own_[index(counter)]; }

  void publish() {
    for (size_t i = 0; i < kSize; i++) published_[i].store(own_[i], std::memory_order_relaxed);
  }
  // Any thread; a value is from the last publish.
  uint64_t published(Counter counter) const {
    return published_[index(counter)].load(std::memory_order_relaxed);
  }

 private:
  static constexpr size_t index(Counter counter) { return static_cast<size_t>(counter); }

  std::array<uint64_t, kSize> own_{};
  alignas(64) std::array<std::atomic<uint64_t>, kSize> published_{};
};

using FrameCounters = Counters<FrameCounter>;
using ShardCounters = Counters<ShardCounter>;

}  // namespace tcp_sniffer
