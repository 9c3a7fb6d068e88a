#include "io/capture/live_source.h"

#include <linux/if_packet.h>
#include <net/if.h>
#include <pcap/pcap.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <string_view>
#include <utility>

#include "io/base/printable.h"
#include "io/capture/interfaces.h"

namespace tcp_sniffer {

namespace {

std::string there_are(const InterfaceList& list) {
  return "; there are: " + (list.error.empty() ? names_of(list) : "(no list: " + list.error + ")");
}

Problem no_such_interface(const std::string& name) {
  // Other lists have commas.
  const bool is_list = name.find(',') != std::string::npos;
  return {ErrorCode::kInvalidInterface, "",
          "interface: there is no " + quote_text(name) + there_are(list_interfaces()) +
              (is_list ? "; each of several has a flag of its own: -i A -i B" : "")};
}

Problem no_permission(const std::string& name) {
  std::array<char, PATH_MAX> path{};
  const ssize_t size = readlink("/proc/self/exe", path.data(), path.size() - 1);
  const std::string program = size > 0 ? std::string(path.data()) : "tcp-sniffer";
  const std::string words =
      "needs the capability CAP_NET_RAW; grant it with: sudo setcap "
      "cap_net_raw+ep " +
      printable(program);
  return {ErrorCode::kPermissionDenied, "capturing on " + quote_text(name) + " ", words};
}

// libpcap opens it through netlink, and has no code of its own for this.
Problem no_nflog_permission(const std::string& name) {
  return {ErrorCode::kPermissionDenied, "capturing on " + quote_text(name) + " ",
          "needs the capability CAP_NET_ADMIN"};
}

Problem open_failed(const std::string& name, const std::string& words) {
  return {ErrorCode::kCaptureOpenFailed, "cannot capture on " + quote_text(name) + ": ", words};
}

// libpcap's words for the result of an activation: its own message where it left one.
std::string words_of(pcap_t* handle, int status) {
  const std::string detail = pcap_geterr(handle);
  const std::string general = pcap_statustostr(status);
  if (detail.empty() || status == PCAP_ERROR) return detail.empty() ? general : detail;
  return general + " (" + detail + ")";
}

Problem activation_problem(pcap_t* handle, int status, const std::string& name) {
  switch (status) {
    case PCAP_ERROR_NO_SUCH_DEVICE:
      return no_such_interface(name);
    case PCAP_ERROR_PERM_DENIED:
    case PCAP_ERROR_PROMISC_PERM_DENIED:
      return no_permission(name);
    case PCAP_ERROR_IFACE_NOT_UP:
      // libpcap leaves the same words as its message, once more.
      return open_failed(name, std::string(pcap_statustostr(status)) +
                                   "; bring it up with: sudo ip link set " + printable(name) +
                                   " up");
    default:
      break;
  }
  const std::string words = words_of(handle, status);
  if (is_pseudo_interface(name) && words.ends_with(std::strerror(EPERM))) {
    return no_nflog_permission(name);
  }
  return open_failed(name, words);
}

// libpcap's size of a block of a TPACKET_V3 buffer, and about what the kernel adds to a frame.
constexpr uint64_t kKernelBlockBytes = uint64_t{256} << 10;
constexpr uint64_t kKernelFrameHeaderBytes = 96;

void ignore_packet(u_char*, const pcap_pkthdr*, const u_char*) {}

void add_difference(std::atomic<uint64_t>& total, uint32_t& last, uint32_t now) {
  total.fetch_add(static_cast<uint32_t>(now - last), std::memory_order_relaxed);
  last = now;
}

}  // namespace

std::variant<std::string, Problem> interface_or_default(const std::string& name) {
  if (!name.empty()) return name;
  const InterfaceList list = list_interfaces();
  if (const InterfaceInfo* found = default_interface(list)) return found->name;
  return Problem{ErrorCode::kInvalidInterface, "",
                 "interface: none was given, and none is up and not loopback" + there_are(list)};
}

std::variant<std::unique_ptr<LiveSource>, Problem> LiveSource::open(const LiveOptions& options,
                                                                    const CaptureFilter& filter) {
  std::unique_ptr<LiveSource> source(new LiveSource(options, filter));
  if (auto problem = source->open_handle()) return std::move(*problem);
  return source;
}

LiveSource::~LiveSource() {
  close_handle();
}

std::optional<Problem> LiveSource::open_handle() {
  auto problem = activate();
  if (!problem) problem = install();
  return problem;
}

void LiveSource::close_handle() {
  if (handle_ != nullptr) pcap_close(handle_);
  handle_ = nullptr;
  fd_ = -1;
}

std::optional<Problem> LiveSource::activate() {
  const LiveOptions& options = options_;
  if (!is_pseudo_interface(interface_)) {
    // Asked first, because without rights libpcap reports only that.
    interface_index_ = if_nametoindex(interface_.c_str());
    if (interface_index_ == 0) return no_such_interface(interface_);
  }
  std::array<char, PCAP_ERRBUF_SIZE> words{};
  handle_ = pcap_create(interface_.c_str(), words.data());
  if (handle_ == nullptr) return open_failed(interface_, words.data());
  pcap_set_snaplen(handle_, static_cast<int>(std::min<uint32_t>(options.snaplen, INT_MAX)));
  pcap_set_buffer_size(handle_,
                       static_cast<int>(std::min<uint64_t>(options.buffer_bytes, INT_MAX)));
  pcap_set_promisc(handle_, options.promiscuous ? 1 : 0);
  pcap_set_timeout(handle_, std::max(options.block_timeout_ms, 1));
  buffer_blocks_ = options.buffer_bytes / kKernelBlockBytes;
  // Refused by some devices, which then give microseconds.
  pcap_set_tstamp_precision(handle_, PCAP_TSTAMP_PRECISION_NANO);

  const int status = pcap_activate(handle_);
  if (status < 0) return activation_problem(handle_, status, interface_);
  // What is said of the first handle stays, because other threads read it.
  if (status > 0 && !is_removed()) warning_ = words_of(handle_, status);
  if (pcap_setnonblock(handle_, 1, words.data()) != 0) return open_failed(interface_, words.data());

  fd_ = pcap_get_selectable_fd(handle_);
  link_type_ = link_type_of_dlt(pcap_datalink(handle_));
  fraction_ns_ = pcap_get_tstamp_precision(handle_) == PCAP_TSTAMP_PRECISION_NANO ? 1 : 1000;
  return {};
}

std::optional<Problem> LiveSource::install() {
  auto result = filter_.compile(handle_, link_type_);
  if (auto* problem = std::get_if<Problem>(&result)) {
    problem->tried = "filter: refused by libpcap for " + quote_text(interface_) + ": ";
    return std::move(*problem);
  }
  auto& compiled = std::get<CaptureFilter::Compiled>(result);
  if (options_.fanout_group) {
    // The last block with frames of before comes when its timeout has run.
    const int settle_ms = 10 * std::max(options_.block_timeout_ms, 1);
    if (auto problem = join_fanout(*options_.fanout_group, settle_ms)) return problem;
  }
  if (pcap_setfilter(handle_, compiled.program.get()) != 0) {
    return open_failed(interface_, pcap_geterr(handle_));
  }
  if (is_removed()) return {};
  filter_text_ = std::move(compiled.text);
  filter_instructions_ = compiled.program.instructions();
  return {};
}

// Until a handle has joined, it sees every frame, those of the other handles of the group too. So
// it lets nothing in before, and frames from before that are thrown away.
std::optional<Problem> LiveSource::join_fanout(uint16_t group, int settle_ms) {
  bpf_insn reject = BPF_STMT(BPF_RET | BPF_K, 0);
  bpf_program reject_all{1, &reject};
  if (pcap_setfilter(handle_, &reject_all) != 0) {
    return open_failed(interface_, pcap_geterr(handle_));
  }
  const int argument = group | (PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16;
  if (setsockopt(pcap_fileno(handle_), SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) !=
      0) {
    return open_failed(interface_,
                       std::string("the fanout group was not joined: ") + std::strerror(errno));
  }
  pollfd waiting{fd_, POLLIN, 0};
  while (::poll(&waiting, 1, settle_ms) > 0) {
    if (pcap_dispatch(handle_, -1, ignore_packet, nullptr) < 0) break;
  }
  return {};
}

void LiveSource::on_packet(u_char* user, const pcap_pkthdr* header, const u_char* data) {
  auto* source = reinterpret_cast<LiveSource*>(user);
  Frame frame;
  frame.data = {data, header->caplen};
  frame.wire_size = std::max(header->len, header->caplen);
  frame.link_type = source->link_type_;
  frame.link_id = source->options_.link_id;
  frame.time_ns = int64_t{header->ts.tv_sec} * 1'000'000'000 +
                  int64_t{header->ts.tv_usec} * source->fraction_ns_;
  source->taken_frames_++;
  source->taken_bytes_ += header->caplen;
  source->last_frame_ns_ = frame.time_ns;
  source->sink_->on_frames({&frame, 1}, nullptr);
}

SourceStatus LiveSource::poll(FrameSink& sink) {
  if (problem_.code != ErrorCode::kNone) return SourceStatus::kError;
  if (handle_ == nullptr) return look_for_return();
  sink_ = &sink;
  const uint64_t bytes_before = taken_bytes_;
  const int frames = pcap_dispatch(handle_, static_cast<int>(kFramesPerBurst), on_packet,
                                   reinterpret_cast<u_char*>(this));
  sink_ = nullptr;
  if (frames > 0) {
    const uint64_t mean_now = (taken_bytes_ - bytes_before) / static_cast<uint64_t>(frames);
    mean_frame_bytes_ = (3 * mean_frame_bytes_ + mean_now) / 4;
    if (!interface_is_up()) note_up(true);
    return SourceStatus::kMore;
  }
  if (frames < 0 && !has_nothing_of_nflog()) return after_error();
  if (!emptied_) {
    // Frames of before the filter was in place were counted, but never handed out.
    emptied_ = true;
    update_statistics();
    const LiveStatistics seen = statistics();
    uncounted_frames_ =
        seen.received - std::min(seen.received, seen.kernel_dropped + taken_frames_);
  }
  return check_interface();
}

// Of netfilter's socket libpcap makes an error of what is none.
bool LiveSource::has_nothing_of_nflog() const {
  return link_type_ == LinkType::kNflog &&
         std::string_view(pcap_geterr(handle_)).ends_with(std::strerror(EAGAIN));
}

// The kernel takes a handle up again with its interface. libpcap's words for one that went down or
// is gone differ between versions, so the interface itself is asked.
SourceStatus LiveSource::after_error() {
  const std::string words = pcap_geterr(handle_);
  note_up(false);
  next_check_ = {};
  const SourceStatus status = check_interface();
  const bool of_interface = words.find("The interface") != std::string::npos;
  if (status == SourceStatus::kError || !interface_is_up() || of_interface) return status;
  return fail(words);
}

SourceStatus LiveSource::fail(const std::string& words) {
  problem_ = {ErrorCode::kCaptureFailed,
              "capturing on " + quote_text(interface_) + " failed: ", words};
  return SourceStatus::kError;
}

SourceStatus LiveSource::check_interface() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_check_) return SourceStatus::kIdle;
  next_check_ = now + kDownCheckEvery;
  if (interface_index_ == 0) {
    note_up(true);
    return SourceStatus::kIdle;
  }
  // By its index: an interface made again under the same name is another one, a renamed one is not.
  ifreq request{};
  request.ifr_ifindex = static_cast<int>(interface_index_);
  const int fd = pcap_fileno(handle_);
  if (ioctl(fd, SIOCGIFNAME, &request) != 0) return note_removed();
  const bool up = ioctl(fd, SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_UP) != 0;
  note_up(up);
  return SourceStatus::kIdle;
}

