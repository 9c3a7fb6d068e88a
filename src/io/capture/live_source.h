#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "core/base/defaults.h"
#include "core/base/limits.h"
#include "core/net/link_type.h"
#include "io/base/problem.h"
#include "io/base/wake_event.h"
#include "io/capture/capture_filter.h"
#include "io/capture/packet_source.h"

struct pcap;
struct pcap_pkthdr;

namespace tcp_sniffer {

struct LiveOptions {
  std::string interface;  // `any`, `lo` and `nflog:GROUP` work, too
  uint32_t link_id = 0;   // of its frames, in LinkNames
  uint32_t snaplen = kSnaplenMax;
  uint64_t buffer_bytes = defaults::kBufferSizeMiB << 20;
  bool promiscuous = true;
  // How long the kernel may hold a frame back to fill its block of 256 KiB. It bounds the delay of
  // a frame, but also how long a thread that does not read loses nothing: the buffer has
  // buffer_bytes / 256 KiB blocks, and one is used up each time. 64 MiB at 2 ms last for 0.5 s of
  // sparse traffic, at 20 ms for 5 s. Each also wakes every thread, which is what sparse traffic
  // costs most.
  int block_timeout_ms = 2;
  // Several handles of one interface that share its frames have the same group.
  std::optional<uint16_t> fanout_group;
  // An interface that was removed is waited for, until there is one of its name again.
  bool may_return = false;
};

// The interface that a capture is made on: `name` itself, and for none the first that is up and not
// loopback. Whether `name` exists is found out when it is opened.
std::variant<std::string, Problem> interface_or_default(const std::string& name);

// What the kernel and the interface lost, in libpcap's figures, widened to 64 bits.
struct LiveStatistics {
  uint64_t received = 0;           // passed the filter, the dropped ones included
  uint64_t kernel_dropped = 0;     // the capture buffer was full
  uint64_t interface_dropped = 0;  // the driver had no room
};

// Frames of a live interface.
//
// libpcap lends a frame's memory only until its callback returns (the kernel may get the block
// back with the next frame), so frames are handed to the sink one by one, with no piece: the sink
// copies what it keeps. A burst is what one poll() delivers; the sink's owner ends it afterwards.
//
// poll() does not block: it takes what is there. wait() sleeps until there is more or wake() is
// called. A blocking pcap_dispatch may sleep forever where no packet comes.
//
// When the interface goes down the capture goes on, because the kernel resumes it when the
// interface is up again: poll() is idle and interface_is_up() false meanwhile. When the interface
// is removed, poll() fails, or with `may_return` is idle until there is an interface of that name
// again, of which a handle is opened as of the first one. It fails when that is not permitted any
// more.
//
// Thread safety: wake() from any thread and from signal handlers; statistics(), interface_is_up(),
// is_removed() and downs() from any thread, and what was opened, which stays; everything else on
// the capture thread.
class LiveSource final : public PacketSource {
 public:
  static std::variant<std::unique_ptr<LiveSource>, Problem> open(const LiveOptions& options,
                                                                 const CaptureFilter& filter);
  ~LiveSource() override;
  LiveSource(const LiveSource&) = delete;
  LiveSource& operator=(const LiveSource&) = delete;

  SourceStatus poll(FrameSink& sink) override;
  // True while a quarter of the kernel's capture buffer is free: estimated from the frames it took
  // and we did not, their mean size, and how long ago the last one that we took had come.
  bool can_hold_more() override;
  // Why poll() returned kError.
  const Problem& problem() const { return problem_; }
  // The interface was removed and is waited for.
  bool is_removed() const { return removed_.load(std::memory_order_relaxed); }
  Problem removal() const;

  // Until frames are there, wake() is called or `timeout_ms` have passed; a second at most. May
  // return early.
  void wait(int timeout_ms);
  void wake() noexcept { event_.notify(); }

  // What was opened, for the `started` event.
  const std::string& interface() const { return interface_; }
  LinkType link_type() const { return link_type_; }
  const std::string& filter_text() const { return filter_text_; }
  size_t filter_instructions() const { return filter_instructions_; }
  bool has_nanoseconds() const { return fraction_ns_ == 1; }
  // What libpcap could not do as asked, for instance promiscuous mode; usually empty.
  const std::string& warning() const { return warning_; }

  bool interface_is_up() const { return up_.load(std::memory_order_relaxed); }
  // How often it was seen to go down.
  uint64_t downs() const { return downs_.load(std::memory_order_relaxed); }

  // Asks the kernel; capture thread. The figures are then published to statistics().
  void update_statistics();
  LiveStatistics statistics() const;

 private:
  // How often an idle handle's interface is looked at, and how long a wait may keep it from that.
  static constexpr std::chrono::milliseconds kDownCheckEvery{100};
  static constexpr std::chrono::milliseconds kUpWaitMax{1000};

  LiveSource(const LiveOptions& options, const CaptureFilter& filter)
      : options_(options), filter_(filter.fresh()), interface_(options.interface) {}

  std::optional<Problem> open_handle();
  std::optional<Problem> activate();
  std::optional<Problem> install();
  void close_handle();
  std::optional<Problem> join_fanout(uint16_t group, int settle_ms);
  bool has_nothing_of_nflog() const;
  SourceStatus after_error();
  SourceStatus fail(const std::string& words);
  SourceStatus check_interface();
  SourceStatus note_removed();
  SourceStatus look_for_return();
  void note_up(bool up);

  static void on_packet(unsigned char* user, const pcap_pkthdr* header, const unsigned char* data);

  const LiveOptions options_;
  const CaptureFilter filter_;
  pcap* handle_ = nullptr;     // none while the interface is removed
  FrameSink* sink_ = nullptr;  // only while poll() runs
  uint64_t buffer_blocks_ = 0;
  uint64_t taken_frames_ = 0;
  uint64_t taken_bytes_ = 0;
  uint64_t mean_frame_bytes_ = 1500;  // of the last bursts
  uint64_t uncounted_frames_ = 0;     // that the kernel counts and libpcap kept to itself
  bool emptied_ = false;              // the buffer was empty once
  int64_t last_frame_ns_ = 0;
  int fd_ = -1;
  int64_t fraction_ns_ = 1000;
  LinkType link_type_ = LinkType::kEthernet;
  unsigned interface_index_ = 0;  // 0: `any`, or no interface of the network
  const std::string interface_;
  std::string filter_text_;
  size_t filter_instructions_ = 0;
  std::string warning_;
  std::atomic<bool> up_{true};
  std::atomic<bool> removed_{false};
  std::atomic<uint64_t> downs_{0};
  std::chrono::steady_clock::time_point next_check_;
  Problem problem_;
  WakeEvent event_;

  // The last 32-bit figures of libpcap, to widen the next ones.
  uint32_t last_received_ = 0;
  uint32_t last_kernel_dropped_ = 0;
  uint32_t last_interface_dropped_ = 0;
  std::atomic<uint64_t> received_{0};
  std::atomic<uint64_t> kernel_dropped_{0};
  std::atomic<uint64_t> interface_dropped_{0};
};

}  // namespace tcp_sniffer
