#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/net/link_type.h"
#include "io/base/problem.h"
#include "io/capture/packet_source.h"

struct bpf_program;
struct pcap;

namespace tcp_sniffer {

// A compiled filter.
class FilterProgram {
 public:
  explicit FilterProgram(std::unique_ptr<bpf_program> program);
  ~FilterProgram();
  FilterProgram(FilterProgram&&) noexcept;
  FilterProgram& operator=(FilterProgram&&) noexcept;

  bpf_program* get() { return program_.get(); }
  size_t instructions() const;
  bool matches(std::span<const uint8_t> data, uint32_t wire_size) const;

 private:
  std::unique_ptr<bpf_program> program_;
};

// Which frames are let in: the configured ports and the user's own filter, in libpcap's language.
//
// Live, the kernel throws away the rest. The text lets in four things that `tcp port P` alone does
// not: later fragments (which have no ports), the Authentication Header and IPv6 extension headers
// (after which `tcp` does not look), link encapsulations (MPLS, PPPoE, LLC, …), and, on Ethernet,
// the same again after one and two VLAN tags. If the text lets in too much, the dispatcher sorts it
// out by port, and matches() by the user's filter.
//
// The kernel filters nothing of `nflog`, whose link libpcap cannot look behind: all of it is let
// in, and sorted out here.
//
// For files only the user's filter counts; ports are judged by the dispatcher, which sees into
// tunnels and fragments. It is applied to the outer IP packet, as if the link's header were
// directly before it: not to VLAN tags, labels and sessions, and not inside tunnels.
//
// Thread safety: none; one thread.
class CaptureFilter {
 public:
  // The kernel takes 4,096 instructions (BPF_MAXINSNS); libpcap adds some when it installs.
  static constexpr size_t kInstructionsMax = 3000;

  // More ports and ranges than this never fit, and libpcap's optimizer takes time with the third
  // power of their number to find out: 0.7 s for 200, 60 s for 1,200.
  static constexpr size_t kPortClausesMax = 200;

  // Bytes of the user's filter in a message about it.
  static constexpr size_t kFilterShownMax = 256;

  enum class Use : uint8_t { kLive, kFiles };

  struct Options {
    std::vector<uint16_t> ports;  // empty: every TCP port; not looked at for files
    std::string user;             // empty: none
    bool tunnels = false;         // live: let tunnels in, whatever the ports and the user's filter
    Use use = Use::kLive;
  };

  // The error names the key, the value and libpcap's words.
  static std::variant<CaptureFilter, Problem> make(Options options);

  // The same filter, for another thread.
  CaptureFilter fresh() const { return CaptureFilter(options_); }

  struct Compiled {
    FilterProgram program;
    std::string text;
  };

  // Live: the filter for an activated handle. Compiled on the handle itself, because the kernel may
  // have moved VLAN tags out of the frame, which only libpcap knows. The problem has libpcap's
  // words; what was tried is left to the caller.
  std::variant<Compiled, Problem> compile(pcap* handle, LinkType link_type) const;

  // The same for a handle that does not exist, as `--check` and tests want it.
  std::variant<Compiled, Problem> compile(LinkType link_type) const;

  // Whether the frame passes; live, one that has passed in the kernel. Compiled at the first frame
  // of each link type. A filter that makes no sense for a link type lets none of its frames pass,
  // and `on_problem` is called with the reason.
  bool matches(const Frame& frame);
  using OnProblem = std::function<void(LinkType link_type, const std::string& why)>;
  void set_on_problem(OnProblem on_problem) { on_problem_ = std::move(on_problem); }
  bool passes_everything() const { return options_.user.empty(); }

 private:
  explicit CaptureFilter(Options options) : options_(std::move(options)) {}

  std::string plain_text(bool with_ports) const;
  std::string text(LinkType link_type, bool with_ports) const;
  std::span<const uint8_t> plain_frame(const Frame& frame, size_t header_size, size_t type_at,
                                       std::span<const uint8_t> ip);
  const FilterProgram* program_for(LinkType link_type);

  struct Slot {
    LinkType link_type;
    std::unique_ptr<FilterProgram> program;  // nullptr: no frame passes
  };

  Options options_;
  std::vector<Slot> slots_;
  std::vector<uint8_t> plain_frame_;  // memory of the last one
  OnProblem on_problem_;
};

// `tcp port 80 or tcp portrange 8000-8010`, neighbours collapsed; `tcp` for an empty list.
std::string port_clause(std::vector<uint16_t> ports);

// libpcap's DLT_ value for a link type of a capture file, and back.
int dlt_of_link_type(LinkType link_type);
LinkType link_type_of_dlt(int dlt);

}  // namespace tcp_sniffer