Problem LiveSource::removal() const {
  return {ErrorCode::kCaptureFailed,
          "capturing on " + quote_text(interface_) + " failed: ", "the interface was removed"};
}

SourceStatus LiveSource::note_removed() {
  if (!options_.may_return) {
    problem_ = removal();
    return SourceStatus::kError;
  }
  update_statistics();
  close_handle();
  removed_.store(true, std::memory_order_relaxed);
  note_up(false);
  return SourceStatus::kIdle;
}

// Only the lack of a right is for good: the interface may not be up yet.
SourceStatus LiveSource::look_for_return() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_check_) return SourceStatus::kIdle;
  next_check_ = now + kDownCheckEvery;
  if (if_nametoindex(interface_.c_str()) == 0) return SourceStatus::kIdle;
  if (auto problem = open_handle()) {
    close_handle();
    if (problem->code != ErrorCode::kPermissionDenied) return SourceStatus::kIdle;
    problem_ = std::move(*problem);
    return SourceStatus::kError;
  }
  last_received_ = last_kernel_dropped_ = last_interface_dropped_ = 0;
  emptied_ = false;
  removed_.store(false, std::memory_order_relaxed);
  note_up(true);
  return SourceStatus::kIdle;
}

void LiveSource::note_up(bool up) {
  if (!up && interface_is_up()) downs_.fetch_add(1, std::memory_order_relaxed);
  up_.store(up, std::memory_order_relaxed);
}

void LiveSource::wait(int timeout_ms) {
  const auto most =
      static_cast<int>(interface_is_up() ? kUpWaitMax.count() : kDownCheckEvery.count());
  pollfd fds[2] = {{event_.fd(), POLLIN, 0}, {fd_, POLLIN, 0}};
  if (::poll(fds, 2, timeout_ms < 0 ? most : std::min(timeout_ms, most)) <= 0) return;
  if ((fds[0].revents & POLLIN) != 0) event_.drain();
  // The kernel's word that the interface went down; libpcap may keep it to itself.
  if ((fds[1].revents & (POLLERR | POLLHUP)) != 0) next_check_ = {};
}

// The kernel closes a block when it is full or its timeout has run, so the blocks in use are at
// most the waiting bytes' and one for each timeout that has passed since the oldest waiting frame
// came – which is not older than the last one that was taken.
bool LiveSource::can_hold_more() {
  update_statistics();
  const LiveStatistics seen = statistics();
  const uint64_t accounted = seen.kernel_dropped + taken_frames_ + uncounted_frames_;
  const uint64_t waiting = seen.received - std::min(seen.received, accounted);
  const int64_t now_ns = std::chrono::duration_cast<std::chrono::nanoseconds>(
                             std::chrono::system_clock::now().time_since_epoch())
                             .count();
  const int64_t timeout_ns = int64_t{std::max(options_.block_timeout_ms, 1)} * 1'000'000;
  const auto timeouts =
      static_cast<uint64_t>(std::max<int64_t>(now_ns - last_frame_ns_, 0) / timeout_ns);
  const uint64_t bytes = waiting * (mean_frame_bytes_ + kKernelFrameHeaderBytes);
  return (timeouts + bytes / kKernelBlockBytes + 1) * 4 <= buffer_blocks_ * 3;
}

void LiveSource::update_statistics() {
  pcap_stat stat{};
  if (handle_ == nullptr || pcap_stats(handle_, &stat) != 0) return;
  add_difference(received_, last_received_, stat.ps_recv);
  add_difference(kernel_dropped_, last_kernel_dropped_, stat.ps_drop);
  add_difference(interface_dropped_, last_interface_dropped_, stat.ps_ifdrop);
}

LiveStatistics LiveSource::statistics() const {
  return {received_.load(std::memory_order_relaxed),
          kernel_dropped_.load(std::memory_order_relaxed),
          interface_dropped_.load(std::memory_order_relaxed)};
}

}  // namespace tcp_sniffer
